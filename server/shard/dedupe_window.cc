#include "server/shard/dedupe_window.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace terrazzo::shard {
namespace {

bool test(std::span<const std::uint64_t> bits, std::uint64_t id) {
  const std::uint64_t bit = id % DedupeWindow::kIds;
  return (bits[bit / 64] >> (bit % 64) & 1) != 0;
}
void put(std::span<std::uint64_t> bits, std::uint64_t id, bool value) {
  const std::uint64_t bit = id % DedupeWindow::kIds, mask = std::uint64_t{1} << (bit % 64);
  bits[bit / 64] = value ? bits[bit / 64] | mask : bits[bit / 64] & ~mask;
}

}  // namespace

const DedupeWindow::Window* DedupeWindow::find(SessionId author) const {
  const auto found = places_.find(author);
  return found == places_.end() ? nullptr : &(*blocks_[found->second / kBlockWindows])[found->second % kBlockWindows];
}

DedupeWindow::Window& DedupeWindow::window(std::size_t place) {
  std::shared_ptr<Block>& block = blocks_[place / kBlockWindows];
  if (block.use_count() != 1) block = std::make_shared<Block>(*block);
  return (*block)[place % kBlockWindows];
}

std::size_t DedupeWindow::add(const Window& window) {
  const std::size_t place = places_.size();
  if (place % kBlockWindows == 0) blocks_.push_back(std::make_shared<Block>());
  std::shared_ptr<Block>& block = blocks_.back();
  if (block.use_count() != 1) block = std::make_shared<Block>(*block);
  block->push_back(window);
  places_[SessionId{window.author}] = place;
  return place;
}

bool DedupeWindow::seen(SessionId author, EditId edit) const {
  const Window* const window = find(author);
  if (window == nullptr || edit.value > window->newest) return false;
  if (window->newest - edit.value >= kIds) return true;
  return test(window->bits, edit.value);
}

bool DedupeWindow::remembers(SessionId author, EditId edit) const {
  const Window* const window = find(author);
  return window != nullptr && window->newest - edit.value < kIds && seen(author, edit);
}

void DedupeWindow::remember(SessionId author, EditId edit, Lsn now) {
  const auto found = places_.find(author);
  Window& own = window(found != places_.end() ? found->second : add({.author = author.value}));
  own.last_lsn = now.value;
  if (edit.value > own.newest) {
    if (edit.value - own.newest >= kIds) {
      own.bits.fill(0);
    } else {
      for (std::uint64_t id = own.newest + 1; id < edit.value; ++id) put(own.bits, id, false);
    }
    own.newest = edit.value;
  }
  put(own.bits, edit.value, true);
  if (places_.size() > kSessionsMax) drop_oldest();
}

void DedupeWindow::drop_oldest() {
  // A quarter at once, so that a crowd of new sessions pays for the search rarely.
  std::vector<std::uint64_t> ages;
  ages.reserve(places_.size());
  for (const auto& block : blocks_)
    for (const Window& window : *block) ages.push_back(window.last_lsn);
  const auto quarter = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 4);
  std::nth_element(ages.begin(), quarter, ages.end());
  const Blocks all = std::exchange(blocks_, {});
  places_.clear();
  for (const auto& block : all)
    for (const Window& window : *block)
      if (window.last_lsn >= *quarter) add(window);
}

// The number of windows, then one after the other.
class DedupeWindow::Bytes final : public storage::AuxSource {
 public:
  Bytes(Blocks blocks, std::uint64_t count) : blocks_(std::move(blocks)), count_(count) {}
  std::size_t bytes() const override { return sizeof count_ + count_ * sizeof(Window); }
  void next(std::span<std::byte> to) override {
    while (!to.empty()) {
      const std::span<const std::byte> part = part_at(at_);
      const std::size_t size = std::min(part.size(), to.size());
      std::ranges::copy(part.first(size), to.begin());
      to = to.subspan(size);
      at_ += size;
    }
  }

 private:
  std::span<const std::byte> part_at(std::size_t at) const {
    if (at < sizeof count_) return std::as_bytes(std::span(&count_, 1)).subspan(at);
    constexpr std::size_t kBlockBytes = kBlockWindows * sizeof(Window);
    const std::size_t in_windows = at - sizeof count_;
    return std::as_bytes(std::span(*blocks_[in_windows / kBlockBytes])).subspan(in_windows % kBlockBytes);
  }

  Blocks blocks_;
  std::uint64_t count_;
  std::size_t at_ = 0;
};

std::unique_ptr<storage::AuxSource> DedupeWindow::bytes() const {
  return std::make_unique<Bytes>(blocks_, places_.size());
}

std::size_t DedupeWindow::encoded_bytes() const {
  return sizeof(std::uint64_t) + places_.size() * sizeof(Window);
}

Status DedupeWindow::decode(std::span<const std::byte>& bytes) {
  std::uint64_t count = 0;
  const Error damaged{ErrorCode::internal, "the shard's table of applied edits is damaged"};
  if (bytes.size() < sizeof count) return damaged;
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes = bytes.subspan(sizeof count);
  if (count > bytes.size() / sizeof(Window)) return damaged;
  places_.clear();
  blocks_.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    Window window;
    std::memcpy(&window, bytes.data(), sizeof window);
    bytes = bytes.subspan(sizeof window);
    if (places_.contains(SessionId{window.author})) return damaged;
    add(window);
  }
  return {};
}

}  // namespace terrazzo::shard
