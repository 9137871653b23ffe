#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/storage/wal.h"

namespace terrazzo::io {

struct ShardFile {
  std::int32_t x = 0, y = 0;
};

using storage::SegmentName;
// Its file inside the data folder: wal/core-NN/<incarnation>-<number>.wal.
std::string file_of(const SegmentName& segment);

// Everything a server keeps on disk, and the only one who knows the names of it (docs/storage.md):
//   LOCK  node.json  node.secret  wal/core-NN/<incarnation>-<number>.wal  history/core-NN/<incarnation>-<number>.hist
//   worlds/<id>/world.json  worlds/<id>/versions.json  worlds/<id>/<x>_<y>.shard  assets/<2 hex>/<62 hex>
//   worlds/<id>/branches.json  worlds/<id>/versions-<line>.json  users.names  history/complete-since.json
// A branch (base/branch_world.h) is in the folder and the shard files of its world.
// World names are data, never paths. Blocking calls for start-up and workers, any thread; the lock holds until
// destruction.
class DataDirectory {
 public:
  // Makes the folder if it is missing, takes the lock, counts a new incarnation. conflict: another server has it.
  static Result<std::unique_ptr<DataDirectory>> open(const std::string& path);
  // Looks at one without changing anything, locked or not. not_found, unsupported, internal.
  static Result<std::unique_ptr<DataDirectory>> look_at(const std::string& path);
  // The process that has the lock, as it called itself; empty: nobody has it.
  std::string holder() const;
  // For one that was only looked at: no server can start on it until this object goes. conflict: one is running.
  Status keep_servers_out();
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  const std::string& path() const { return path_; }
  Incarnation incarnation() const { return incarnation_; }
  // The newest time that edits of earlier runs are stamped with, as far as that was noted; in microseconds since 1970.
  std::uint64_t stamped_us() const { return stamped_us_; }
  // Before the log that says so is put away; nothing happens where it is not news.
  Status note_stamp(std::uint64_t stamped_us);
  // 32 random bytes made at the first start; signs resume tokens.
  const std::array<std::byte, 32>& secret() const { return secret_; }

  // ---- worlds ----
  Result<std::vector<WorldId>> list_worlds() const;
  // What is read of the worlds' metadata and lists from now on is what is on disk: a file that took another one's place
  // may have done so in memory only.
  Status sync_worlds() const;
  Result<std::string> read_world(WorldId world) const;
  // A new one's metadata; after an error there is none.
  Status write_world(WorldId world, std::string_view json);
  // Another one's in place of it. After an error either may be on disk.
  Status replace_world(WorldId world, std::string_view json);
  // Its named versions; not_found: there are none yet.
  Result<std::string> read_versions(WorldId world) const;
  Status write_versions(WorldId world, std::string_view json);
  Status remove_versions(WorldId branch);
  // Of any line of a world; not_found: it never had one.
  Result<std::string> read_branches(WorldId world) const;
  Status write_branches(WorldId world, std::string_view json);
  // Random, below 2^53 so that it is a number in every JSON reader, and not in use.
  Result<WorldId> new_world_id() const;
  std::string shard_path(WorldId world, std::int32_t x, std::int32_t y) const;
  Status make_shard_folder(WorldId world);
  Result<std::vector<ShardFile>> list_shards(WorldId world) const;  // empty where nobody has edited yet
  Result<bool> exists(const std::string& file) const;

  // ---- assets, by the hex SHA-256 of their bytes ----
  Status write_asset(const std::string& hash, std::string_view bytes);
  Result<std::string> read_asset(const std::string& hash) const;  // not_found
  Result<std::vector<std::string>> list_assets() const;           // their hashes

  // ---- log segments ----
  // A new file of `bytes` zeros, written and synced: syncing data into it later need not touch the file's metadata.
  // The descriptor is the caller's.
  Result<int> create_segment(std::uint32_t core, Incarnation incarnation, std::uint32_t number, std::uint64_t bytes);
  Status remove_segment(std::uint32_t core, Incarnation incarnation, std::uint32_t number);
  // Out of the log, but not out of the folder: it gets `.damaged` behind its name.
  Status set_aside_segment(const SegmentName& segment);
  Result<std::vector<SegmentName>> list_segments() const;
  // Segments that were removed stay so, whatever happens.
  Status sync_log_folders() const;
  // Sealed segments: history/core-NN/<incarnation>-<number>.hist.
  Status write_history(const SegmentName& segment, std::span<const std::byte> bytes);
  struct HistoryFile {
    SegmentName name;
    std::string path;
    std::uint64_t bytes = 0;
    std::int64_t age_s = 0;  // since it was sealed
  };
  Result<std::vector<HistoryFile>> list_history() const;  // the oldest first
  Status remove_history(const HistoryFile& file);
  std::uint64_t segment_size(const SegmentName& segment) const;
  // At most the first `bytes_max` bytes.
  Result<std::vector<std::byte>> read_segment(std::uint32_t core, Incarnation incarnation, std::uint32_t number,
                                              std::size_t bytes_max = SIZE_MAX) const;
  // Since when the past is complete; not_found: nobody has written that.
  Result<std::string> read_history_start() const;
  Status write_history_start(std::string_view json);

  // ---- names of users, one after another ----
  Result<std::string> read_user_names() const;  // not_found: nobody has one yet
  Status append_user_names(std::string_view bytes);
  Status write_user_names(std::string_view bytes);

  // Before it is believed; see io::look_at_disk().
  Status look_at_disk(const SegmentName& segment) const;

 private:
  explicit DataDirectory(std::string path) : path_(std::move(path)) {}
  Status lock();
  Status load_node();
  Status expect_nothing_yet() const;
  struct NodeFile {
    std::uint64_t incarnation = 0, stamped_us = 0;
  };
  Result<NodeFile> read_node() const;
  Status write_node() const;
  Status load_secret();
  Status have_folder(const std::string& path) const;
  std::string world_folder(WorldId world) const;
  std::string versions_file(WorldId world) const;
  std::string asset_path(const std::string& hash) const;
  std::string segment_path(std::uint32_t core, Incarnation incarnation, std::uint32_t number) const;

  std::string path_;
  mutable std::mutex mutex_;
  mutable std::set<std::string> durable_folders_;  // whose names this run has seen to be on disk
  int lock_fd_ = -1;
  Incarnation incarnation_;
  std::uint64_t stamped_us_ = 0;
  std::array<std::byte, 32> secret_{};
};

}  // namespace terrazzo::io
