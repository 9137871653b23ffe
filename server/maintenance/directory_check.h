#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/io/data_directory.h"

namespace terrazzo::maintenance {

struct CheckReport {
  std::uint64_t worlds = 0, shards = 0, pages = 0, segments = 0, records = 0, history = 0, assets = 0;
  // Shard files that nothing was ever written to: their edits, if any, are in the log.
  std::uint64_t empty_shards = 0;
  // Each names the file, where in it, and what is wrong.
  std::vector<std::string> findings;
};

// Proves the data folder of a server that does not run, and changes nothing: metadata makes sense; the lists of
// versions and branches, too, and they are not older than the shards; in every shard file the root, its chains and each
// page's checksum, parent over child, and that each page is reached at one place, free, or in a chain; the log up to
// where it ends, and that nothing lies behind; sealed segments block by block; assets against the hash that names them.
// `progress`: what is looked at, and bytes done of all.
CheckReport check_directory(
    const io::DataDirectory& data,
    const std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace terrazzo::maintenance
