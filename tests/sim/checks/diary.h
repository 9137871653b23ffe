#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "map/coords.h"
#include "tests/sim/truth.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// What clients wrote into their registers (playground.h) and what they were told of it.
class Diary {
 public:
  struct Page {
    std::uint32_t drawn = 0;                        // the newest value that an edit was made of
    std::uint32_t durable = 0;                      // the newest value that was acknowledged as durable
    std::map<std::uint64_t, std::uint32_t> values;  // by edit id
    std::set<std::uint32_t> rejected;
    bool in_pairs = false;  // each value is written into two shards by one edit

    // The cells that hold its values.
    std::vector<map::CellPos> cells(std::uint32_t client) const;
  };
  // The value for the client's next edit, which is no other's: callbacks may write the next one before this one is on its
  // way.
  std::uint32_t draw(std::uint32_t client) { return ++pages_[client].drawn; }
  void wrote(std::uint32_t client, EditId edit, std::uint32_t value, bool in_pairs);
  void told_durable(std::uint32_t client, EditId edit);
  void told_rejected(std::uint32_t client, EditId edit);
  const std::map<std::uint32_t, Page>& pages() const { return pages_; }

 private:
  std::map<std::uint32_t, Page> pages_;
};

// An edit that was acknowledged as durable is never lost, over several shards either, and there it is in all of them.
void check_durable_edits(const Diary& diary, Truth& truth, Verdict& verdict);

}  // namespace terrazzo::sim
