#pragma once

#include <string>

#include "base/error.h"

namespace terrazzo::runtime {

// Whether the ring back end of FileQueue works on files of this folder, found out by using it on one that nobody sees:
// a kernel, a sandbox or a file system may refuse any part of it. unsupported: which part, and how it failed. Blocks
// for a few synced writes, some seconds at most; any thread, at start-up.
Status try_ring_files(const std::string& folder);

}  // namespace terrazzo::runtime
