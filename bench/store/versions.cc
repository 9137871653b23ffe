#include "bench/store/versions.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <vector>

#include "bench/store/peer.h"
#include "bench/store/progress.h"
#include "bench/store/shard_world.h"
#include "bench/store/timing.h"

namespace terrazzo::bench {
namespace {

namespace fs = std::filesystem;

void write_chunks(BenchShard& shard, std::uint32_t chunks) {
  storage::ShardStore& store = shard.store();
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    if (!store.begin_edit(next(store.lsn()), 4)) give_up("the disk is full");
    store.write(0, static_cast<std::uint16_t>(chunk))[0] = chunk;
  }
  shard.checkpoint();
}

void first_edit(Results& results, const fs::path& folder) {
  proto::Encoder encoder;
  BenchShard shard(folder / "0_0.shard", {0, 0}, encoder);
  storage::ShardStore& store = shard.store();
  write_chunks(shard, 65536);
  const storage::PageNo before = store.pages().live + store.pages().pending;
  store.pin(storage::PinKind::snapshot, 1);
  const double time = time_of([&] {
    if (!store.begin_edit(next(store.lsn()), 4)) give_up("the disk is full");
    store.write(0, 40000)[5] = 1;
  });
  const double copied = static_cast<double>(store.pages().live + store.pages().pending - before);
  results.add("first edit after a snapshot", time, "ns");
  results.ratio("pages copied", copied, "≤ 4");
  if (!store.unpin(storage::PinKind::snapshot, 1)) give_up("no snapshot");
  const double drop = time_of([&] {
    while (store.reclaim(100000)) {
    }
  });
  results.add("dropping it again (one chunk differs)", drop / 1000, "µs");
  Goal goal{"P6", "first edit after a snapshot: pages copied", copied, "pages"};
  goal.goal = "≤ 4";
  goal.met = copied <= 4;
  goal.limit = "the depth of the tree: directory, region, leaf, cells";
  results.goal(std::move(goal));
}

// As `cp` does it, and to disk, since that is where a version is.
void copy_to_disk(const fs::path& from, const fs::path& to) {
  const int in = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (in < 0 || out < 0) give_up(to.string() + " cannot be made");
  while (true) {
    const ssize_t copied = ::sendfile(out, in, nullptr, std::size_t{1} << 30);
    if (copied < 0) give_up(to.string() + " cannot be written");
    if (copied == 0) break;
  }
  if (::fdatasync(out) != 0) give_up(to.string() + " cannot be synced");
  ::close(in);
  ::close(out);
}

void version_beside_copy(Results& results, const fs::path& folder, int side) {
  constexpr std::uint32_t kChunks = 64;  // of each shard
  proto::Encoder encoder;
  std::vector<std::unique_ptr<BenchShard>> shards;
  const auto path = [&](std::int32_t x, std::int32_t y) { return folder / fmt::format("{}_{}.shard", x, y); };
  fs::create_directories(folder / "copy");
  {
    ProgressBar bar("making shards", static_cast<std::uint64_t>(side) * static_cast<std::uint64_t>(side));
    for (std::int32_t y = 0; y < side; ++y)
      for (std::int32_t x = 0; x < side; ++x) {
        shards.push_back(std::make_unique<BenchShard>(path(x, y), map::ShardPos{x, y}, encoder));
        write_chunks(*shards.back(), kChunks);
        bar.at(shards.size());
      }
  }
  std::vector<double> cuts;
  for (std::uint64_t version = 1; version <= 20; ++version) {
    cuts.push_back(time_of([&] {
      for (const auto& shard : shards) shard->shard().take_version(version);
    }));
  }
  double bytes = 0;
  const double copy = time_of([&] {
    for (std::int32_t y = 0; y < side; ++y)
      for (std::int32_t x = 0; x < side; ++x) copy_to_disk(path(x, y), folder / "copy" / path(x, y).filename());
  });
  for (const auto& entry : fs::directory_iterator(folder / "copy")) bytes += static_cast<double>(entry.file_size());
  const double cut = quantile(cuts, 0.5);
  results.add(fmt::format("a version of {} shards, the cut alone, p50 of 20", shards.size()), cut / 1e6, "ms");
  results.add(fmt::format("copies of their files on disk, {:.0f} MB", bytes / 1e6), copy / 1e6, "ms");
  Goal goal{"P6", fmt::format("version of {} shards, the cut in memory", shards.size()), cut / 1e6, "ms"};
  goal.yardstick = fmt::format("copy of their files ({:.0f} MB)", bytes / 1e6);
  goal.yardstick_value = copy / 1e6;
  goal.ratio = cut / copy;
  goal.goal = "< 10 ms";
  goal.met = cut / 1e6 < 10;
  goal.limit = "a cache miss or two for each shard";
  results.goal(std::move(goal));
}

// A version, then 16 edits of single cells anywhere: each copies what the version has. Mean time of those edits.
double edit_beside_versions(BenchShard& shard, LogFile& log, std::uint64_t first, std::uint64_t count, bool keep) {
  std::mt19937 random(static_cast<std::uint32_t>(first));
  const map::Cell cell{3};
  double time = 0;
  constexpr int kEdits = 16;
  for (std::uint64_t version = first; version < first + count; ++version) {
    shard.shard().take_version(version);
    for (int i = 0; i < kEdits; ++i) {
      map::Op op;
      op.rect = map::Rect::of_size(random() % 8192, random() % 8192, 1, 1);
      op.cells = {&cell, 1};
      time += time_of([&] { shard.edit({&op, 1}, log); });
      shard.shard().log_durable(log.durable(), log);
    }
    if (!keep) {
      shard.shard().drop_version(version);
      while (shard.shard().reclaim(100000)) {
      }
    }
    shard.prepare();
  }
  return time / static_cast<double>(count * kEdits);
}

void edits_with_versions(Results& results, const fs::path& folder) {
  constexpr std::uint64_t kHeld = 500;
  proto::Encoder encoder;
  LogFile log(folder / "log", std::uint64_t{64} << 20);
  BenchShard shard(folder / "0_0.shard", {0, 0}, encoder);
  write_chunks(shard, 65536);
  std::uint64_t next = 1;
  const auto edits = [&](std::uint64_t count, bool keep) {
    const double time = edit_beside_versions(shard, log, next, count, keep);
    next += count;
    return time;
  };
  edits(kHeld, false);  // until pages are ready and caches warm
  const double before = edits(kHeld, false);
  const std::uint64_t held = next;
  edits(kHeld, true);
  const double many = edits(kHeld, false);
  for (std::uint64_t version = held; version < held + kHeld; ++version) shard.shard().drop_version(version);
  while (shard.shard().reclaim(100000)) {
  }
  // Before and after, since the file has grown meanwhile.
  const double one = (before + edits(kHeld, false)) / 2;
  results.add("an edit that the newest version makes copy its chunk: one version held", one, "ns");
  results.add("the same, 500 older versions held", many, "ns");
  Goal goal{"P6", "edit of a chunk that a version holds, 500 versions held", many, "ns"};
  goal.yardstick = "one version held";
  goal.yardstick_value = one;
  goal.ratio = many / one;
  goal.goal = "–";
  goal.met = true;
  goal.limit = "the copies of cells and leaf, and the faults of fresh pages";
  results.goal(std::move(goal));
}

fs::path fresh(const fs::path& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

}  // namespace

void measure_versions(Results& results, const fs::path& folder, int side) {
  results.section("P6 versions");
  first_edit(results, fresh(folder));
  version_beside_copy(results, fresh(folder), side);
  edits_with_versions(results, fresh(folder));
  fs::remove_all(folder);
}

}  // namespace terrazzo::bench
