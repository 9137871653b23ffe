#include "tests/sim/checks/pages.h"

#include <fmt/format.h>

namespace terrazzo::sim {

void check_pages(Server& server, Verdict& verdict) {
  for (const auto& core : server.assembly().cores)
    core->shards().for_each([&](app::ShardSlot& slot) {
      const storage::ShardStore* const store = slot.shard->store();
      if (store == nullptr) return;
      const map::ShardPos at = slot.shard->key().position;
      if (const Status whole = store->verify(); !whole)
        verdict.fail("each page is reached, waiting or free",
                     fmt::format("shard {},{}: {}", at.x, at.y, whole.error().message));
    });
}

}  // namespace terrazzo::sim
