#include "tests/sim/checks/convergence.h"

#include <fmt/format.h>

#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "convergence";

void compare(const char* world, Client& client, map::LayerId layer, map::ChunkPos chunk, const Truth::Chunk& truth,
             Verdict& verdict) {
  for (const bool optimistic : {false, true}) {
    const client::CellBlock* const block = client.machine().replica().block({layer, chunk}, optimistic);
    if (block == nullptr)
      return verdict.fail(kClaim,
                          fmt::format("client {} lacks chunk {},{} of layer {} in \"{}\", which it subscribed to",
                                      client.number(), chunk.x, chunk.y, layer, world));
    for (int i = 0; i < map::kChunkCells; ++i) {
      const std::uint32_t has = block->at(i).bits, is = truth[static_cast<std::size_t>(i)];
      if (has == is) continue;
      const auto revision = client.machine().replica().revision({layer, chunk});
      return verdict.fail(
          kClaim,
          fmt::format("client {} ({} view) has {} where the server has {}: cell {} of chunk {},{} of layer {} in "
                      "\"{}\", revision {}",
                      client.number(), optimistic ? "optimistic" : "confirmed", has, is, i, chunk.x, chunk.y, layer,
                      world, revision ? static_cast<long>(revision->value) : -1));
    }
  }
}

}  // namespace

void check_convergence(const char* world, Client& client, Truth& truth, Verdict& verdict) {
  for (const Client::View& view : client.views) {
    const map::Rect chunks = map::chunks_of(view.cells);
    for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
      for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
        for (const map::LayerId layer : kLayers) {
          const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
          const auto cells = truth.chunk(world, layer, chunk);
          if (!cells)
            return verdict.fail(kClaim, fmt::format("a shard that client {} follows is not open", client.number()));
          compare(world, client, layer, chunk, *cells, verdict);
          if (verdict.failed()) return;
        }
  }
}

}  // namespace terrazzo::sim
