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
    std::uint32_t written = 0;                      // the newest value
    std::uint32_t durable = 0;                      // the newest value that was acknowledged as durable
    std::map<std::uint64_t, std::uint32_t> values;  // by edit id
    std::set<std::uint32_t> rejected;
    bool in_pairs = false;  // each value is written into two shards by one edit

    // The cells that hold its values.
    std::vector<map::CellPos> cells(std::uint32_t client) const;
  };
  // The value for the client's next edit.
  std::uint32_t next(std::uint32_t client) { return pages_[client].written + 1; }
  void wrote(std::uint32_t client, EditId edit, bool in_pairs);
  void told_durable(std::uint32_t client, EditId edit);
  void told_rejected(std::uint32_t client, EditId edit);
  const std::map<std::uint32_t, Page>& pages() const { return pages_; }

 private:
  std::map<std::uint32_t, Page> pages_;
};

// An edit that was acknowledged as durable is never lost, over several shards either, and there it is in all of them.
void check_durable_edits(const Diary& diary, Truth& truth, Verdict& verdict);

}  // namespace terrazzo::sim
