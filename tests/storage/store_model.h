#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "server/storage/shard_store.h"

namespace terrazzo::storage {

// What a chunk holds according to the plain model: 1024 cells, or bytes.
struct ModelChunk {
  std::array<std::uint32_t, 1024> cells{};
  std::vector<std::byte> blob;
  std::uint64_t revision = 0;
  bool operator==(const ModelChunk&) const = default;
};

// One state of a shard: the chunks that were ever touched, shared between states while they are alike.
class ModelState {
 public:
  using Key = std::pair<std::uint8_t, std::uint16_t>;
  const ModelChunk& at(std::uint8_t layer, std::uint16_t chunk) const {
    static const ModelChunk kNothing;
    const auto found = chunks_.find({layer, chunk});
    return found == chunks_.end() ? kNothing : *found->second;
  }
  ModelChunk& change(std::uint8_t layer, std::uint16_t chunk, std::uint64_t by) {
    auto fresh = std::make_shared<ModelChunk>(at(layer, chunk));
    fresh->revision = by;
    ModelChunk& changed = *fresh;
    chunks_[{layer, chunk}] = std::move(fresh);
    return changed;
  }
  std::uint64_t lsn = 0;

 private:
  std::map<Key, std::shared_ptr<const ModelChunk>> chunks_;
};

}  // namespace terrazzo::storage
