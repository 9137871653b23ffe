#pragma once

#include <filesystem>

#include "bench/store/results.h"

namespace terrazzo::bench {

// What the kernel takes for writing to pages of a mapped file: new ones, ones that were synced since, ones that
// somebody populated; and what huge pages change. Decision 12 rests on it. Makes a file of 256 MiB, twice, and removes
// it.
void measure_page_costs(Results& results, const std::filesystem::path& folder);

}  // namespace terrazzo::bench
