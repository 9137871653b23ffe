#include "shardfile/tree_diff.h"

namespace terrazzo::shardfile {
namespace {

class Diff {
 public:
  Diff(const TreeReader& a, const TreeReader& b,
       const std::function<void(std::uint8_t layer, std::uint16_t chunk)>& visit)
      : a_(a), b_(b), visit_(visit) {}

  // `key`: the path so far, 8 bits a step; `level`: steps still to go.
  bool compare(const Entry& a, const Entry& b, int level, std::uint32_t key) {
    if (same(a, b)) return true;
    if (level == 0) {
      visit_(static_cast<std::uint8_t>(key >> 16),
             chunk_of(static_cast<std::uint8_t>(key >> 8), static_cast<std::uint8_t>(key)));
      return true;
    }
    const bool node_a = a.tag() == Tag::page, node_b = b.tag() == Tag::page;
    if ((node_a && !a_.inside(a.value)) || (node_b && !b_.inside(b.value))) return false;
    for (std::uint32_t i = 0; i < kNodeEntries; ++i) {
      // What is one entry on one side is the same entry everywhere below it.
      const Entry child_a = node_a ? load(a_.node(a.value)[i]) : a;
      const Entry child_b = node_b ? load(b_.node(b.value)[i]) : b;
      if (!compare(child_a, child_b, level - 1, key << 8 | i)) return false;
    }
    return true;
  }

 private:
  static bool same(const Entry& a, const Entry& b) {
    // Never touched and filled with nothing look alike.
    if (!a.has_page() && !b.has_page()) return a.value == b.value;
    return a.tag() == b.tag() && a.value == b.value;
  }

  const TreeReader& a_;
  const TreeReader& b_;
  const std::function<void(std::uint8_t, std::uint16_t)>& visit_;
};

}  // namespace

bool diff_trees(const TreeReader& a, const TreeReader& b,
                const std::function<void(std::uint8_t layer, std::uint16_t chunk)>& visit) {
  return Diff(a, b, visit).compare(a.top(), b.top(), kNodeLevels, 0);
}

}  // namespace terrazzo::shardfile
