#pragma once

#include <cstdint>
#include <span>

#include "tests/sim/truth.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// An edit over several shards is there whole or not at all: all twins of a group (playground.h) hold the same.
void check_twins(const char* world, Truth& truth, Verdict& verdict);
// And so they do in every version.
void check_twins_of_versions(const char* world, std::span<const std::uint64_t> versions, Truth& truth,
                             Verdict& verdict);

}  // namespace terrazzo::sim
