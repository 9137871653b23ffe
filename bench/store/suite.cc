// The store next to LMDB, SQLite and RocksDB: the same work, the same durability, one run. What each part measures is
// in bench/README.md.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "base/crc32c.h"
#include "bench/store/large_world.h"
#include "bench/store/page_costs.h"
#include "bench/store/peer.h"
#include "bench/store/progress.h"
#include "bench/store/results.h"
#include "bench/store/server_rows.h"
#include "bench/store/shard_world.h"
#include "bench/store/timing.h"
#include "bench/store/versions.h"
#include "server/runtime/clock.h"
#include "server/runtime/file_queue.h"
#include "server/runtime/ring.h"

namespace terrazzo::bench {

void give_up(const std::string& why) {
  fmt::print(stderr, "terrazzo-store-suite: {}\n", why);
  std::exit(1);
}

namespace {

namespace fs = std::filesystem;

// What limits what, found by profiles: bench/README.md says which.
constexpr const char* kEditLimit =
    "the first touch of the cell, for its pre-image: a miss of caches and of the translation of addresses";
constexpr const char* kReadLimit =
    "the load of the cell: a miss of caches and of the translation of addresses, which LMDB has, too";
constexpr const char* kTailLimit = "faults of fresh pages: nearly every edit copies what the checkpoint pins";
constexpr const char* kFillLimit = "faults of the fresh pages that the border's chunks are copied to";
constexpr const char* kUndoLimit = "faults of fresh pages, then the comparison of the border's cells";

struct Options {
  std::string folder = "/tmp", json, markdown, only;
  bool quick = false, large = false;
  std::uint32_t chunks = 65536;
  bool unprepared = false;
  std::size_t slice = 8;
};

struct Suite {
  Options options;
  fs::path folder;
  Results results;

  fs::path fresh(const std::string& name) {
    fs::remove_all(folder / name);
    fs::create_directories(folder / name);
    return folder / name;
  }

  // A goal whose yardstick was measured here: `at_most`, or with a ratio of the yardstick to ours `at_least`.
  void goal_at_most(const std::string& id, const std::string& work, double measured, const std::string& unit,
                    double at_most, const std::string& limit) {
    Goal goal{id, work, measured, unit};
    goal.goal = fmt::format("≤ {:g} {}", at_most, unit);
    goal.met = measured <= at_most;
    goal.limit = limit;
    results.goal(std::move(goal));
  }
  void ratio_at_most(const std::string& id, const std::string& work, double measured, double yardstick,
                     const std::string& unit, const std::string& name, double at_most, const std::string& limit) {
    Goal goal{id, work, measured, unit, name, yardstick, measured / yardstick};
    goal.goal = fmt::format("≤ {:g}×", at_most);
    goal.met = goal.ratio <= at_most;
    goal.limit = limit;
    results.goal(std::move(goal));
  }
  void times_faster(const std::string& id, const std::string& work, double measured, double yardstick,
                    const std::string& name, double at_least, const std::string& limit) {
    Goal goal{id, work, measured, "ns", name, yardstick, yardstick / measured};
    goal.goal = fmt::format("≥ {:g} times as fast", at_least);
    goal.met = goal.ratio >= at_least;
    goal.limit = limit;
    results.goal(std::move(goal));
  }

  // ---- P4: durable answers ----

  struct Done final : runtime::Completion {
    void complete(std::int32_t result, std::uint32_t) override {
      if (result != 0) give_up(std::string("a write failed: ") + std::strerror(-result));
      done = true;
    }
    bool done = false;
  };

  void durable() {
    results.section("P4 durable answer: write and data sync of one page; the log on a core's ring");
    const fs::path at = fresh("p4");
    const int rounds = options.quick ? 200 : 1000;
    LogFile log(at / "log", std::uint64_t{64} << 20), bare(at / "bare", std::uint64_t{64} << 20);
    auto ring = runtime::Ring::create(64);
    if (!ring) give_up(ring.error().message);
    const auto files = runtime::make_ring_file_queue(**ring);
    std::vector<double> with_ring, with_calls;
    const std::vector<std::byte> page(4096);
    const std::vector<std::byte> payload(100);
    off_t offset = 0;
    for (int i = 0; i < rounds; ++i) {
      with_calls.push_back(time_of([&] {
        if (::pwrite(bare.fd(), page.data(), page.size(), offset) < 0 || ::fdatasync(bare.fd()) != 0)
          give_up("the yardstick cannot write");
      }));
      offset = (offset + 4096) % (32 << 20);
      with_ring.push_back(time_of([&] { one_group(log, *files, **ring, 1, payload); }));
    }
    results.add("bare pwrite + fdatasync, p50", quantile(with_calls, 0.5) / 1000, "µs");
    results.add("log record on the ring, p50", quantile(with_ring, 0.5) / 1000, "µs");
    ratio_at_most("P4", "durable answer, p50: a log page on the ring", quantile(with_ring, 0.5) / 1000,
                  quantile(with_calls, 0.5) / 1000, "µs", "pwrite + fdatasync", 1.3,
                  "the disk's sync; above it the way to the kernel's worker and back");
    const double group = time_of([&] {
      for (int i = 0; i < rounds; ++i) one_group(log, *files, **ring, 256, payload);
    });
    results.add("groups of 256 records: durable", 256e9 * rounds / group, "records/s");
    measure_answers_per_sync(results, options.quick ? 1 : 5);
  }

  static void one_group(LogFile& log, runtime::FileQueue& files, runtime::Ring& ring, int records,
                        std::span<const std::byte> payload) {
    for (int i = 0; i < records; ++i)
      log.writer().append({storage::RecordKind::edit, {WorldId{1}, 0, 0}, Lsn{1}, payload});
    const auto group = log.writer().next_group();
    Done done;
    files.write_and_datasync(log.fd(), group->bytes, group->offset % (std::uint64_t{32} << 20), &done);
    while (!done.done) ring.submit_and_wait(runtime::kNsPerSecond);
    log.writer().group_synced({});
  }

  // ---- P5: edits and reads ----

  struct Figures {
    double first = 0, edit = 0, group = 0, read = 0, snapshot = 0;
    std::uint32_t touched = 0;  // by the first edits
  };

  Figures measure(Peer& peer, std::uint32_t chunks) {
    const auto budget = std::chrono::milliseconds(options.quick ? 200 : 1000);
    std::mt19937_64 random(chunks);
    const auto run = [&](auto&& work) {
      std::vector<double> rounds;
      for (int round = 0; round < 3; ++round) {
        std::uint64_t count = 0;
        const auto began = Clock::now();
        while (Clock::now() - began < budget)
          for (int i = 0; i < 64; ++i, ++count) work();
        rounds.push_back(nanoseconds(Clock::now() - began) / static_cast<double>(count));
      }
      return quantile(rounds, 0.5);
    };
    const auto pick = [&] { return static_cast<std::uint32_t>(random() % chunks); };
    Figures found;
    std::uint32_t sum = 0;
    found.read = run([&] { sum += peer.read(pick(), static_cast<std::uint32_t>(random() & 1023)); });
    if (sum == 0) give_up("reads found nothing");
    found.snapshot = run([&] { peer.snapshot(); });
    // What a checkpoint or a snapshot has pinned is copied at its first edit; the steady state comes after that, for
    // the chunks that have had theirs: where the disk is what counts, not all of them within a bearable time.
    const std::uint32_t touched = first_edits(peer, chunks, found);
    const auto pick_touched = [&] { return nth(static_cast<std::uint32_t>(random() % touched), chunks); };
    found.edit = run([&] { peer.edit(pick_touched(), static_cast<std::uint32_t>(random() & 1023), pick()); });
    int in_group = 0;
    found.group = run([&] {
      if (in_group == 0) peer.begin_group();
      peer.edit(pick_touched(), static_cast<std::uint32_t>(random() & 1023), pick());
      if (++in_group < 64) return;
      peer.sync();
      in_group = 0;
    });
    return found;
  }

  // Every chunk once, in no order that a disk would like.
  static std::uint32_t nth(std::uint32_t i, std::uint32_t chunks) { return i * 7919u % chunks; }

  static std::uint32_t first_edits(Peer& peer, std::uint32_t chunks, Figures& found) {
    constexpr auto kLongest = std::chrono::seconds(30);
    ProgressBar bar(peer.name() + ": first edits", chunks);
    std::uint32_t touched = 0;
    const auto began = Clock::now();
    while (touched < chunks && Clock::now() - began < kLongest) {
      for (int i = 0; i < 64 && touched < chunks; ++i, ++touched)
        peer.edit(nth(touched, chunks), touched & 1023, touched);
      bar.at(touched);
    }
    found.first = nanoseconds(Clock::now() - began) / touched;
    found.touched = touched;
    return touched;
  }

  // Null: it takes so long that the others would have to wait.
  std::unique_ptr<Peer> filled(std::unique_ptr<Peer> peer, std::uint32_t chunks) {
    constexpr auto kLongest = std::chrono::minutes(4);
    ProgressBar bar(peer->name() + ": filling", chunks);
    const fs::path at = fresh("p5") / "store";
    const auto began = Clock::now();
    bool in_time = true;
    peer->fill(at, chunks, [&](std::uint32_t done) {
      bar.at(done);
      in_time = Clock::now() - began < kLongest;
      return in_time;
    });
    results.add(peer->name() + ": filling it" + (in_time ? "" : ", given up after"),
                nanoseconds(Clock::now() - began) / 1e9, "s");
    if (!in_time) peer.reset();
    return peer;
  }

  void edits_and_reads(std::uint32_t chunks) {
    results.section(fmt::format("P5 random cells in {} chunks of 4096 bytes; P6 snapshot", chunks));
    Figures own, in_place;
    for (const auto make :
         {make_terrazzo_peer, make_lmdb_write_map_peer, make_lmdb_peer, make_sqlite_peer, make_rocksdb_peer}) {
      const auto peer = filled(make(), chunks);
      if (peer == nullptr) continue;
      const Figures found = measure(*peer, chunks);
      results.add(peer->name() + ": first edit of each chunk", found.first, "ns");
      if (found.touched != chunks) results.add("  chunks it got to in half a minute", found.touched, "");
      results.add(peer->name() + ": edit, logged, unsynced", found.edit, "ns");
      results.add(peer->name() + ": edit, groups of 64 synced", found.group, "ns");
      results.add(peer->name() + ": read a cell", found.read, "ns");
      results.add(peer->name() + ": snapshot, taken and let go", found.snapshot, "ns");
      if (peer->name() == "Terrazzo") own = found;
      if (peer->name() == "LMDB (write map)") in_place = found;
      if (peer->name() == "LMDB" && own.edit != 0 && in_place.edit != 0) compare(chunks, own, found, in_place);
    }
  }

  void compare(std::uint32_t chunks, const Figures& own, const Figures& lmdb, const Figures& in_place) {
    const std::string of = fmt::format(", {} chunks", chunks);
    times_faster("P5", "edit, logged, unsynced" + of, own.edit, lmdb.edit, "LMDB", 20, kEditLimit);
    times_faster("P5", "edit, logged, unsynced" + of, own.edit, in_place.edit, "LMDB with a write map", 20, kEditLimit);
    times_faster("P5", "edit, groups of 64 synced" + of, own.group, std::min(lmdb.group, in_place.group),
                 "the better LMDB", 4, "the disk's sync");
    times_faster("P5", "read a cell" + of, own.read, std::min(lmdb.read, in_place.read), "the better LMDB", 10,
                 kReadLimit);
    if (chunks != options.chunks) return;
    Goal goal{"P6", "snapshot, taken and let go", own.snapshot,
              "ns", "LMDB's read transaction",    std::min(lmdb.snapshot, in_place.snapshot)};
    goal.ratio = goal.measured / goal.yardstick_value;
    goal.goal = "< 1 µs";
    goal.met = own.snapshot < 1000;
    goal.limit = "a pin that is made and dropped";
    results.goal(std::move(goal));
  }

  // ---- P5b: the tail beside a checkpoint ----

  struct Latencies {
    const std::vector<double>&wall, &cpu;  // ns
  };
  void report_tail(const Latencies& without, const Latencies& with) {
    results.add("without: p50", quantile(without.wall, 0.5), "ns");
    results.add("without: p99.9", quantile(without.wall, 0.999), "ns");
    results.add("without: worst", quantile(without.wall, 1) / 1e6, "ms");
    results.add("with: edits meanwhile", static_cast<double>(with.wall.size()), "");
    results.add("with: p50", quantile(with.wall, 0.5), "ns");
    results.add("with: p99.9", quantile(with.wall, 0.999), "ns");
    results.add("with: worst", quantile(with.wall, 1) / 1e6, "ms");
    results.add("without, CPU: p99.9", quantile(without.cpu, 0.999), "ns");
    results.add("with, CPU: p99", quantile(with.cpu, 0.99), "ns");
    results.add("with, CPU: p99.9", quantile(with.cpu, 0.999), "ns");
    results.ratio("CPU p99.9 with / without", quantile(with.cpu, 0.999) / quantile(without.cpu, 0.999), "≤ 2");
    ratio_at_most("P5b", "edit while 16k pages are checkpointed, p99.9", quantile(with.wall, 0.999) / 1000,
                  quantile(without.wall, 0.999) / 1000, "µs", "without", 2, kTailLimit);
    goal_at_most("P5b", "the same, the slowest edit", quantile(with.wall, 1) / 1e6, "ms", 5, kTailLimit);
  }

  void tail() {
    results.section("P5b latency of an edit (in a core's loop, 32 to a tick) while 16k dirty pages are checkpointed");
    const fs::path at = fresh("p5b");
    proto::Encoder encoder;
    LogFile log(at / "log", std::uint64_t{64} << 20);
    BenchShard shard(at / "0_0.shard", {0, 0}, encoder);
    auto ring = runtime::Ring::create(64);
    if (!ring) give_up(ring.error().message);
    const auto files = runtime::make_ring_file_queue(**ring);
    std::mt19937 random(1);
    const map::Cell cell{7};
    const auto edit = [&] {
      map::Op op;
      op.cells = {&cell, 1};
      op.rect = map::Rect::of_size(random() % 4096, random() % 4096, 1, 1);
      shard.edit({&op, 1}, log);
      shard.shard().log_durable(log.durable(), log);
      if (!options.unprepared) shard.prepare();
    };
    std::vector<double> quiet, busy, quiet_cpu, busy_cpu;
    const auto cpu_time_of = [](const auto& work) {
      const double began = thread_cpu_ns();
      work();
      return thread_cpu_ns() - began;
    };
    for (int i = 0; i < 100000; ++i) edit();  // 16,384 chunks, nearly all touched
    shard.checkpoint();
    for (int i = 0; i < 100000; ++i) edit();
    for (int i = 0; i < 200000; ++i) quiet.push_back(time_of(edit));
    for (int i = 0; i < 200000; ++i) quiet_cpu.push_back(cpu_time_of(edit));
    Done synced;
    auto step = shard.shard().begin_checkpoint();
    std::size_t ticks = 0;
    while (step && *step != storage::CheckpointStep::done) {
      // As a core does: one slice, then what the tick brought; an edit waits for the slice before it.
      const double began_cpu = thread_cpu_ns();
      const auto began = Clock::now();
      ++ticks;
      if (*step == storage::CheckpointStep::work) {
        step = shard.shard().checkpoint_work(options.slice);
        if (step && *step == storage::CheckpointStep::sync_pages) files->datasync(shard.fd(), &synced);
      } else {
        (*ring)->submit_and_wait(0);
        if (synced.done) {
          synced.done = false;
          step = shard.shard().checkpoint_synced({});
          if (step && *step == storage::CheckpointStep::sync_root) files->datasync(shard.fd(), &synced);
        }
      }
      for (int i = 0; i < 32; ++i) {
        const double start_cpu = i == 0 ? began_cpu : thread_cpu_ns();
        const auto start = i == 0 ? began : Clock::now();
        edit();
        busy.push_back(nanoseconds(Clock::now() - start));
        busy_cpu.push_back(thread_cpu_ns() - start_cpu);
      }
    }
    if (!step) give_up(step.error().message);
    report_tail({quiet, quiet_cpu}, {busy, busy_cpu});
  }

  // ---- P7: huge fills ----

  static std::vector<map::Op> fill_ops(const map::Rect& rect) {
    map::Op op;
    op.kind = map::OpKind::fill;
    op.rect = rect;
    op.cell = map::Cell{9};
    return {op};
  }

  void fills() {
    results.section("P7 fills and undo; writing every page is the yardstick");
    const fs::path at = fresh("p7");
    proto::Encoder encoder;
    LogFile log(at / "log", std::uint64_t{64} << 20);
    std::vector<std::unique_ptr<BenchShard>> shards;
    for (int i = 0; i < 4; ++i)
      shards.push_back(
          std::make_unique<BenchShard>(at / fmt::format("{}.shard", i), map::ShardPos{i % 2, i / 2}, encoder));
    const double every_page = time_of([&] {
      std::vector<std::uint32_t> cells(std::size_t{8192} * 8192, 9);
      if (cells[12345] != 9) give_up("?");
    });
    results.add("writing 8192 × 8192 cells in memory", every_page / 1e6, "ms");
    const auto fill = [&](BenchShard& shard, const map::Rect& rect) {
      const std::vector<map::Op> ops = fill_ops(rect);
      return time_of([&] { shard.edit(ops, log); });
    };
    std::vector<double> aligned, unaligned;
    for (int i = 0; i < 20; ++i) {
      aligned.push_back(fill(*shards[0], map::Rect::of_size(0, 0, 8192, 8192)));
      unaligned.push_back(fill(*shards[0], map::Rect::of_size(5, 5, 8180, 8180)));
    }
    fill_goal("fill of 8192×8192 cells, aligned", quantile(aligned, 0.5), every_page, 0.02,
              "the log record and the undo point; one entry of the tree is written");
    fill_goal("fill of 8180×8180 cells, unaligned", quantile(unaligned, 0.5), every_page, 2, kFillLimit);
    // 10,000 × 10,000 cells whose corner shards are four.
    const map::Rect huge = map::Rect::of_size(3192, 3192, 10000, 10000);
    std::vector<double> over, undo;
    for (int i = 0; i < 10; ++i) {
      double time = 0, back = 0;
      for (auto& shard : shards) {
        const map::Rect own = map::cells_of(map::ShardPos{shard == shards[0] || shard == shards[2] ? 0 : 1,
                                                          shard == shards[0] || shard == shards[1] ? 0 : 1});
        time += fill(*shard, huge.intersect(own));
        shard::Restore what{storage::PinKind::undo_point, shard->store().lsn().value, {{0, huge.intersect(own)}}};
        back += time_of([&] { shard->restore(what, log); });
      }
      over.push_back(time);
      undo.push_back(back);
    }
    fill_goal("fill of 100 million cells over four shards", quantile(over, 0.5), every_page * 1e8 / (8192.0 * 8192), 10,
              kFillLimit);
    fill_goal("undo of it", quantile(undo, 0.5), every_page * 1e8 / (8192.0 * 8192), 10, kUndoLimit);
  }

  void fill_goal(const std::string& work, double ns, double every_page_ns, double at_most_ms,
                 const std::string& limit) {
    results.add(work, ns / 1000, "µs");
    Goal goal{"P7", work, ns / 1e6, "ms", "writing every cell in memory", every_page_ns / 1e6, ns / every_page_ns};
    goal.goal = fmt::format("≤ {:g} ms", at_most_ms);
    goal.met = ns / 1e6 <= at_most_ms;
    goal.limit = limit;
    results.goal(std::move(goal));
  }

  void run() {
    folder = fs::path(options.folder) / ("terrazzo-store-suite-" + std::to_string(::getpid()));
    const auto wants = [&](const char* part) { return options.only.empty() || options.only == part; };
    if (wants("p4")) durable();
    if (wants("p5")) {
      edits_and_reads(options.chunks);
      if (options.large) edits_and_reads(1u << 20);
    }
    if (wants("pages")) measure_page_costs(results, fresh("pages"));
    if (wants("p5b")) tail();
    if (wants("p6")) {
      measure_versions(results, fresh("p6"), options.quick ? 5 : 20);
      measure_versions_over_http(results, options.quick ? 5 : 20);
    }
    if (wants("p7")) fills();
    if (wants("p8")) measure_large_world(results, fresh("p8"), options.quick ? 5 : 20);
    fs::remove_all(folder);
    fmt::print("\n{}", results.goals());
    if (!options.json.empty()) results.write(options.json);
    if (!options.markdown.empty()) std::ofstream(options.markdown) << results.goals();
  }
};

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  terrazzo::bench::Suite suite;
  CLI::App app{"terrazzo-store-suite: the store next to LMDB, SQLite and RocksDB; see bench/README.md"};
  app.add_option("--folder", suite.options.folder, "where files are made and removed again")->capture_default_str();
  app.add_option("--json", suite.options.json, "file for the figures");
  app.add_option("--markdown", suite.options.markdown, "file for the table of goals");
  app.add_option("--only", suite.options.only, "one part: p4, p5, pages, p5b, p6, p7 or p8");
  app.add_flag("--large", suite.options.large,
               "P5 with a million chunks, too: 4 to 12 GB for each store, one after the other, some ten minutes");
  app.add_option("--chunks", suite.options.chunks, "p5: in each store; a power of two")->capture_default_str();
  app.add_flag("--unprepared", suite.options.unprepared, "p5b: without the worker that makes pages ready");
  app.add_option("--slice", suite.options.slice, "p5b: pages in a slice of the checkpoint")->capture_default_str();
  app.add_flag("--quick", suite.options.quick, "short rounds, small data");
  CLI11_PARSE(app, argc, argv);
  suite.run();
  return 0;
}
