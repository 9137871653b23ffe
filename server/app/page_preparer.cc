#include "server/app/page_preparer.h"

#include <utility>

#include "server/io/ready_pages.h"

namespace terrazzo::app {

void PagePreparer::ask(ShardSlot& slot) {
  storage::ReadyRequest request = slot.shard->ask_ready();
  if (request.pages.empty() && request.grow_from == request.grow_to) return;
  // The slot and its file stay: a shard with jobs under way is not given to another core.
  auto job = [this, &slot, fd = slot.file->fd(), base = slot.file->base(),
              request = std::move(request)]() mutable -> WorkerPool::Done {
    const bool grown = io::make_ready(fd, base, request);
    return [this, &slot, request = std::move(request), grown] {
      slot.preparing = false;
      --slot.page_jobs;
      prepared_ += request.pages.size();
      slot.shard->made_ready(request, grown);
    };
  };
  // With too many jobs under way already the edits make do without.
  slot.preparing = node_.page_workers->submit(self_, std::move(job));
  if (slot.preparing) ++slot.page_jobs;
}

}  // namespace terrazzo::app
