#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/edit.h"
#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// A damaged page costs its shard only: where nothing but bits on the disk went wrong, no edit is refused but those that
// touch a shard with such a bit, and a start fails only with words that name such a shard.
class Damage {
 public:
  explicit Damage(Verdict& verdict) : verdict_(verdict) {}
  void rotted(const std::string& path) { rotten_.insert(path); }
  bool any() const { return !rotten_.empty(); }
  // An edit of these cells is sent; an id is one of its session, which is its client's.
  void submitted(std::uint32_t client, EditId edit, const std::string& world, std::span<const map::Op> ops);
  void rejected(std::uint32_t client, EditId edit, const Error& error, Server& server, const Faults& faults);
  // Whether it was refused because nobody can look whether it was applied when it was sent the first time.
  bool is_unknown(std::uint32_t client, EditId edit, const Error& error, Server& server) const;
  void start_failed(const std::string& why, const Faults& faults);

 private:
  struct Sent {
    std::string world;
    std::set<std::pair<std::int32_t, std::int32_t>> shards;
  };
  // Failed operations make shards read-only, too, and starts fail; then nothing is claimed.
  bool touches_rotten(const Sent& sent, Server& server) const;
  static bool is_damage(const Error& error) {
    return error.code == ErrorCode::read_only || error.code == ErrorCode::internal;
  }
  static bool only_bits(const Faults& faults);

  Verdict& verdict_;
  std::set<std::string> rotten_;  // files that had a rotten page at some time
  std::map<std::pair<std::uint32_t, std::uint64_t>, Sent> sent_;
};

}  // namespace terrazzo::sim
