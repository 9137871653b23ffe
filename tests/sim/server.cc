#include "tests/sim/server.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "tests/sim/file_queue.h"

namespace terrazzo::sim {
namespace {

constexpr int kWorkers = 2, kPageWorkers = 4;

}  // namespace

Server::Server(Machine& machine, Disk& disk, Network& network)
    : machine_(machine), disk_(disk), network_(network), random_(machine.random.split()) {
  config_.data_dir = disk.folder();
  config_.auth = app::AuthMode::none;
  config_.segment_mib = 1;
  config_.history_mib = random_.chance(0.5) ? 16 : 0;
  config_.memory_mib = 1 + static_cast<std::uint32_t>(random_.below(8));
  config_.chunk_cache_mib = static_cast<std::uint32_t>(random_.below(2));
  config_.conflate_bytes = static_cast<std::uint32_t>(random_.log_between(1 << 10, 1 << 17));
  // Not less than the answers to all the edits that a client may have on their way: with that it would come back, be
  // answered and be closed for ever. The flag allows no such value.
  config_.outbox_bytes_max = std::max<std::uint32_t>(
      24u << 10, config_.conflate_bytes * static_cast<std::uint32_t>(random_.log_between(4, 256)));
  config_.publish_ms = random_.chance(0.3) ? 10 : 0;
  // Of what came later: draws of its own.
  Random own = machine.random;
  config_.claim_grace_ms = static_cast<std::uint32_t>(own.log_between(200, 4000));
  ring_capacity_ = 4096;
  if (machine.faults.rate(Fault::small_rings) > 0) {
    ring_capacity_ = static_cast<std::uint32_t>(random_.log_between(1, 64));
    machine.faults.count(Fault::small_rings);
  }
}

Server::~Server() {
  if (!disk_.dead()) disk_.cut();
  take_down();
}

// ---- starting ----

void Server::start(int cores) {
  TZ_ASSERT(assembly_ == nullptr);
  cores_wanted_ = cores;
  const Status started = try_start();
  if (!started) start_error_ = started.error().message;
  if (disk_.dead()) {
    ++counters_.power_losses_at_start;
    return after_step();
  }
  if (started) return;
  ++counters_.failed_starts;
  if (on_failed_start) on_failed_start(start_error_);
  take_down();
  machine_.schedule.after(kSecond, [this, life = life_] {
    if (life == life_ && assembly_ == nullptr) start(cores_wanted_);
  });
}

Status Server::try_start() {
  ++counters_.starts;
  assembly_ = std::make_unique<app::Assembly>();
  app::Node& node = assembly_->node;
  node.config = config_;
  node.cores = cores_wanted_;
  if (Status opened = app::open_data(node); !opened) return opened;
  std::vector<app::CoreIo> io;
  std::vector<int> listeners;
  for (int core = 0; core < cores_wanted_; ++core) {
    const auto at = static_cast<std::size_t>(core);
    auto loop = std::make_unique<Loop>(machine_, network_, [this, at] { run_core(at); });
    cores_.push_back({loop.get(), nullptr});
    auto files = std::make_unique<FileQueue>(machine_, *loop);
    io.push_back({std::move(loop), std::move(files)});
    listeners.push_back(Network::listen_fd(core));
  }
  const Result<app::RecoveryReport> made = app::make_cores(
      *assembly_, std::move(io), listeners,
      {.worker_threads = 0, .page_threads = 0, .mesh_capacity = ring_capacity_, .mesh_backlog_max = kMeshBacklogMax});
  if (!made) return made.error();
  counters_.replayed += made->replayed;
  counters_.rolled_forward += made->rolled_forward;
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    cores_[core].fiber = std::make_unique<Fiber>([this, core] {
      try {
        assembly_->cores[core]->run();
      } catch (const PowerLost&) {
      }
    });
    cores_[core].loop->start();
    // Up to its first wait.
    cores_[core].fiber->resume();
  }
  look_for_jobs();
  return {};
}

bool Server::log_failed() const {
  return assembly_ != nullptr &&
         std::ranges::any_of(assembly_->cores, [](const auto& core) { return core->snapshot().log.failures != 0; });
}

// ---- running ----

void Server::run_core(std::size_t core) {
  Fiber& fiber = *cores_[core].fiber;
  if (!fiber.ended()) fiber.resume();
  after_step();
}

void Server::look_for_jobs() {
  app::Node& node = assembly_->node;
  const auto hand_out = [&](app::WorkerPool* pool, int& busy, int most) {
    if (pool == nullptr) return;
    while (busy < most && pool->waiting() > static_cast<std::size_t>(busy)) {
      ++busy;
      std::uint64_t delay = random_.log_between(10 * kMicrosecond, 10 * kMillisecond);
      if (machine_.faults.strikes(Fault::slow_disk, random_)) delay += random_.log_between(kMillisecond, 5 * kSecond);
      machine_.schedule.after(delay, [this, life = life_, pool, &busy] {
        if (life == life_) do_job(pool, busy);
      });
    }
  };
  hand_out(node.workers.get(), busy_workers_, kWorkers);
  hand_out(node.page_workers.get(), busy_page_workers_, kPageWorkers);
}

void Server::do_job(app::WorkerPool* pool, int& busy) {
  --busy;
  pool->run_one();
  after_step();
}

void Server::after_step() {
  if (disk_.dead()) {
    ++counters_.power_losses;
    take_down();
    disk_.power_on();
    losing_ = stopping_ = false;
    if (const auto gone = std::exchange(gone_, nullptr)) gone();
    return;
  }
  look_for_jobs();
  for (const Core& core : cores_)
    if (!core.fiber->ended()) return;
  ended();
}

void Server::ended() {
  ++counters_.stops;
  take_down();
  stopping_ = false;
  if (const auto stopped = std::exchange(stopped_, nullptr)) stopped();
}

// ---- ending ----

void Server::stop(std::function<void()> stopped) {
  TZ_ASSERT(running() && !stopping_);
  stopping_ = true;
  stopped_ = std::move(stopped);
  assembly_->node.draining.store(true);
  for (const Core& core : cores_) core.loop->wake();
}

void Server::lose_power(std::uint64_t after_changes, std::function<void()> gone) {
  losing_ = true;
  gone_ = std::move(gone);
  if (after_changes != 0) {
    disk_.cut_after(after_changes);
    // If nothing changes any more.
    machine_.schedule.after(kSecond, [this, life = life_] {
      if (life != life_ || !losing_) return;
      disk_.cut();
      after_step();
    });
    return;
  }
  disk_.cut();
  after_step();
}

void Server::take_down() {
  ++life_;
  for (Core& core : cores_) core.loop->die();
  for (Core& core : cores_)
    if (core.fiber && !core.fiber->ended()) core.fiber->resume();  // throws itself off
  assembly_.reset();
  network_.server_died();
  cores_.clear();
  busy_workers_ = busy_page_workers_ = 0;
}

}  // namespace terrazzo::sim
