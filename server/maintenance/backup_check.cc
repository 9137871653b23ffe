#include "server/maintenance/backup_check.h"

#include <utility>

#include "server/maintenance/backup_manifest.h"
#include "server/maintenance/backup_shards.h"
#include "server/maintenance/packed_file.h"

namespace terrazzo::maintenance {
namespace {

class Check {
 public:
  Check(const BackupChain& chain, const BackupProgress& progress) : chain_(chain), progress_(progress) {
    for (const BackupLink& link : chain) {
      for (const auto& [path, file] : link.manifest.files)
        if (!file.in_base) total_ += file.packed.bytes;
      for (const auto& [path, shard] : link.manifest.shards) total_ += shard.trees.bytes + shard.cells.bytes;
    }
  }

  BackupCheck run() {
    report_.backups = chain_.size();
    report_.files = chain_.front().manifest.files.size();
    report_.shards = chain_.front().manifest.shards.size();
    report_.bytes = total_;
    // The oldest first: what is wrong there is the cause of what is wrong further on.
    for (auto link = chain_.rbegin(); link != chain_.rend(); ++link) check_link(*link);
    damaged_ = !report_.findings.empty();
    for (const auto& [path, shard] : chain_.front().manifest.shards) {
      const Result<ShardTrees> trees = read_trees(chain_, path);
      // A file that is damaged was named already.
      if (!trees && !damaged_) finding(trees.error());
    }
    return std::move(report_);
  }

 private:
  void check_link(const BackupLink& link) {
    for (const auto& [path, file] : link.manifest.files)
      if (!file.in_base) check_packed(link.packed(path), file.packed);
    for (const auto& [path, shard] : link.manifest.shards) {
      check_packed(link.packed_trees(path), shard.trees);
      if (shard.cells.bytes != 0) check_packed(link.packed_cells(path), shard.cells);  // else there is no such file
    }
  }
  void check_packed(const std::string& file, const PackedFile& expected) {
    std::uint64_t within = 0;
    const Status proven = unpack(file, expected, [&](std::span<const std::byte> bytes) -> Status {
      within += bytes.size();
      if (progress_) progress_(file, done_ + within, total_);
      return {};
    });
    if (!proven) finding(proven.error());
    done_ += expected.bytes;
  }
  void finding(const Error& error) { report_.findings.push_back(error.message); }

  const BackupChain& chain_;
  const BackupProgress& progress_;
  BackupCheck report_;
  bool damaged_ = false;  // a file's bytes are not those that the manifest names
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<BackupCheck> check_backup(const std::string& folder, const BackupProgress& progress) {
  const Result<BackupChain> chain = open_backup_chain(folder);
  if (!chain) return chain.error();
  return Check(*chain, progress).run();
}

}  // namespace terrazzo::maintenance
