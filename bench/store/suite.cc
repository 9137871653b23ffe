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
#include <random>

#include "base/crc32c.h"
#include "bench/store/page_costs.h"
#include "bench/store/peer.h"
#include "bench/store/results.h"
#include "bench/store/shard_world.h"
#include "bench/store/sparse_world.h"
#include "bench/store/timing.h"
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

struct Options {
  std::string folder = "/tmp", json, only;
  bool quick = false, large = false;
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
    results.ratio("ratio", quantile(with_ring, 0.5) / quantile(with_calls, 0.5), "≤ 1.3");
    const double group = time_of([&] {
      for (int i = 0; i < rounds; ++i) one_group(log, *files, **ring, 256, payload);
    });
    results.add("groups of 256 records: durable", 256e9 * rounds / group, "records/s");
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
    // What a checkpoint or a snapshot has pinned is copied at its first edit; the steady state comes after that.
    found.first = time_of([&] {
                    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk)
                      peer.edit(chunk * 7919u % chunks, chunk & 1023, chunk);
                  }) /
                  chunks;
    found.edit = run([&] { peer.edit(pick(), static_cast<std::uint32_t>(random() & 1023), pick()); });
    int in_group = 0;
    found.group = run([&] {
      if (in_group == 0) peer.begin_group();
      peer.edit(pick(), static_cast<std::uint32_t>(random() & 1023), pick());
      if (++in_group < 64) return;
      peer.sync();
      in_group = 0;
    });
    return found;
  }

  void edits_and_reads(std::uint32_t chunks) {
    results.section(fmt::format("P5 random cells in {} chunks of 4096 bytes; P6 snapshot", chunks));
    Figures own, lmdb;
    for (const auto make :
         {make_terrazzo_peer, make_lmdb_write_map_peer, make_lmdb_peer, make_sqlite_peer, make_rocksdb_peer}) {
      const auto peer = make();
      peer->fill(fresh("p5") / "store", chunks);
      const Figures found = measure(*peer, chunks);
      results.add(peer->name() + ": first edit of each chunk", found.first, "ns");
      results.add(peer->name() + ": edit, logged, unsynced", found.edit, "ns");
      results.add(peer->name() + ": edit, groups of 64 synced", found.group, "ns");
      results.add(peer->name() + ": read a cell", found.read, "ns");
      results.add(peer->name() + ": snapshot, taken and let go", found.snapshot, "ns");
      if (peer->name() == "Terrazzo") own = found;
      if (!peer->name().starts_with("LMDB")) continue;
      // Reads and synced groups against the way of LMDB that does them best; unsynced edits against both.
      const auto best = [](double& least, double value) { least = least == 0 ? value : std::min(least, value); };
      results.ratio(peer->name() + " / Terrazzo, edit unsynced", found.edit / own.edit, "≥ 20");
      best(lmdb.group, found.group);
      best(lmdb.read, found.read);
    }
    results.ratio("LMDB / Terrazzo, edit in synced groups", lmdb.group / own.group, "≥ 4");
    results.ratio("LMDB / Terrazzo, read", lmdb.read / own.read, "≥ 10");
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
    results.ratio("p99.9 with / without", quantile(with.wall, 0.999) / quantile(without.wall, 0.999),
                  "≤ 2, worst ≤ 5 ms");
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

  // ---- P6, P7: versions and huge fills ----

  static std::vector<map::Op> fill_ops(const map::Rect& rect) {
    map::Op op;
    op.kind = map::OpKind::fill;
    op.rect = rect;
    op.cell = map::Cell{9};
    return {op};
  }

  void first_edit() {
    results.section("P6 first edit after a snapshot");
    const fs::path at = fresh("p6");
    proto::Encoder encoder;
    BenchShard shard(at / "0_0.shard", {0, 0}, encoder);
    storage::ShardStore& store = shard.store();
    for (std::uint32_t chunk = 0; chunk < 65536; ++chunk) {
      if (!store.begin_edit(next(store.lsn()), 4)) give_up("the disk is full");
      store.write(0, static_cast<std::uint16_t>(chunk))[0] = chunk;
    }
    shard.checkpoint();
    const storage::PageNo before = store.pages().live + store.pages().pending;
    store.pin(storage::PinKind::snapshot, 1);
    const double time = time_of([&] {
      if (!store.begin_edit(next(store.lsn()), 4)) give_up("the disk is full");
      store.write(0, 40000)[5] = 1;
    });
    results.add("first edit after it", time, "ns");
    results.ratio("pages copied", static_cast<double>(store.pages().live + store.pages().pending - before), "≤ 4");
    if (!store.unpin(storage::PinKind::snapshot, 1)) give_up("no snapshot");
    const double drop = time_of([&] {
      while (store.reclaim(100000)) {
      }
    });
    results.add("dropping it again (one chunk differs)", drop / 1000, "µs");
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
    results.add("8192 × 8192 aligned", quantile(aligned, 0.5) / 1000, "µs (goal ≤ 20)");
    results.add("8180 × 8180 unaligned", quantile(unaligned, 0.5) / 1000, "µs (goal ≤ 2000)");
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
    results.add("100 million cells over four shards", quantile(over, 0.5) / 1e6, "ms (goal ≤ 10)");
    results.add("undo of it", quantile(undo, 0.5) / 1e6, "ms (goal ≤ 10)");
  }

  // ---- P8: larger than memory ----

  static double resident_mib() {
    long pages = 0, resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
      if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
      std::fclose(file);
    }
    return static_cast<double>(resident) * 4096 / (1 << 20);
  }

  void large() {
    const int side = options.quick ? 5 : 20;
    results.section(
        fmt::format("P8 a world of {} shards, each with 65,536 chunks that have pages (sparse files)", side * side));
    const fs::path at = fresh("p8");
    std::uint64_t bytes = 0;
    for (int i = 0; i < side * side; ++i)
      bytes += make_sparse_shard(at / fmt::format("{}_{}.shard", i % side, i / side), {i % side, i / side});
    results.add("size", static_cast<double>(bytes) / 1e9, "GB");
    proto::Encoder encoder;
    LogFile log(at / "log", std::uint64_t{16} << 20);
    std::vector<std::unique_ptr<BenchShard>> shards;
    const double before = resident_mib();
    std::vector<double> each;
    const double open = time_of([&] {
      for (int i = 0; i < side * side; ++i)
        each.push_back(time_of([&] {
          shards.push_back(std::make_unique<BenchShard>(at / fmt::format("{}_{}.shard", i % side, i / side),
                                                        map::ShardPos{i % side, i / side}, encoder));
        }));
    });
    results.add("open a shard, p50", quantile(each, 0.5) / 1000, "µs");
    results.add("open all of them", open / 1e6, "ms");
    std::mt19937 random(3);
    std::uint64_t sum = 0;
    const double reads = time_of([&] {
      for (int i = 0; i < 1000; ++i) {
        const auto read = shards[random() % shards.size()]->store().read(0, static_cast<std::uint16_t>(random()));
        for (std::size_t c = 0; c < 1024; ++c) sum += read.cells[c];
      }
    });
    if (sum != 0) give_up("a sparse chunk is not empty");
    results.add("1000 random chunks, all cells, cold", reads / 1e6, "ms");
    results.add("memory that took", resident_mib() - before, "MiB");
    const double version = time_of([&] {
      for (auto& shard : shards) shard->shard().take_version(1);
    });
    results.add(fmt::format("a version of all {} shards (the cut; P6 goal < 10 ms)", shards.size()), version / 1e6,
                "ms");
    large_fill(shards, side, log);
    shards.clear();
    fs::remove_all(at);
  }

  void large_fill(std::vector<std::unique_ptr<BenchShard>>& shards, int side, LogFile& log) {
    const map::Rect huge = map::Rect::of_size(3192, 3192, 10000, 10000);
    double time = 0, back = 0, pages = 0, undo_pages = 0;
    for (int i = 0; i < 4; ++i) {
      const map::ShardPos position{i % 2, i / 2};
      BenchShard& shard = *shards[static_cast<std::size_t>(position.y * side + position.x)];
      const auto used = [&] { return static_cast<double>(shard.store().pages().live + shard.store().pages().pending); };
      const map::Rect part = huge.intersect(map::cells_of(position));
      const double start = used();
      const std::vector<map::Op> ops = fill_ops(part);
      time += time_of([&] { shard.edit(ops, log); });
      const double filled = used();
      shard::Restore what{storage::PinKind::undo_point, shard.store().lsn().value, {{0, part}}};
      back += time_of([&] { shard.restore(what, log); });
      pages += filled - start;
      undo_pages += used() - filled;
    }
    results.add("fill of 100 million cells over four shards, first touch", time / 1e6, "ms");
    results.add("pages written for it", pages, "pages");
    results.add("undo of it", back / 1e6, "ms");
    results.add("pages written for that", undo_pages, "pages");
  }

  void run() {
    folder = fs::path(options.folder) / ("terrazzo-store-suite-" + std::to_string(::getpid()));
    const auto wants = [&](const char* part) { return options.only.empty() || options.only == part; };
    if (wants("p4")) durable();
    if (wants("p5")) {
      edits_and_reads(65536);
      if (options.large) edits_and_reads(1u << 20);
    }
    if (wants("pages")) measure_page_costs(results, fresh("pages"));
    if (wants("p5b")) tail();
    if (wants("p6")) first_edit();
    if (wants("p7")) fills();
    if (wants("p8")) large();
    fs::remove_all(folder);
    if (!options.json.empty()) results.write(options.json);
  }
};

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  terrazzo::bench::Suite suite;
  CLI::App app{"terrazzo-store-suite: the store next to LMDB, SQLite and RocksDB; see bench/README.md"};
  app.add_option("--folder", suite.options.folder, "where files are made and removed again")->capture_default_str();
  app.add_option("--json", suite.options.json, "file for the figures");
  app.add_option("--only", suite.options.only, "one part: p4, p5, pages, p5b, p6, p7 or p8");
  app.add_flag("--large", suite.options.large,
               "P5 with a million chunks, too: 4 GB for each store, a quarter of an hour");
  app.add_flag("--unprepared", suite.options.unprepared, "p5b: without the worker that makes pages ready");
  app.add_option("--slice", suite.options.slice, "p5b: pages in a slice of the checkpoint")->capture_default_str();
  app.add_flag("--quick", suite.options.quick, "short rounds, small data");
  CLI11_PARSE(app, argc, argv);
  suite.run();
  return 0;
}
