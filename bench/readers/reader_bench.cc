// Readers on the same host beside a writer at full speed, next to LMDB's read transactions: one process writes, one
// reads, and the reader's CPU time per read is counted. What each row measures is in bench/README.md.
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "bench/readers/pair.h"
#include "bench/store/peer.h"
#include "bench/store/results.h"
#include "bench/store/timing.h"

namespace terrazzo::bench {

void give_up(const std::string& why) {
  fmt::print(stderr, "terrazzo-reader-bench: {}\n", why);
  std::exit(1);
}

namespace {

namespace fs = std::filesystem;

struct Options {
  std::string folder = "/tmp", json;
  std::uint32_t chunks = 65536;
  bool quick = false;
};

// Marsaglia 2003: cheap, so that what is measured is not it.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint32_t below(std::uint32_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>((state_ >> 32) * bound >> 32);
  }

 private:
  std::uint64_t state_;
};

// What the two processes share.
struct Control {
  std::atomic<bool> ready{false}, stop{false};
  std::atomic<std::uint64_t> edits{0};
};

// The process that writes, for as long as this lives.
class WriterProcess {
 public:
  WriterProcess(const Pair& pair, const fs::path& folder, std::uint32_t chunks) {
    void* const memory = ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) give_up("no memory is left");
    control_ = new (memory) Control;
    pid_ = ::fork();
    if (pid_ == 0) write(pair, folder, chunks);
    while (!control_->ready.load()) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) give_up(pair.name + ": the writer has ended");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ~WriterProcess() {
    control_->stop.store(true);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(control_, sizeof(Control));
  }
  WriterProcess(const WriterProcess&) = delete;
  WriterProcess& operator=(const WriterProcess&) = delete;
  std::uint64_t edits() const { return control_->edits.load(); }

 private:
  [[noreturn]] void write(const Pair& pair, const fs::path& folder, std::uint32_t chunks) {
    {
      const auto writer = pair.writer(folder, chunks);
      control_->ready.store(true);
      Random random(1);
      for (std::uint64_t edits = 0; !control_->stop.load(std::memory_order_relaxed);
           control_->edits.store(++edits, std::memory_order_relaxed))
        writer->edit(random.below(chunks), random.below(1024), random.below(40));
    }
    ::_exit(0);
  }
  Control* control_ = nullptr;
  pid_t pid_ = -1;
};

double cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// CPU time of one of the 1024 steps of a call, in nanoseconds: the median of rounds.
double per_step(std::chrono::milliseconds budget, const std::function<void()>& steps) {
  std::vector<double> rounds;
  for (int round = 0; round < 5; ++round) {
    std::uint64_t count = 0;
    const double began = cpu_ns();
    const auto until = Clock::now() + budget;
    do {
      steps();
      count += 1024;
    } while (Clock::now() < until);
    rounds.push_back((cpu_ns() - began) / static_cast<double>(count));
  }
  return quantile(rounds, 0.5);
}

// A plain array, so that the same loops can run over it.
class Plain final : public Reader {
 public:
  explicit Plain(std::uint32_t chunks) : cells_(std::size_t{chunks} * 1024) {
    for (std::size_t i = 0; i < cells_.size(); ++i) cells_[i] = static_cast<std::uint32_t>(i % 40 + 1);
  }
  void refresh() override {}
  const std::uint32_t* chunk(std::uint32_t chunk) override { return &cells_[std::size_t{chunk} * 1024]; }

 private:
  std::vector<std::uint32_t> cells_;
};

struct Figures {
  double cell_fresh = 0, cell = 0, chunk_fresh = 0, chunk = 0;  // ns of CPU
};

class Bench {
 public:
  explicit Bench(Options options) : options_(std::move(options)) {}

  void run() {
    const fs::path folder = fs::path(options_.folder) / fmt::format("terrazzo-reader-bench-{}", ::getpid());
    results_.section(fmt::format("{} chunks of 4096 bytes; ns of the reader's CPU", options_.chunks));
    yardsticks();
    std::vector<Figures> found;
    for (const Pair& pair : {terrazzo_pair(), lmdb_pair(), lmdb_write_map_pair()}) {
      fs::create_directories(folder);
      found.push_back(measure(pair, folder));
      fs::remove_all(folder);
    }
    const auto ratio = [&](const std::string& name, double Figures::*of) {
      results_.ratio("LMDB / Terrazzo, " + name, std::min(found[1].*of, found[2].*of) / found[0].*of, "above 1");
    };
    ratio("cell, the newest state for each", &Figures::cell_fresh);
    ratio("cell, a state for 1024", &Figures::cell);
    ratio("chunk copied, the newest state for each", &Figures::chunk_fresh);
    ratio("chunk copied, a state for 1024", &Figures::chunk);
    if (!options_.json.empty()) results_.write(options_.json);
  }

 private:
  std::chrono::milliseconds budget() const { return std::chrono::milliseconds(options_.quick ? 50 : 500); }

  double cells(Reader& reader, bool each_fresh) {
    Random random(2);
    return per_step(budget(), [&] {
      std::uint32_t sum = 0;
      reader.refresh();
      for (int i = 0; i < 1024; ++i) {
        if (each_fresh && i != 0) reader.refresh();
        sum += reader.chunk(random.below(options_.chunks))[random.below(1024)];
        if (each_fresh) reader.prove();
      }
      reader.prove();
      if (sum == 0) give_up("reads found nothing");
    });
  }
  double chunks(Reader& reader, bool each_fresh) {
    Random random(3);
    alignas(64) std::array<std::uint32_t, 1024> copy{};
    return per_step(budget(), [&] {
      std::uint32_t sum = 0;
      reader.refresh();
      for (int i = 0; i < 1024; ++i) {
        if (each_fresh && i != 0) reader.refresh();
        std::memcpy(copy.data(), reader.chunk(random.below(options_.chunks)), sizeof copy);
        if (each_fresh) reader.prove();
        sum += copy[random.below(1024)];
      }
      reader.prove();
      if (sum == 0) give_up("reads found nothing");
    });
  }

  void yardsticks() {
    Random random(4);
    std::uint32_t sum = 0;
    results_.add("empty loop: two random numbers",
                 per_step(budget(),
                          [&] {
                            for (int i = 0; i < 1024; ++i) sum += random.below(options_.chunks) + random.below(1024);
                          }),
                 "ns");
    if (sum == 0) give_up("no random numbers");
    Plain plain(options_.chunks);
    results_.add("plain array: read a cell", cells(plain, false), "ns");
    results_.add("plain array: copy a chunk (memcpy)", chunks(plain, false), "ns");
  }

  double edits_per_second(const WriterProcess& writer, const std::function<void()>& meanwhile) {
    const std::uint64_t before = writer.edits();
    const double time = time_of(meanwhile);
    return static_cast<double>(writer.edits() - before) / time * 1e9;
  }

  Figures measure(const Pair& pair, const fs::path& folder) {
    const WriterProcess writer(pair, folder, options_.chunks);
    // The first edit of each chunk copies its page; the steady state comes after that.
    const auto settle = std::chrono::milliseconds(options_.quick ? 100 : 3000);
    std::this_thread::sleep_for(settle);
    const double alone = edits_per_second(writer, [&] { std::this_thread::sleep_for(budget() * 4); });
    Figures found;
    const auto reader = pair.reader(folder);
    // The kernel maps a page into a process when it is first touched.
    cells(*reader, false);
    const double beside = edits_per_second(writer, [&] {
      found.cell_fresh = cells(*reader, true);
      found.cell = cells(*reader, false);
      found.chunk_fresh = chunks(*reader, true);
      found.chunk = chunks(*reader, false);
    });
    const auto row = [&](const char* what, double value, const char* unit) {
      results_.add(pair.name + ": " + what, value, unit);
    };
    row("read a cell, the newest state for each", found.cell_fresh, "ns");
    row("read a cell, a state for 1024", found.cell, "ns");
    row("copy a chunk, the newest state for each", found.chunk_fresh, "ns");
    row("copy a chunk, a state for 1024", found.chunk, "ns");
    row("reads of cells in a second of CPU", 1e9 / found.cell, "/s");
    row("writer alone", alone, "edits/s");
    row("writer beside the reader", beside, "edits/s");
    std::uintmax_t bytes = 0;
    for (const fs::directory_entry& file : fs::directory_iterator(folder))
      if (file.path().extension() == ".shard" || file.path().extension() == ".mdb") bytes += file.file_size();
    row("the file afterwards", static_cast<double>(bytes) / 1048576, "MiB");
    return found;
  }

  Options options_;
  Results results_;
};

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  terrazzo::bench::Options options;
  CLI::App app{
      "terrazzo-reader-bench: reading a shard's file on its server's host while it is written; bench/README.md"};
  app.add_option("--folder", options.folder, "where files are made and removed again")->capture_default_str();
  app.add_option("--json", options.json, "file for the figures");
  app.add_option("--chunks", options.chunks, "how many, 4096 bytes each")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
  app.add_flag("--quick", options.quick, "short rounds");
  CLI11_PARSE(app, argc, argv);
  terrazzo::bench::Bench(options).run();
  return 0;
}
