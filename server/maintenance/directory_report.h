#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/io/data_directory.h"
#include "server/storage/shard_store.h"

namespace terrazzo::maintenance {

// What a shard file holds, according to its newest durable root.
struct ShardReport {
  std::int32_t x = 0, y = 0;
  std::uint64_t bytes = 0, generation = 0, lsn = 0;
  storage::ShardStore::Pages pages;
  std::uint64_t versions = 0, undo_points = 0, branches = 0;
  struct Layer {
    unsigned id = 0;
    std::uint64_t cells = 0, uniform = 0, blobs = 0;  // chunks, by what they are
  };
  std::vector<Layer> layers;  // that were ever written
  std::string problem;        // why it cannot be read; empty: nothing
};

struct WorldReport {
  WorldId id;
  std::string name, problem;
  std::vector<ShardReport> shards;
};

struct DirectoryReport {
  std::string path, holder;
  std::uint64_t incarnation = 0;
  std::vector<WorldReport> worlds;
  std::uint64_t segments = 0, segment_bytes = 0, assets = 0;
};

// Looks at a data folder, also one that a server is using: then what it tells of a shard is its last checkpoint.
// `progress`: what is looked at, and bytes of shards done of all.
DirectoryReport report_directory(
    const io::DataDirectory& data,
    const std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>& progress = {});
std::string to_text(const DirectoryReport& report);
std::string to_json(const DirectoryReport& report);

}  // namespace terrazzo::maintenance
