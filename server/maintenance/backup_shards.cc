#include "server/maintenance/backup_shards.h"

#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "server/io/durable_file.h"
#include "server/maintenance/packed_file.h"
#include "server/maintenance/shard_image.h"
#include "shardfile/page_layout.h"

namespace terrazzo::maintenance {
namespace {

struct Part {
  const BackupLink* link;
  const BackupManifest::Shard* shard;
};

// What makes up a shard, the oldest first.
Result<std::vector<Part>> parts_of(const BackupChain& chain, const std::string& path) {
  std::vector<Part> parts;
  for (const BackupLink& link : chain) {
    const auto found = link.manifest.shards.find(path);
    if (found == link.manifest.shards.end()) break;
    parts.insert(parts.begin(), {&link, &found->second});
    if (!found->second.in_base) return parts;
  }
  return Error{ErrorCode::internal, path + " is in none of the backups that should have it; take another backup"};
}

Result<ShardTrees> read_trees(const std::vector<Part>& parts, const std::string& path) {
  std::optional<ShardTrees> trees;
  for (const Part& part : parts) {
    const std::string file = part.link->packed_trees(path);
    const Result<std::vector<std::byte>> bytes = unpack_bytes(file, part.shard->trees);
    if (!bytes) return bytes.error();
    const std::uint64_t before = trees ? trees->cells : 0;
    Result<ShardTrees> decoded = decode_trees(*bytes, trees ? &*trees : nullptr);
    if (!decoded) return Error{decoded.error().code, file + ": " + decoded.error().message};
    if (decoded->cells - before != part.shard->cells.bytes / shardfile::kPageBytes)
      return Error{ErrorCode::internal, file + " and its pages of cells do not belong together; take another backup"};
    trees = *std::move(decoded);
  }
  return *std::move(trees);
}

}  // namespace

Result<ShardTrees> read_trees(const BackupChain& chain, const std::string& path) {
  const Result<std::vector<Part>> parts = parts_of(chain, path);
  if (!parts) return parts.error();
  return read_trees(*parts, path);
}

Result<BackupManifest::Shard> write_shard(const std::string& to, std::span<const std::byte> file,
                                          const ShardImage& image, const ShardTrees* base) {
  constexpr std::size_t kBuffer = std::size_t{1} << 20;
  BackupManifest::Shard shard;
  shard.in_base = base != nullptr;
  std::optional<PackWriter> cells;
  std::vector<std::byte> pages;
  const auto flush = [&]() -> Status {
    if (pages.empty()) return {};
    if (!cells) {
      Result<PackWriter> made = PackWriter::create(to + ".cells.zst");
      if (!made) return made.error();
      cells = *std::move(made);
    }
    Status written = cells->write(pages);
    pages.clear();
    return written;
  };
  const Result<CopiedTrees> copied = copy_trees(file, image, base, [&](std::span<const std::byte> page) {
    pages.insert(pages.end(), page.begin(), page.end());
    return pages.size() < kBuffer ? Status() : flush();
  });
  if (!copied) return copied.error();
  if (Status flushed = flush(); !flushed) return flushed.error();
  if (cells) {
    Result<PackedFile> packed = cells->finish();
    if (!packed) return packed.error();
    shard.cells = *std::move(packed);
  }
  Result<PackWriter> trees = PackWriter::create(to + ".trees.zst");
  if (!trees) return trees.error();
  if (Status written = trees->write(encode_trees(*copied, base)); !written) return written.error();
  Result<PackedFile> packed = trees->finish();
  if (!packed) return packed.error();
  shard.trees = *std::move(packed);
  return shard;
}

Status restore_shard(const BackupChain& chain, const std::string& path, const std::string& to) {
  const Result<std::vector<Part>> parts = parts_of(chain, path);
  if (!parts) return parts.error();
  const Result<ShardTrees> trees = read_trees(*parts, path);
  if (!trees) return trees.error();
  if (Status made = io::make_folder(std::filesystem::path(to).parent_path().string()); !made) return made;
  Result<ShardImageWriter> image = ShardImageWriter::create(to, *trees);
  if (!image) return image.error();
  std::uint32_t number = 0;
  for (const Part& part : *parts) {
    if (part.shard->cells.bytes == 0) continue;  // then there is no such file
    const std::string file = part.link->packed_cells(path);
    const Status unpacked = unpack(file, part.shard->cells, [&](std::span<const std::byte> pages) -> Status {
      const Status put = image->put_cells(number, pages.first(pages.size() - pages.size() % shardfile::kPageBytes));
      number += static_cast<std::uint32_t>(pages.size() / shardfile::kPageBytes);
      return put ? put : Status(Error{put.error().code, file + ": " + put.error().message});
    });
    if (!unpacked) return unpacked;
  }
  return image->finish();
}

}  // namespace terrazzo::maintenance
