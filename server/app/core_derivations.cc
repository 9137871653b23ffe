// Copies and floods over shards: what passes between the coordinator's core and the owners of what they read.
#include <utility>

#include "server/app/core_services.h"

namespace terrazzo::app {

void CoreServices::read(std::unique_ptr<shard::CellsRequest> request) {
  const shard::CoreId owner = owners_.owner(request->shard);
  post(owner, boxed(MeshKind::read_cells, std::move(request)));
}

void CoreServices::derived(std::unique_ptr<shard::CoordinatedRequest> request) {
  // What it writes is in one shard, though what it reads was not: an edit like others, durable by that shard's log.
  if (request->parts.size() == 1) return edit(std::move(request->parts.front()));
  // Not at once: the world may be on hold for a version by now.
  post(self_, boxed(MeshKind::coordinate, std::move(request)));
}

void CoreServices::take_cells_request(ShardSlot& slot, std::unique_ptr<shard::CellsRequest> request) {
  const shard::Shard& line = *shards_.line(slot, request->shard.world);
  if (const Error* const damage = line.damage()) {
    request->error = *damage;
  } else {
    line.read(*request);
    // Whatever comes from such a file may be zeros that stand in for a page.
    if (slot.file && slot.file->faulted()) request->error = slot.file->look_whether_whole().error();
  }
  answer_cells_request(std::move(request));
}

void CoreServices::answer_cells_request(std::unique_ptr<shard::CellsRequest> request) {
  const shard::CoreId to = request->asked_by;
  post(to, boxed(MeshKind::cells_read, std::move(request)));
}

}  // namespace terrazzo::app
