#pragma once

#include <filesystem>

#include "bench/store/results.h"

namespace terrazzo::bench {

// P6: the first edit after a snapshot; a version of side × side shards beside a copy of their files; what edits cost
// while many versions are held.
void measure_versions(Results& results, const std::filesystem::path& folder, int side);

}  // namespace terrazzo::bench
