#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/storage/shard_store.h"

namespace terrazzo::maintenance {

// A shard's trees, to be written as a file of their own.
struct ShardImage {
  storage::ShardIdentity identity;
  Lsn lsn;
  shardfile::Entry top;                // becomes the main head
  std::vector<storage::PinInfo> pins;  // versions and undo points to keep
  std::vector<std::byte> aux;          // of the store's owner
};

// Copies what the trees reach out of `file` (a mapping whose pages stay as they are while the trees are pinned) into a
// new shard file without free pages, synced. Every page that has a checksum is compared with it on the way. internal: a
// page is damaged, or the trees leave the file.
Status write_shard_image(std::span<const std::byte> file, const ShardImage& image, const std::string& to);

}  // namespace terrazzo::maintenance
