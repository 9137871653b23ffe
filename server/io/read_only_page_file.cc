#include "server/io/read_only_page_file.h"

namespace terrazzo::io {

Result<std::unique_ptr<ReadOnlyPageFile>> ReadOnlyPageFile::open(const std::string& path, Reads reads) {
  Result<std::unique_ptr<ReadOnlyMapping>> mapping = ReadOnlyMapping::open(path, reads);
  if (!mapping) return mapping.error();
  return std::unique_ptr<ReadOnlyPageFile>(new ReadOnlyPageFile(path, *std::move(mapping)));
}

std::span<const std::byte> ReadOnlyPageFile::bytes() const {
  alignas(storage::kPageBytes) static constexpr std::byte kJustMade[shardfile::kRootSlots * storage::kPageBytes]{};
  return mapping_->bytes().size() < sizeof kJustMade ? std::span<const std::byte>(kJustMade) : mapping_->bytes();
}

Status ReadOnlyPageFile::grow(storage::PageNo pages) {
  if (pages <= page_count()) return {};
  return Error{ErrorCode::read_only, path_ + " is open for reading only"};
}

}  // namespace terrazzo::io
