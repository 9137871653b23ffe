#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sim/random.h"

namespace terrazzo::sim {

// What may go wrong. Each has a rate drawn from the seed: per chance it gets (an operation, a message), or per second
// of virtual time.
enum class Fault : std::uint8_t {
  delay,         // a message takes long
  split,         // bytes come in small pieces, few are taken at once
  cut,           // a connection is reset
  half_open,     // a connection on which nothing comes through any more, and nobody is told
  slow_reader,   // a client stops reading for a while
  client_crash,  // a client loses everything it knew, and another one comes
  core_stall,    // a core does nothing for a while
  small_rings,   // rings of a few messages
  power_loss,    // the server ends; what was not synced is kept, lost or torn
  restart,       // the server is asked to stop, and started again
  core_count,    // a start with another number of cores
  sync_fail,     // a sync fails
  write_fail,    // a write fails
  short_write,   // a write takes a part of the bytes
  read_fail,     // a read fails
  slow_disk,     // an operation takes long
  disk_full,     // no space for a while
  bit_rot,       // a bit flips in a page that is not in memory
  clock_jump,    // the wall clock jumps
  stranded,      // what a sync that fails should have written stays in memory, and no later sync writes it
  kCount,
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::kCount);

std::string_view fault_name(Fault fault);

// The rates of one run, and how often each fault was injected.
class Faults {
 public:
  // About half of the kinds are off in each run, so that each is seen without the others, too.
  void draw(Random random);
  // Only without it.
  void switch_off(Fault fault) { rates_[index(fault)] = 0; }
  // False: the name is unknown.
  bool switch_off(std::string_view name);
  // At its highest rate, whatever was drawn; false: the name is unknown.
  bool switch_on(std::string_view name);
  double rate(Fault fault) const { return rates_[index(fault)]; }
  // For what has a rate per chance.
  bool strikes(Fault fault, Random& random) {
    if (!on_ || !random.chance(rate(fault))) return false;
    count(fault);
    return true;
  }
  void count(Fault fault) { ++counts_[index(fault)]; }
  std::uint64_t counted(Fault fault) const { return counts_[index(fault)]; }
  // Nothing more goes wrong.
  void end() { on_ = false; }
  void begin() { on_ = true; }
  bool on() const { return on_; }
  std::string text() const;

 private:
  static std::size_t index(Fault fault) { return static_cast<std::size_t>(fault); }
  std::array<double, kFaults> rates_{};
  std::array<std::uint64_t, kFaults> counts_{};
  bool on_ = false;
};

}  // namespace terrazzo::sim
