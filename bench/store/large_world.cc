#include "bench/store/large_world.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "bench/store/disk_costs.h"
#include "bench/store/peer.h"
#include "bench/store/progress.h"
#include "bench/store/shard_world.h"
#include "bench/store/sparse_world.h"
#include "bench/store/timing.h"
#include "server/app/assembly.h"
#include "server/app/shard_table.h"

namespace terrazzo::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReads = 1000;
// 100 million cells whose four parts are in the shards around the corner at (8192, 8192).
constexpr map::Rect kHuge = map::Rect::of_size(3192, 3192, 10000, 10000);

constexpr const char* kOpenLimit =
    "a sync of each file before its roots are believed, which is a flush of the disk; then the file's pages";
constexpr const char* kReadLimit = "one read from the disk for cells, and for nodes that no chunk before it needed";
constexpr const char* kFillLimit =
    "reads from the disk of the border's chunks, and faults of the fresh pages they are copied to";
constexpr const char* kUndoLimit = "faults of fresh pages for the nodes that come back";

struct Chunk {
  std::size_t shard;
  std::uint16_t chunk;
};

// Of the kernel for each of some files; closed at the end.
class BareFiles {
 public:
  explicit BareFiles(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      fds_.push_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (fds_.back() < 0) give_up(path + " cannot be opened");
      ::posix_fadvise(fds_.back(), 0, 0, POSIX_FADV_RANDOM);
    }
  }
  ~BareFiles() {
    for (const int fd : fds_) ::close(fd);
  }
  BareFiles(const BareFiles&) = delete;
  BareFiles& operator=(const BareFiles&) = delete;
  void read(std::size_t file, std::uint64_t offset, std::span<std::uint32_t> into) const {
    if (::pread(fds_[file], into.data(), into.size_bytes(), static_cast<off_t>(offset)) < 0)
      give_up("a shard's file cannot be read");
  }

 private:
  std::vector<int> fds_;
};

class LargeWorld {
 public:
  LargeWorld(Results& results, const fs::path& folder, int side)
      : results_(results), side_(side), log_(folder / "log", std::uint64_t{16} << 20) {
    node_.config.data_dir = (folder / "data").string();
    auto data = io::DataDirectory::open(node_.config.data_dir);
    if (!data) give_up(data.error().message);
    node_.data = *std::move(data);
    node_.incarnation = node_.data->incarnation();
    auto world = std::make_shared<map::World>();
    world->id = kSparseWorld;
    world->name = "large";
    world->layers.resize(1);
    if (!node_.worlds.add(world) || !node_.data->make_shard_folder(kSparseWorld)) give_up("there is no world");
    std::mt19937 random(3);
    for (std::size_t i = 0; i < kReads; ++i)
      chosen_.push_back({random() % shard_count(), static_cast<std::uint16_t>(random())});
  }

  void make() {
    ProgressBar bar("making sparse shards", shard_count());
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < shard_count(); ++i) {
      std::vector<std::uint16_t> written;
      for (const Chunk& chunk : chosen_)
        if (chunk.shard == i) written.push_back(chunk.chunk);
      paths_.push_back(node_.data->shard_path(kSparseWorld, position(i).x, position(i).y));
      bytes += make_sparse_shard(paths_.back(), position(i), written);
      bar.at(i + 1);
    }
    results_.add("size", static_cast<double>(bytes) / 1e9, "GB");
  }

  // The same bytes without a store: what each open and each chunk cannot do without.
  void yardsticks() {
    forget();
    std::vector<std::uint32_t> page(1024);
    bare_open_ = time_of([&] {
      const BareFiles files(paths_);
      for (std::size_t i = 0; i < paths_.size(); ++i)
        for (const std::uint64_t root : {0u, 4096u}) files.read(i, root, page);
    });
    results_.add("bare open of all files and pread of both root pages, cold", bare_open_ / 1e6, "ms");
    forget();
    const BareFiles files(paths_);
    std::uint64_t sum = 0;
    bare_read_ = time_of([&] {
      for (const Chunk& chunk : chosen_) {
        files.read(chunk.shard, offset_in_sparse_shard(chunk.chunk), page);
        sum = std::accumulate(page.begin(), page.end(), sum);
      }
    });
    if (sum != sum_of_chosen()) give_up("a chunk's page is not what was written");
    results_.add("bare pread of the pages of the 1000 chunks, cold", bare_read_ / 1e6, "ms");
    forget();
  }

  // As a core does it: page workers open the files, what they found becomes shards on the core's thread.
  void open_all() {
    app::WorkerPool workers(app::AssemblySizes().page_threads, 1, [this](unsigned) {
      found_.fetch_add(1);
      found_.notify_one();
    });
    slots_.resize(shard_count());
    std::vector<double> each(shard_count()), on_core(shard_count());
    const double time = step("open all shards, as a server does when somebody asks for them", [&] {
      for (std::size_t i = 0; i < shard_count(); ++i)
        if (!workers.submit(0, [this, i, &each, &on_core] { return open_on_worker(i, each[i], on_core[i]); }))
          give_up("the workers take no more");
      while (opened_ < shard_count()) {
        const unsigned before = found_.load();
        workers.collect(0);
        if (opened_ < shard_count()) found_.wait(before);
      }
    });
    results_.add("open a file, p50, on one of four workers", quantile(each, 0.5) / 1000, "µs");
    results_.add("make a shard of it, p50, on the core", quantile(on_core, 0.5) / 1000, "µs");
    goal("open all shards of the world, cold", time, "open and pread of the roots", bare_open_, "< 10 ms", 10,
         kOpenLimit);
  }

  app::WorkerPool::Done open_on_worker(std::size_t i, double& took, double& took_core) {
    const shard::ShardKey key{kSparseWorld, position(i)};
    auto file = std::make_shared<Result<app::ShardFile>>(Error{});
    took = time_of([&] { *file = app::open_shard_file(node_, key); });
    return [this, i, key, file, &took_core] {
      took_core = time_of([&] {
        auto slot = table_.open(key, std::move(*file));
        if (!slot) give_up(slot.error().message);
        slots_[i] = *slot;
      });
      ++opened_;
    };
  }

  void read_chunks() {
    std::uint64_t sum = 0;
    const double time = step("1000 random chunks, all cells", [&] {
      for (const Chunk& chunk : chosen_) {
        const auto read = slots_[chunk.shard]->shard->store()->read(0, chunk.chunk);
        sum = std::accumulate(read.cells, read.cells + 1024, sum);
      }
    });
    if (sum != sum_of_chosen()) give_up("a chunk is not what was written");
    goal("1000 random chunks with all cells, cold", time, "bare pread of their pages", bare_read_, "–", 0, kReadLimit);
  }

  void version() {
    const double time = step("a version of all shards", [&] {
      for (app::ShardSlot* slot : slots_) slot->shard->take_version(1);
    });
    goal("a version of all shards, the cut", time, "", 0, "< 10 ms", 10, "a cache miss or two for each shard");
    step("a checkpoint of all shards, after which the version is in their files", [&] {
      for (app::ShardSlot* slot : slots_) checkpoint(*slot);
    });
  }

  void fill_and_undo() {
    const double fill = step("fill of 100 million cells over four shards", [&] {
      for (app::ShardSlot* slot : around_the_corner()) {
        map::Op op;
        op.kind = map::OpKind::fill;
        op.rect = kHuge.intersect(map::cells_of(slot->shard->key().position));
        op.cell = map::Cell{9};
        const auto asked = BenchShard::request(slot->shard->key().position, ++edits_);
        asked->edit.ops = {&op, 1};
        slot->shard->edit(*asked, log_);
      }
    });
    goal("fill of 100 million cells over four shards of it, cold", fill, "", 0, "≤ 10 ms", 10, kFillLimit);
    const double undo = step("undo of it", [&] {
      for (app::ShardSlot* slot : around_the_corner()) {
        const map::Rect part = kHuge.intersect(map::cells_of(slot->shard->key().position));
        const auto asked = BenchShard::request(slot->shard->key().position, ++edits_);
        asked->restore = shard::Restore{storage::PinKind::undo_point, slot->shard->lsn().value, {{0, part}}};
        slot->shard->edit(*asked, log_);
      }
    });
    goal("undo of it", undo, "", 0, "≤ 10 ms", 10, kUndoLimit);
  }

 private:
  std::size_t shard_count() const { return static_cast<std::size_t>(side_) * static_cast<std::size_t>(side_); }
  map::ShardPos position(std::size_t i) const {
    return {static_cast<std::int32_t>(i) % side_, static_cast<std::int32_t>(i) / side_};
  }
  std::vector<app::ShardSlot*> around_the_corner() const {
    const auto side = static_cast<std::size_t>(side_);
    return {slots_[0], slots_[1], slots_[side], slots_[side + 1]};
  }
  std::uint64_t sum_of_chosen() const {
    return std::accumulate(chosen_.begin(), chosen_.end(), std::uint64_t{0}, [](std::uint64_t sum, const Chunk& chunk) {
      return sum + sum_of_written_chunk(chunk.chunk);
    });
  }

  void forget() const {
    for (const std::string& path : paths_)
      if (!make_cold(path)) give_up(path + " stays in memory: is somebody reading it?");
  }

  double pages_taken() const {
    double pages = 0;
    if (opened_ == 0) return 0;
    for (const app::ShardSlot* slot : slots_) {
      const storage::ShardStore::Pages counts = slot->shard->store()->pages();
      pages += static_cast<double>(counts.live + counts.pending);
    }
    return pages;
  }

  static void checkpoint(app::ShardSlot& slot) {
    auto outcome = slot.shard->begin_checkpoint();
    while (outcome && *outcome != storage::CheckpointStep::done) {
      if (*outcome == storage::CheckpointStep::work) {
        outcome = slot.shard->checkpoint_work(std::numeric_limits<std::uint32_t>::max());
      } else {
        if (::fdatasync(slot.file->fd()) != 0) give_up("a shard's file cannot be synced");
        outcome = slot.shard->checkpoint_synced({});
      }
    }
    if (!outcome) give_up(outcome.error().message);
  }

  // Time of the work alone, which is what somebody waits for; then everything goes to disk and is counted.
  template <class Work>
  double step(const std::string& what, Work&& work) {
    const Memory before = memory_of_this_process();
    const double pages = pages_taken(), written = bytes_written();
    const bool opening = opened_ == 0;
    const double time = time_of(work);
    const Memory after = memory_of_this_process();
    const double synced = time_of([&] {
      log_.write(true);
      for (const app::ShardSlot* slot : slots_)
        if (::fdatasync(slot->file->fd()) != 0) give_up("a shard's file cannot be synced");
    });
    results_.add(what, time / 1e6, "ms");
    results_.add("  memory: mapped pages of the files",
                 (after.resident_mib - after.own_mib) - (before.resident_mib - before.own_mib), "MiB");
    results_.add("  memory: the process's own", after.own_mib - before.own_mib, "MiB");
    results_.add("  pages taken", opening ? 0 : pages_taken() - pages, "pages");
    results_.add("  written until all is on disk, log and shards", (bytes_written() - written) / 1e6, "MB");
    results_.add("  syncing that", synced / 1e6, "ms");
    return time;
  }

  void goal(const std::string& work, double ns, const std::string& yardstick, double yardstick_ns,
            const std::string& wanted, double at_most_ms, const std::string& limit) {
    Goal goal{"P8", work, ns / 1e6, "ms", yardstick, yardstick_ns / 1e6};
    goal.ratio = yardstick_ns == 0 ? 0 : ns / yardstick_ns;
    goal.goal = wanted;
    goal.met = at_most_ms == 0 || ns / 1e6 <= at_most_ms;
    goal.limit = limit;
    results_.goal(std::move(goal));
  }

  Results& results_;
  const int side_;
  LogFile log_;
  app::Node node_;
  proto::Encoder encoder_;
  app::ShardTable table_{node_, encoder_};
  std::vector<std::string> paths_;
  std::vector<app::ShardSlot*> slots_;
  std::vector<Chunk> chosen_;
  double bare_open_ = 0, bare_read_ = 0;
  std::uint64_t edits_ = 0;
  std::size_t opened_ = 0;  // shards
  std::atomic<unsigned> found_{0};
};

}  // namespace

void measure_large_world(Results& results, const fs::path& folder, int side) {
  results.section(
      fmt::format("P8 a world of {} shards, each with 65,536 chunks that have pages (sparse files)", side * side));
  {
    LargeWorld world(results, folder, side);
    world.make();
    world.yardsticks();
    world.open_all();
    world.read_chunks();
    world.version();
    world.fill_and_undo();
  }
  fs::remove_all(folder);
}

}  // namespace terrazzo::bench
