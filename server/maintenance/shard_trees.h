#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "server/storage/shard_store.h"
#include "shardfile/page_layout.h"

namespace terrazzo::maintenance {

// A shard's trees, to be copied into a backup.
struct ShardImage {
  storage::ShardIdentity identity;
  Lsn lsn;
  shardfile::Entry top;  // becomes the main head
  std::vector<storage::BranchState> branches;
  std::vector<storage::PinInfo> pins;  // versions and undo points to keep
  std::vector<std::byte> aux;          // of the store's owner
};

// A shard as a backup holds it: everything but its cells, and where those are. Pages of cells are counted through a
// backup and those it builds on, the oldest first: a backup that adds some gives them the next numbers. Entries say
// what they do in a shard's file, but where there is a page below,
//   above leaves     `value` is an index of `nodes`, `crc` 0;
//   in a leaf, page  `value` is the number of a page of cells, `crc` its page_checksum();
//   in a leaf, blob  `value` is an index of `blobs`, `crc` 0.
struct ShardTrees {
  ShardImage roots;
  std::vector<shardfile::Node> nodes;  // what is below a node comes before it
  std::vector<std::uint8_t> levels;    // of each node: 0 layer directory, 1 region node, 2 leaf node
  std::vector<std::vector<std::byte>> blobs;
  std::uint32_t cells = 0;  // pages, those of older backups included
};

// Which nodes and blobs of the base a shard's are made from; kNone: none.
struct TreesOrigin {
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  std::vector<std::uint32_t> nodes, blobs;
};
struct CopiedTrees {
  ShardTrees trees;
  TreesOrigin origin;
};
using CellSink = std::function<Status(std::span<const std::byte> page)>;

// Copies what the trees reach out of `file` (a mapping whose pages stay as they are while the trees are pinned). Pages
// of cells that the base lacks go to `cells`, each once and in the order of their numbers. A page is the base's when it
// is at the same place, of the same edit, and has the same checksum there: then it is not read. Every page read that
// has a checksum is compared with it. `base`: the same shard in an earlier backup, null: none. internal: a page is
// damaged, or the trees leave the file; too_large: the numbers are used up.
Result<CopiedTrees> copy_trees(std::span<const std::byte> file, const ShardImage& image, const ShardTrees* base,
                               const CellSink& cells);

// As bytes. Nodes are the difference (exclusive or) to the base's nodes at the same place: zeros where nothing changed,
// which the packer makes vanish.
std::vector<std::byte> encode_trees(const CopiedTrees& copied, const ShardTrees* base);
// `base` must be what the encoder had. internal: that cannot be; whatever the bytes are, indices are sound after this.
Result<ShardTrees> decode_trees(std::span<const std::byte> bytes, const ShardTrees* base);

}  // namespace terrazzo::maintenance
