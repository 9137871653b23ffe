#include "server/storage/page_pool.h"

#include <algorithm>

#include "base/assert.h"

namespace terrazzo::storage {
namespace {

// Growing by an eighth keeps the number of calls logarithmic; the bounds keep small shards small and single calls
// short.
constexpr PageNo kExtentMin = 64, kExtentMax = 4096;

}  // namespace

PageNo PagePool::take() {
  TZ_ASSERT(!free_.empty());
  const PageNo page = free_.back();
  free_.pop_back();
  return page;
}

Status PagePool::grow(std::size_t wanted) {
  const PageNo before = file_.page_count();
  const auto missing = static_cast<PageNo>(wanted - free_.size());
  const PageNo extent = std::clamp(before / 8, kExtentMin, kExtentMax);
  Status grown = file_.grow(before + std::max(missing, extent));
  // A nearly full disk may still have room for what is needed now.
  if (!grown && missing < extent) grown = file_.grow(before + missing);
  if (!grown) return grown;
  // The lowest pages are taken first.
  for (PageNo page = file_.page_count(); page > before; --page) free_.push_back(page - 1);
  return {};
}

void PagePool::root_begun() {
  leaving_.insert(leaving_.end(), retired_.begin(), retired_.end());
  retired_.clear();
}

void PagePool::root_durable() {
  free_.insert(free_.end(), leaving_.begin(), leaving_.end());
  leaving_.clear();
}

void PagePool::adopt(const std::vector<bool>& used) {
  free_.clear();
  for (PageNo page = file_.page_count(); page > 0; --page)
    if (!used[page - 1]) free_.push_back(page - 1);
}

}  // namespace terrazzo::storage
