#pragma once

#include <cstdint>

// Which process a reader slot belongs to: Linux gives a process number again once its process is gone, so the number
// alone may name somebody else by then.
namespace terrazzo::shardfile {

// Number (22 bits: Linux goes up to 2^22) and, above it, the start in clock ticks since boot. 0: /proc does not tell.
std::uint64_t own_identity();
// True: that process has ended, be it that nobody has waited for it yet or that another has its number now. What cannot
// be told (/proc hides other users' processes) is false. Numbers are those of the caller's PID namespace.
bool process_gone(std::uint64_t identity);

}  // namespace terrazzo::shardfile
