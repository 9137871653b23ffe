#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "loadtest/crowd.h"

namespace terrazzo::loadtest {

struct Verification {
  std::uint64_t replicas = 0, cells = 0, different = 0;
  std::string first_difference;
};

// Takes the area anew from the server with a client that has seen nothing of the painting, and compares both views of
// every replica with it, cell by cell. Everything painted is answered before. Replicas get half a minute to be as new
// as that state.
Result<Verification> verify(const Options& options, std::vector<std::unique_ptr<Crowd>>& crowds);

}  // namespace terrazzo::loadtest
