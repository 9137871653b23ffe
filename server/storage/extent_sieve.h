#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "server/storage/page_file.h"

namespace terrazzo::storage {

// Chooses what to release: SIEVE (Zhang et al., NSDI 2024). A queue in the order of arrival with a hand that goes from
// the oldest to the newest and round again; who was used since the hand came by stays where it is, the first who was
// not goes. One scan over a large area does not push out what painters work on. Extents of many files.
class ExtentSieve {
 public:
  struct Key {
    std::uint32_t file = 0;
    PageNo extent = 0;
  };
  // One that is not in the queue.
  void insert(Key key);
  // Takes all of a file's out of the queue; looks at every one there is.
  void erase_file(std::uint32_t file);
  std::size_t size() const { return size_; }

  enum class Verdict : std::uint8_t { keep, release };
  // Moves the hand past at most `steps` extents until `judge` releases one, which leaves the queue.
  template <class Judge>
  std::optional<Key> next(std::size_t steps, Judge&& judge) {
    for (std::size_t i = 0; i < steps && size_ != 0; ++i) {
      const std::uint32_t at = hand_ == kNone ? oldest_ : hand_;
      hand_ = nodes_[at].newer;
      if (judge(nodes_[at].key) == Verdict::release) {
        const Key key = nodes_[at].key;
        remove(at);
        return key;
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint32_t kNone = ~0u;
  struct Node {
    Key key;
    std::uint32_t older = kNone, newer = kNone;
  };
  void remove(std::uint32_t at);

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> unused_;
  std::uint32_t oldest_ = kNone, newest_ = kNone, hand_ = kNone;  // kNone: begin again at the oldest
  std::size_t size_ = 0;
};

}  // namespace terrazzo::storage
