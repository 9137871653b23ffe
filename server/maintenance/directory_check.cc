#include "server/maintenance/directory_check.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <span>
#include <tuple>
#include <unordered_set>

#include "base/branch_world.h"
#include "map/formats/world_json.h"
#include "server/catalog/catalog.h"
#include "server/io/durable_file.h"
#include "server/io/read_only_page_file.h"
#include "server/maintenance/sha256.h"
#include "server/storage/history.h"
#include "server/storage/log_damage.h"
#include "server/storage/shard_store.h"
#include "server/storage/wal.h"

namespace terrazzo::maintenance {
namespace {

std::uint64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

class Check {
 public:
  using Progress = std::function<void(const std::string&, std::uint64_t, std::uint64_t)>;
  Check(const io::DataDirectory& data, const Progress& progress) : data_(data), progress_(progress) {}

  CheckReport run() {
    gather();
    for (const WorldId world : worlds_) metadata(world);
    for (const Shard& shard : shards_) check_shard(shard);
    for (const io::SegmentName& segment : segments_) check_segment(segment);
    check_log();
    for (const auto& file : history_) check_history(file);
    check_empty_shards();
    for (const std::string& asset : assets_) check_asset(asset);
    tell("done", 0);
    return std::move(report_);
  }

 private:
  struct Shard {
    WorldId world;
    io::ShardFile at;
    std::string path;
  };

  template <class T>
  std::vector<T> list(Result<std::vector<T>> listed) {
    if (listed) return *std::move(listed);
    report_.findings.push_back(listed.error().message);
    return {};
  }
  void gather() {
    worlds_ = list(data_.list_worlds());
    for (const WorldId world : worlds_) {
      for (const io::ShardFile& at : list(data_.list_shards(world))) {
        shards_.push_back({world, at, data_.shard_path(world, at.x, at.y)});
        total_ += size_of(shards_.back().path);
      }
    }
    segments_ = list(data_.list_segments());
    for (const io::SegmentName& segment : segments_) total_ += data_.segment_size(segment);
    history_ = list(data_.list_history());
    for (const auto& file : history_) total_ += file.bytes;
    assets_ = list(data_.list_assets());
  }
  void tell(const std::string& what, std::uint64_t within) {
    if (progress_) progress_(what, done_ + within, total_);
  }
  void finding(const std::string& where, const Error& error) {
    report_.findings.push_back(where + ": " + error.message);
  }

  void metadata(WorldId world) {
    ++report_.worlds;
    const std::string where = fmt::format("worlds/{}/world.json", world.value);
    const Result<std::string> text = data_.read_world(world);
    if (!text) return finding(where, text.error());
    if (const auto parsed = formats::world_from_json(*text); !parsed) finding(where, parsed.error());
    if (const Status lists = catalog::load_lists(data_, world, versions_, branches_); !lists) {
      report_.findings.push_back(lists.error().message);
      without_lists_.insert(world);
    }
  }

  void check_shard(const Shard& shard) {
    ++report_.shards;
    const Result<std::unique_ptr<io::ReadOnlyPageFile>> file = io::ReadOnlyPageFile::open(shard.path, io::Reads::all);
    if (!file) return finding(shard.path, file.error());
    const auto store = storage::ShardStore::open(**file, {shard.world, shard.at.x, shard.at.y});
    if (!store) {
      finding(shard.path, store.error());
    } else {
      const Status proof = (*store)->verify(
          [&](storage::PageNo done, storage::PageNo) { tell(shard.path, std::uint64_t{done} * storage::kPageBytes); },
          true);
      if (!proof) finding(shard.path, proof.error());
      const Status agrees = without_lists_.contains(shard.world)
                                ? Status()
                                : catalog::agrees_with_lists(**store, shard.world, versions_, branches_);
      if (!agrees) finding(shard.path, agrees.error());
      if ((*store)->generation() == 0) empty_.push_back(&shard);
      if (const auto root = storage::damaged_root(**file))
        report_.findings.push_back(fmt::format(
            "{}: page {}, one of the two roots, is not whole: the shard opens as of checkpoint {}, and newer edits are "
            "there only if the log has them; restore it from a backup if they are not",
            shard.path, *root, (*store)->generation()));
    }
    report_.pages += (*file)->page_count();
    done_ += std::uint64_t{(*file)->page_count()} * storage::kPageBytes;
    tell(shard.path, 0);
  }

  void check_segment(const io::SegmentName& name) {
    ++report_.segments;
    const std::string where = io::file_of(name);
    tell(where, 0);
    done_ += data_.segment_size(name);
    const auto bytes = data_.read_segment(name.core, name.incarnation, name.number);
    if (!bytes) return finding(where, bytes.error());
    const auto scan = storage::scan_segment(*bytes, name, [](const storage::Record&) {});
    if (!scan) return finding(where, scan.error());
    report_.records += scan->records;
    scans_.push_back({name, *scan});
  }

  // A torn group at the end of a log is no finding: that is what a crash leaves, and nobody was told that it is
  // durable.
  void check_log() {
    for (const storage::LogDamage& damage : storage::find_log_damage(scans_)) {
      report_.findings.push_back(fmt::format(
          "{}: {}; {}", io::file_of(damage.segment), damage.what,
          damage.of_a_past_run ? "a later run has all of it in the shards, nothing is lost, and the next start seals it"
                               : "acknowledged edits are lost: restore the folder from a backup, or see "
                                 "--accept-log-loss in docs/operations.md"));
    }
  }

  void check_history(const io::DataDirectory::HistoryFile& file) {
    ++report_.history;
    tell(file.path, 0);
    done_ += file.bytes;
    const Result<std::string> bytes = io::read_file(file.path);
    if (!bytes) return finding(file.path, bytes.error());
    const auto reader = storage::HistoryReader::open(std::as_bytes(std::span(*bytes)));
    if (!reader) return finding(file.path, reader.error());
    const auto blocks = reader->visit({}, [&](const storage::Record& record) {
      if (record.kind == storage::RecordKind::edit)
        in_history_.emplace(main_world(record.shard.world).value, record.shard.x, record.shard.y);
    });
    if (!blocks) finding(file.path, blocks.error());
  }

  // A file that a crash left before its first checkpoint looks like one that was cut to nothing. What was sealed had
  // been in a checkpoint before.
  void check_empty_shards() {
    report_.empty_shards = empty_.size();
    for (const Shard* shard : empty_)
      if (in_history_.contains({shard->world.value, shard->at.x, shard->at.y}))
        report_.findings.push_back(shard->path +
                                   ": has nothing in it, but the history has edits that its checkpoints held; restore "
                                   "it from a backup");
  }

  void check_asset(const std::string& hash) {
    ++report_.assets;
    const std::string where = "asset " + hash;
    const Result<std::string> bytes = data_.read_asset(hash);
    if (!bytes) return finding(where, bytes.error());
    if (const std::string is = sha256_hex(*bytes); is != hash)
      report_.findings.push_back(where + ": the SHA-256 of its bytes is " + is +
                                 "; upload the image again, or restore it from a backup");
  }

  const io::DataDirectory& data_;
  const Progress& progress_;
  CheckReport report_;
  std::vector<WorldId> worlds_;
  std::vector<Shard> shards_;
  catalog::VersionRegistry versions_;
  catalog::BranchRegistry branches_;
  std::unordered_set<WorldId> without_lists_;  // or damaged ones
  std::vector<const Shard*> empty_;
  std::set<std::tuple<std::uint64_t, std::int32_t, std::int32_t>> in_history_;  // world, x, y
  std::vector<io::SegmentName> segments_;
  std::vector<storage::ScannedSegment> scans_;
  std::vector<io::DataDirectory::HistoryFile> history_;
  std::vector<std::string> assets_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

CheckReport check_directory(
    const io::DataDirectory& data,
    const std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>& progress) {
  return Check(data, progress).run();
}

}  // namespace terrazzo::maintenance
