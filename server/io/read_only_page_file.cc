#include "server/io/read_only_page_file.h"

namespace terrazzo::io {

Result<std::unique_ptr<ReadOnlyPageFile>> ReadOnlyPageFile::open(const std::string& path) {
  Result<std::unique_ptr<ReadOnlyMapping>> mapping = ReadOnlyMapping::open(path);
  if (!mapping) return mapping.error();
  return std::unique_ptr<ReadOnlyPageFile>(new ReadOnlyPageFile(path, *std::move(mapping)));
}

Status ReadOnlyPageFile::grow(storage::PageNo pages) {
  if (pages <= page_count()) return {};
  return Error{ErrorCode::read_only, path_ + " is open for reading only"};
}

}  // namespace terrazzo::io
