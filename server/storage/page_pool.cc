#include "server/storage/page_pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace terrazzo::storage {

using shardfile::kRootSlots;

namespace {

// Growing by an eighth keeps the number of calls logarithmic; the bounds keep small shards small and single calls
// short.
constexpr PageNo kExtentMin = 64, kExtentMax = 4096;
// What is made ready is written by the next sync even if nobody used it: no more pages than were taken lately.
constexpr std::size_t kReadyMin = 16, kReadyMax = 2048;

// The pages from `first` to before `end` whose bits are set, highest first. A page of a shard that is full is seldom
// free: 64 of them are passed over at once, or looking at each would be half of what it takes to open a shard.
template <class Visit>
void for_each_set_downward(std::span<const std::byte> bits, PageNo first, PageNo end, Visit&& visit) {
  while (end > first) {
    const PageNo from = (end - 1) / 64 * 64;
    std::uint64_t word = 0;
    for (std::size_t at = from / 8; at < (end + 7) / 8; ++at) word |= std::uint64_t(bits[at]) << (at * 8 - from);
    if (end - from < 64) word &= (std::uint64_t{1} << (end - from)) - 1;
    if (from < first) word &= ~((std::uint64_t{1} << (first - from)) - 1);
    while (word != 0) {
      const int bit = 63 - std::countl_zero(word);
      visit(from + static_cast<PageNo>(bit));
      word &= ~(std::uint64_t{1} << bit);
    }
    end = from;
  }
}

// Most of the time there is nothing in `to`.
void append(std::vector<PageNo>& from, std::vector<PageNo>& to) {
  if (to.empty()) {
    std::swap(from, to);
  } else {
    to.insert(to.end(), from.begin(), from.end());
  }
  from.clear();
}

}  // namespace

PageNo PagePool::take() {
  TZ_ASSERT(!free_.empty());
  const PageNo page = free_.back();
  free_.pop_back();
  if (ready_ != 0) --ready_;
  taken_ = true;
  ++demand_;
  flip(page);
  residency_.written(page);
  return page;
}

void PagePool::look(std::size_t pages, Missing& missing) {
  if (!returned_.empty()) settle(pages);
  const std::size_t first = free_.size() - std::min(free_.size(), pages);
  for (std::size_t i = first; i < free_.size(); ++i)
    if (!residency_.touch(free_[i])) missing.pages.push_back({free_[i], 0});
}

// Runs of pages at a time, the lowest first.
Status PagePool::back(std::size_t wanted) {
  while (!unbacked_.empty() && free_.size() < wanted) {
    const PageNo first = unbacked_.back();
    PageNo count = 0;
    while (!unbacked_.empty() && unbacked_.back() == first + count && count < kExtentMax) {
      unbacked_.pop_back();
      ++count;
    }
    if (Status backed = file_.back(first, count); !backed) {
      for (PageNo page = first + count; page > first; --page) unbacked_.push_back(page - 1);
      return backed;
    }
    for (PageNo page = first + count; page > first; --page) free_.push_back(page - 1);
  }
  return {};
}

PageNo PagePool::extent() const {
  return std::clamp(file_.page_count() / 8, kExtentMin, kExtentMax);
}

Status PagePool::grow(std::size_t wanted) {
  if (!unbacked_.empty()) {
    if (Status backed = back(wanted); !backed) return backed;
    if (free_.size() >= wanted) return {};
  }
  const PageNo before = file_.page_count();
  const auto missing = static_cast<PageNo>(wanted - free_.size());
  Status grown = file_.grow(before + std::max(missing, extent()));
  // A nearly full disk may still have room for what is needed now.
  if (!grown && missing < extent()) grown = file_.grow(before + missing);
  if (!grown) return grown;
  adopt_grown(before);
  return {};
}

// Behind the others, so that what is ready is taken first; of them the lowest first.
void PagePool::adopt_grown(PageNo before) {
  const PageNo after = file_.page_count();
  residency_.cover(after, true);
  cover(before, after);
  free_.insert(free_.begin(), after - before, 0);
  for (PageNo i = 0; i < after - before; ++i) free_[i] = after - 1 - i;
}

std::size_t PagePool::ready_goal() const {
  return std::clamp(demand_, kReadyMin, kReadyMax);
}

ReadyRequest PagePool::ask_ready() {
  ReadyRequest request;
  taken_ = false;
  const std::size_t goal = ready_goal();
  if (!returned_.empty()) settle(goal);
  if (free_count() < goal) {
    request.grow_from = file_.page_count();
    request.grow_to = request.grow_from + extent();
  }
  const std::size_t most = std::min(goal, free_.size());
  if (ready_ < most) {
    request.pages.assign(free_.end() - static_cast<std::ptrdiff_t>(most),
                         free_.end() - static_cast<std::ptrdiff_t>(ready_));
    ready_ = most;
  }
  return request;
}

void PagePool::made_ready(const ReadyRequest& request, bool grown) {
  for (const PageNo page : request.pages) residency_.brought(page);
  // Edits that came faster have had the file grown themselves.
  if (!grown || file_.page_count() != request.grow_from) return;
  if (file_.grow(request.grow_to)) adopt_grown(request.grow_from);
}

void PagePool::root_begun() {
  append(retired_, leaving_);
  clear_blank(blank_.size());
  std::swap(flipped_, blank_);
  flipped_.resize(unused_.size());
  blank_from_ = 0;
  root_pages_ = file_.page_count();
  residency_.root_begun();
}

void PagePool::clear_blank(std::size_t to) {
  to = std::min(to, blank_.size());
  if (to <= blank_from_) return;
  std::fill(blank_.begin() + static_cast<std::ptrdiff_t>(blank_from_), blank_.begin() + static_cast<std::ptrdiff_t>(to),
            0);
  blank_from_ = to;
}

void PagePool::copy_free_bits(PageNo first, std::span<std::byte> bits) {
  TZ_ASSERT(first % 64 == 0);
  for (std::size_t at = 0; at < bits.size(); at += sizeof(std::uint64_t)) {
    const std::size_t page = first + at * 8, word = page / 64;
    std::uint64_t free = page < root_pages_ ? unused_[word] ^ flipped_[word] : 0;
    if (page < root_pages_ && root_pages_ - page < 64) free &= (std::uint64_t{1} << (root_pages_ - page)) - 1;
    std::memcpy(&bits[at], &free, std::min(sizeof free, bits.size() - at));
  }
  clear_blank(first / 64 + bits.size() / sizeof(std::uint64_t) + 1);
}

void PagePool::root_durable() {
  append(leaving_, returned_);
  residency_.root_durable();
}

void PagePool::settle(std::size_t wanted) {
  constexpr std::size_t kSlice = 1024;
  const std::size_t short_of = wanted - std::min(wanted, free_.size());
  const std::size_t count = std::min(std::max(kSlice, short_of), returned_.size());
  const auto from = returned_.end() - static_cast<std::ptrdiff_t>(count);
  free_.insert(free_.end() - static_cast<std::ptrdiff_t>(ready_), from, returned_.end());
  returned_.erase(from, returned_.end());
}

void PagePool::cover(PageNo first, PageNo end) {
  const std::size_t words = (std::size_t{end} + 63) / 64;
  unused_.resize(words);
  flipped_.resize(words);
  for (PageNo page = first; page < end; ++page) unused_[page / 64] |= std::uint64_t{1} << page % 64;
}

bool PagePool::adopt(std::span<const std::byte> bits, PageNo pages) {
  if (bits.size() < (pages + 7) / 8 || pages > file_.page_count()) return false;
  free_.clear();
  returned_.clear();
  ready_ = 0;
  unbacked_.clear();
  residency_.cover(file_.page_count(), false);
  std::vector<PageNo>& found = file_.has_holes() ? unbacked_ : free_;
  for (PageNo page = file_.page_count(); page > pages; --page) found.push_back(page - 1);
  for_each_set_downward(bits, kRootSlots, pages, [&](PageNo page) { found.push_back(page); });
  cover_anew();
  for (const PageNo page : found) unused_[page / 64] |= std::uint64_t{1} << page % 64;
  return true;
}

void PagePool::cover_anew() {
  for (std::vector<std::uint64_t>* bits : {&unused_, &flipped_, &blank_}) bits->clear();
  blank_from_ = 0;
  unused_.resize((std::size_t{file_.page_count()} + 63) / 64);
  flipped_.resize(unused_.size());
}

void PagePool::adopt_new() {
  free_.clear();
  ready_ = 0;
  residency_.cover(file_.page_count(), true);
  for (PageNo page = file_.page_count(); page > kRootSlots; --page) free_.push_back(page - 1);
  cover_anew();
  cover(kRootSlots, file_.page_count());
}

}  // namespace terrazzo::storage
