#include "server/app/page_bringer.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/io/cold_pages.h"

namespace terrazzo::app {

bool PageBringer::bring(ShardSlot& slot, std::vector<storage::ColdPage> pages, std::function<void()> done) {
  // The slot and its file stay: a shard with jobs under way is not given to another core.
  auto job = [this, &slot, fd = slot.file->fd(), pages = std::move(pages),
              done = std::move(done)]() mutable -> WorkerPool::Done {
    std::vector<storage::PageNo> damaged = io::bring_in(fd, pages);
    return [this, &slot, pages = std::move(pages), damaged = std::move(damaged), done = std::move(done)] {
      --slot.page_jobs;
      brought(slot, pages, damaged);
      done();
    };
  };
  const bool asked = node_.page_workers->submit(self_, std::move(job));
  if (asked) ++slot.page_jobs;
  return asked;
}

void PageBringer::brought(ShardSlot& slot, const std::vector<storage::ColdPage>& pages,
                          const std::vector<storage::PageNo>& damaged) {
  storage::Residency& residency = *slot.shard->residency();
  brought_ += pages.size() - damaged.size();
  for (const storage::ColdPage& page : pages) {
    // Written meanwhile: it is another page now.
    if (residency.touch(page.page)) continue;
    if (!std::ranges::binary_search(damaged, page.page)) {
      residency.brought(page.page);
      continue;
    }
    ++damaged_;
    residency.damaged(page.page);
    const Error why = damage(slot, page.page);
    spdlog::critical("{}", why.message);
    slot.shard->read_only(why);
  }
}

Error PageBringer::damage(const ShardSlot& slot, storage::PageNo page) {
  const map::ShardPos at = slot.shard->key().position;
  return {ErrorCode::read_only,
          fmt::format("shard {},{}: page {} (at byte {}) of its file is damaged or cannot be read; what lies there is "
                      "not shown and the shard takes no edits until the file is restored from a backup",
                      at.x, at.y, page, std::size_t{page} * storage::kPageBytes)};
}

}  // namespace terrazzo::app
