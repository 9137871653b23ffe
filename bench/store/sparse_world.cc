#include "bench/store/sparse_world.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/crc32c.h"
#include "bench/store/peer.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::bench {
namespace {

using shardfile::Entry;
using shardfile::kPageBytes;
using shardfile::Node;
using shardfile::PageNo;
using shardfile::Tag;

constexpr PageNo kDirectory = 2, kRegions = 3, kLeaves = 4, kChains = kLeaves + 256, kCells = kChains + 8;
constexpr PageNo kPages = kCells + 65536;

Entry entry_of(PageNo page, const Node& node) {
  Entry entry = Entry::make(Tag::page, 1, page);
  entry.crc = shardfile::page_checksum(reinterpret_cast<const std::byte*>(node.data()));
  return entry;
}

std::vector<std::uint32_t> cells_of_written(std::uint16_t chunk) {
  return chunk_cells(chunk + 1u);
}

class SparseShard {
 public:
  SparseShard() : pages_(std::size_t{kCells} * kPageBytes) {}

  std::vector<std::byte>& build(map::ShardPos position, std::span<const std::uint16_t> written) {
    const std::vector<std::byte> zeros(kPageBytes);
    const std::uint32_t zero_crc = shardfile::page_checksum(zeros.data());
    Node& directory = node(kDirectory);
    Node& regions = node(kRegions);
    PageNo next = kCells;
    for (PageNo region = 0; region < 256; ++region) {
      Node& leaf = node(kLeaves + region);
      for (Entry& entry : leaf) {
        entry = Entry::make(Tag::page, 1, next++);
        entry.crc = zero_crc;
      }
      regions[region] = entry_of(kLeaves + region, leaf);
    }
    for (const std::uint16_t chunk : written) {
      const std::vector<std::uint32_t> cells = cells_of_written(chunk);
      const PageNo leaf = kLeaves + shardfile::region_of(chunk);
      node(leaf)[shardfile::index_of(chunk)].crc =
          shardfile::page_checksum(reinterpret_cast<const std::byte*>(cells.data()));
      regions[shardfile::region_of(chunk)] = entry_of(leaf, node(leaf));
    }
    directory[0] = entry_of(kRegions, regions);
    shardfile::Root root{};
    root.magic = shardfile::kRootMagic;
    root.version = shardfile::kShardFormatVersion;
    root.pages = kPages;
    root.world = kSparseWorld.value;
    root.x = position.x;
    root.y = position.y;
    root.generation = 1;
    root.lsn = 1;
    root.layers = entry_of(kDirectory, directory);
    root.free = chain();
    root.crc = crc32c({reinterpret_cast<const std::byte*>(&root), offsetof(shardfile::Root, crc)});
    std::memcpy(pages_.data() + kPageBytes, &root, sizeof root);
    return pages_;
  }

 private:
  Node& node(PageNo page) { return *reinterpret_cast<Node*>(pages_.data() + std::size_t{page} * kPageBytes); }
  // No page is free but what is left of the chain's own.
  shardfile::ChainRef chain() {
    using shardfile::ChainPage;
    std::vector<std::byte> bits((kPages + 7) / 8);
    const auto used = static_cast<PageNo>((bits.size() + sizeof(ChainPage::bytes) - 1) / sizeof(ChainPage::bytes));
    for (PageNo page = kChains + used; page < kCells; ++page) bits[page / 8] |= std::byte{1} << page % 8;
    for (PageNo i = 0; i < used; ++i) {
      auto& page = *reinterpret_cast<ChainPage*>(pages_.data() + std::size_t{kChains + i} * kPageBytes);
      const std::size_t at = i * sizeof page.bytes;
      std::memcpy(page.bytes, bits.data() + at, std::min(sizeof page.bytes, bits.size() - at));
      page.next = i + 1 < used ? kChains + i + 1 : 0;
      page.crc = crc32c(page.bytes);
    }
    return {kChains, static_cast<std::uint32_t>(bits.size()), crc32c(bits)};
  }

  std::vector<std::byte> pages_;
};

}  // namespace

std::uint64_t offset_in_sparse_shard(std::uint16_t chunk) {
  const PageNo page = kCells + shardfile::region_of(chunk) * 256u + shardfile::index_of(chunk);
  return std::uint64_t{page} * kPageBytes;
}

std::uint64_t sum_of_written_chunk(std::uint16_t chunk) {
  const std::vector<std::uint32_t> cells = cells_of_written(chunk);
  return std::accumulate(cells.begin(), cells.end(), std::uint64_t{0});
}

std::uint64_t make_sparse_shard(const std::filesystem::path& path, map::ShardPos position,
                                std::span<const std::uint16_t> written) {
  static SparseShard shard;
  const std::vector<std::byte>& pages = shard.build(position, written);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::uint64_t bytes = std::uint64_t{kPages} * kPageBytes;
  const auto fail = [&] { give_up(path.string() + " cannot be written"); };
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)) != 0 ||
      ::pwrite(fd, pages.data(), pages.size(), 0) != static_cast<ssize_t>(pages.size()))
    fail();
  for (const std::uint16_t chunk : written) {
    const std::vector<std::uint32_t> cells = cells_of_written(chunk);
    if (::pwrite(fd, cells.data(), kPageBytes, static_cast<off_t>(offset_in_sparse_shard(chunk))) != kPageBytes) fail();
  }
  ::close(fd);
  return bytes;
}

}  // namespace terrazzo::bench
