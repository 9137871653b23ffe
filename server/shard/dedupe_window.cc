#include "server/shard/dedupe_window.h"

#include <algorithm>
#include <cstring>

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

struct Stored {
  std::uint64_t author, newest, last_lsn;
  std::uint64_t bits[DedupeWindow::kIds / 64];
};
static_assert(sizeof(Stored) == 24 + DedupeWindow::kIds / 8);

}  // namespace

bool DedupeWindow::seen(SessionId author, EditId edit) const {
  const auto found = windows_.find(author);
  if (found == windows_.end() || edit.value > found->second.newest) return false;
  if (found->second.newest - edit.value >= kIds) return true;
  return test(found->second.bits, edit.value);
}

bool DedupeWindow::remembers(SessionId author, EditId edit) const {
  const auto found = windows_.find(author);
  return found != windows_.end() && found->second.newest - edit.value < kIds && seen(author, edit);
}

void DedupeWindow::remember(SessionId author, EditId edit, Lsn now) {
  Window& window = windows_[author];
  window.last_lsn = now.value;
  if (edit.value > window.newest) {
    if (edit.value - window.newest >= kIds) {
      window.bits.fill(0);
    } else {
      for (std::uint64_t id = window.newest + 1; id < edit.value; ++id) put(window.bits, id, false);
    }
    window.newest = edit.value;
  }
  put(window.bits, edit.value, true);
  if (windows_.size() > kSessionsMax) drop_oldest();
}

void DedupeWindow::drop_oldest() {
  // A quarter at once, so that a crowd of new sessions pays for the search rarely.
  std::vector<std::uint64_t> ages;
  ages.reserve(windows_.size());
  for (const auto& [author, window] : windows_) ages.push_back(window.last_lsn);
  const auto quarter = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 4);
  std::nth_element(ages.begin(), quarter, ages.end());
  std::erase_if(windows_, [limit = *quarter](const auto& entry) { return entry.second.last_lsn < limit; });
}

std::size_t DedupeWindow::encoded_bytes() const {
  return sizeof(std::uint64_t) + windows_.size() * sizeof(Stored);
}

void DedupeWindow::encode(std::vector<std::byte>& out) const {
  const std::uint64_t count = windows_.size();
  std::size_t at = out.size();
  out.resize(at + sizeof count + count * sizeof(Stored));
  std::memcpy(out.data() + at, &count, sizeof count);
  at += sizeof count;
  for (const auto& [author, window] : windows_) {
    Stored stored{author.value, window.newest, window.last_lsn, {}};
    std::ranges::copy(window.bits, stored.bits);
    std::memcpy(out.data() + at, &stored, sizeof stored);
    at += sizeof stored;
  }
}

Status DedupeWindow::decode(std::span<const std::byte>& bytes) {
  std::uint64_t count = 0;
  const Error damaged{ErrorCode::internal, "the shard's table of applied edits is damaged"};
  if (bytes.size() < sizeof count) return damaged;
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes = bytes.subspan(sizeof count);
  if (count > bytes.size() / sizeof(Stored)) return damaged;
  windows_.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data(), sizeof stored);
    bytes = bytes.subspan(sizeof stored);
    Window& window = windows_[SessionId{stored.author}];
    window.newest = stored.newest;
    window.last_lsn = stored.last_lsn;
    std::ranges::copy(stored.bits, window.bits.begin());
  }
  return {};
}

}  // namespace terrazzo::shard
