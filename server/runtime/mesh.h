#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"

namespace terrazzo::runtime {

// What crosses from core to core: a kind and up to 48 bytes of it, or a pointer whose ownership moves with the message.
// Trivially copyable; one cache line.
struct alignas(64) MeshMessage {
  std::uint32_t kind = 0;   // of app/mesh_kinds.h
  std::uint32_t small = 0;
  std::uint64_t words[7] = {};
};
static_assert(sizeof(MeshMessage) == 64);

}  // namespace terrazzo::runtime
