#pragma once

#include <cstdint>

#include "base/error.h"

namespace terrazzo::loadtest {

// Bytes of memory that a process of this machine has resident; 0: it is not there.
std::uint64_t resident_bytes(int pid);

// What the kernel keeps for sockets of this machine, of everybody: its own objects (slab), and buffers of TCP.
struct KernelMemory {
  std::uint64_t slab_bytes = 0, tcp_bytes = 0;
  static KernelMemory now();
};

// Bytes that the kernel holds for the connections of a listening port: written, and not acknowledged by the other side.
struct SendQueues {
  std::uint64_t connections = 0, bytes = 0, bytes_of_longest = 0;
  static SendQueues of_port(std::uint16_t port);
};

// Makes room for this many open files and connections; the error says what to do about a limit that is too low.
Status allow_open_files(std::uint64_t count);

}  // namespace terrazzo::loadtest
