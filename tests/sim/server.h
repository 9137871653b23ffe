#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/app/assembly.h"
#include "tests/sim/disk.h"
#include "tests/sim/fiber.h"
#include "tests/sim/loop.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace terrazzo::sim {

// So that a core that stalls makes others refuse edits now and then.
inline constexpr std::size_t kMeshBacklogMax = 64;

struct ServerCounters {
  std::uint64_t starts = 0, failed_starts = 0, stops = 0, power_losses = 0, power_losses_at_start = 0;
  std::uint64_t replayed = 0, rolled_forward = 0;
};

// The one server: real cores, log, checkpoints, versions, recovery, sessions, HTTP and outboxes, on simulated loops,
// file queues, workers and disk. It is started, stopped and dies as the simulation says.
class Server {
 public:
  Server(Machine& machine, Disk& disk, Network& network);
  ~Server();

  // With so many cores. Tried until it succeeds: as long as the disk fails, a start may fail.
  void start(int cores);
  // As SIGTERM does; `stopped` is called when it is done.
  void stop(std::function<void()> stopped);
  // Right now, or right before a change of a file soon. `gone` is called when the power is on again.
  void lose_power(std::uint64_t after_changes, std::function<void()> gone);

  bool running() const { return assembly_ != nullptr; }
  bool changing() const { return stopping_ || losing_; }
  int cores() const { return cores_wanted_; }
  app::Assembly& assembly() { return *assembly_; }
  Loop& loop(int core) { return *cores_[static_cast<std::size_t>(core)].loop; }
  bool log_failed() const;
  const ServerCounters& counters() const { return counters_; }
  app::Config& config() { return config_; }
  // Told of each start that failed.
  std::function<void(const std::string& why)> on_failed_start;
  // Why the last start failed; what fails for ever is wrong.
  const std::string& start_error() const { return start_error_; }

 private:
  struct Core {
    Loop* loop = nullptr;  // owned by the core's services
    std::unique_ptr<Fiber> fiber;
  };
  Status try_start();
  void run_core(std::size_t core);
  void look_for_jobs();
  void do_job(app::WorkerPool* pool, int& busy);
  void take_down();
  void after_step();
  void ended();

  Machine& machine_;
  Disk& disk_;
  Network& network_;
  Random random_;
  app::Config config_;
  std::uint32_t ring_capacity_;
  int cores_wanted_ = 1;
  std::unique_ptr<app::Assembly> assembly_;
  std::vector<Core> cores_;
  int busy_workers_ = 0, busy_page_workers_ = 0;
  std::uint64_t life_ = 0;  // appointments of an earlier one are void
  bool stopping_ = false, losing_ = false;
  std::function<void()> stopped_, gone_;
  std::string start_error_;
  ServerCounters counters_;
};

}  // namespace terrazzo::sim
