#include "server/app/server.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "map/formats/world_json.h"
#include "server/app/core_io.h"
#include "server/app/core_services.h"
#include "server/app/history_keeper.h"
#include "server/app/node.h"
#include "server/app/recovery.h"
#include "server/maintenance/partial_folder.h"
#include "server/net/network.h"
#include "server/runtime/affinity.h"
#include "shardfile/bus_guard.h"

namespace terrazzo::app {
namespace {

constexpr unsigned kPageThreads = 4;           // they wait for the disk more than they work
constexpr std::uint32_t kMeshCapacity = 4096;  // messages per pair of cores before the sender keeps them itself

struct Running {
  // Jobs of the workers point into cores: they end first.
  ~Running() {
    node.workers.reset();
    node.page_workers.reset();
  }

  Node node;
  std::vector<std::unique_ptr<CoreServices>> cores;
  std::vector<std::thread> threads;
};

constexpr timespec kLookAtFiles{5, 0};  // whether certificates have changed

sigset_t awaited_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

// Systems start programs with room for 1024 open files, for the sake of select(); what may really be had is the hard
// limit. One is used per connection and per shard.
void use_all_open_files() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

int core_count(const Config& config) {
  const auto allowed = static_cast<unsigned>(runtime::allowed_cpus().size());
  const unsigned wanted = config.cores != 0 ? config.cores : allowed;
  return static_cast<int>(std::clamp(wanted, 1u, static_cast<unsigned>(shard::kCoresMax)));
}

Status load_worlds(Node& node) {
  const Result<std::vector<WorldId>> ids = node.data->list_worlds();
  if (!ids) return ids.error();
  for (const WorldId id : *ids) {
    const Result<std::string> text = node.data->read_world(id);
    if (!text) return text.error();
    Result<map::World> world = formats::world_from_json(*text);
    if (!world) {
      return Error{ErrorCode::internal, "the metadata of world " + std::to_string(id.value) + " is damaged: " +
                                            world.error().message + "; restore its world.json from a backup"};
    }
    world->id = id;
    if (const Result<std::string> versions = node.data->read_versions(id); versions) {
      if (Status loaded = node.versions.load(id, *versions); !loaded) return loaded;
    } else if (versions.error().code != ErrorCode::not_found) {
      return versions.error();
    }
    if (Status added = node.worlds.add(std::make_shared<const map::World>(*std::move(world))); !added) return added;
  }
  return {};
}

Status set_up_identity(Node& node) {
  node.resume_tokens = std::make_unique<ResumeTokens>(node.data->secret());
  if (node.config.auth == AuthMode::none) {
    node.authenticator = std::make_unique<Authenticator>(Authenticator::none());
    return {};
  }
  const std::string path =
      node.config.token_secret_file.empty() ? node.config.data_dir + "/token.secret" : node.config.token_secret_file;
  Result<std::string> secret = load_or_make_secret(path);
  if (!secret) return secret.error();
  node.authenticator = std::make_unique<Authenticator>(Authenticator::with_secret(*std::move(secret)));
  return {};
}

Status open_data(Node& node) {
  Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(node.config.data_dir);
  if (!data) return data.error();
  node.data = *std::move(data);
  node.incarnation = node.data->incarnation();
  // Of a run that ended while it made a backup. Nothing depends on it.
  if (const Status removed = maintenance::remove_partial_folders(node.config.backup_folder()); !removed)
    spdlog::warn("unfinished backups stay where they are: {}", removed.error().message);
  if (Status loaded = load_worlds(node); !loaded) return loaded;
  return set_up_identity(node);
}

// One listening socket per core on the same port: the kernel spreads connections over them.
Result<std::vector<int>> open_listeners(const Config& config, int cores) {
  std::vector<int> listeners;
  std::uint16_t port = config.port;
  const std::size_t kernel_bytes_max = std::size_t{config.send_buffer_kib} << 10;
  for (int core = 0; core < cores; ++core) {
    const Result<int> fd = net::open_listener(config.host, port, kernel_bytes_max);
    if (!fd) {
      for (const int open : listeners) ::close(open);
      return fd.error();
    }
    listeners.push_back(*fd);
    port = net::local_port(*fd);
  }
  if (const std::size_t allowed = net::send_buffer_bytes(listeners.front()); allowed < kernel_bytes_max)
    spdlog::warn("--send-buffer-kib {}: the kernel allows {} (sysctl net.core.wmem_max, twice that counts)",
                 config.send_buffer_kib, allowed >> 10);
  return listeners;
}

Status start_cores(Running& running, const std::vector<int>& listeners) {
  Node& node = running.node;
  Result<std::vector<CoreIo>> io = open_core_io(node.config, node.cores);
  if (!io) return io.error();
  std::vector<runtime::EventLoop*> wakers;
  for (const CoreIo& core : *io) wakers.push_back(core.loop.get());
  node.mesh = std::make_unique<runtime::Mesh>(wakers, kMeshCapacity);
  const auto wake = [&node](unsigned core) { node.mesh->wake(static_cast<int>(core)); };
  node.workers = std::make_unique<WorkerPool>(2, static_cast<unsigned>(node.cores), wake);
  node.page_workers = std::make_unique<WorkerPool>(kPageThreads, static_cast<unsigned>(node.cores), wake);
  for (int core = 0; core < node.cores; ++core) {
    const auto at = static_cast<std::size_t>(core);
    running.cores.push_back(
        std::make_unique<CoreServices>(node, static_cast<shard::CoreId>(core), std::move((*io)[at]), listeners[at]));
  }
  const Result<RecoveryReport> recovered = recover(node, running.cores);
  if (!recovered) return recovered.error();
  keep_history_limits(node);
  node.versions.forget_deleted();
  if (recovered->segments != 0) {
    spdlog::info("recovered from {} log segments: {} records, {} replayed onto {} shards, {} parts rolled forward",
                 recovered->segments, recovered->records, recovered->replayed, recovered->shards,
                 recovered->rolled_forward);
  }
  return {};
}

void run_threads(Running& running) {
  const std::vector<int> cpus = runtime::allowed_cpus();
  for (std::size_t core = 0; core < running.cores.size(); ++core) {
    running.threads.emplace_back([&running, core, cpu = cpus[core % cpus.size()]] {
      const std::string name = "core-" + std::to_string(core);
      ::pthread_setname_np(::pthread_self(), name.c_str());
      if (running.node.config.pin && running.cores.size() <= runtime::allowed_cpus().size())
        runtime::pin_this_thread(cpu);
      running.cores[core]->run();
    });
  }
}

void wake_cores(Running& running) {
  for (int core = 0; core < running.node.cores; ++core) running.node.mesh->wake(core);
}

int wait_for_the_end(Running& running) {
  CertificateStore* const certificates = running.node.certificates.get();
  const sigset_t signals = awaited_signals();
  const bool at_terminal = ::isatty(STDIN_FILENO) == 1;
  for (;;) {
    const int signal = ::sigtimedwait(&signals, nullptr, certificates != nullptr ? &kLookAtFiles : nullptr);
    if (signal == SIGTERM || signal == SIGINT) return signal;
    if (certificates == nullptr) {
      if (signal != SIGHUP) continue;
      if (at_terminal) return signal;  // which was closed
      spdlog::info("SIGHUP: there is no certificate to load anew");
      continue;
    }
    if (signal == SIGHUP ? certificates->load("SIGHUP") : certificates->look()) wake_cores(running);
  }
}

void drain_on_signal(Running& running) {
  const int signal = wait_for_the_end(running);
  spdlog::info("{}: draining", signal == SIGINT ? "SIGINT" : signal == SIGHUP ? "SIGHUP" : "SIGTERM");
  running.node.draining.store(true);
  wake_cores(running);
  for (std::thread& thread : running.threads) thread.join();
  spdlog::info("stopped; everything acknowledged is on disk");
}

}  // namespace

Status serve(const Config& config) {
  if (Status valid = validate(config); !valid) return valid;
  // Blocked before any thread starts, so that only sigwait() sees them.
  const sigset_t signals = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  use_all_open_files();
  shardfile::install_bus_guard();

  Running running;
  running.node.config = config;
  running.node.cores = core_count(config);
  if (!config.tls_cert.empty()) {
    auto certificates = CertificateStore::open(config.tls_cert, config.tls_key);
    if (!certificates) return certificates.error();
    running.node.certificates = *std::move(certificates);
  }
  if (Status opened = open_data(running.node); !opened) return opened;
  Result<std::vector<int>> listeners = open_listeners(config, running.node.cores);
  if (!listeners) return listeners.error();
  const std::uint16_t port = net::local_port(listeners->front());
  if (Status started = start_cores(running, *listeners); !started) return started;

  const bool v6 = config.host.find(':') != std::string::npos;
  std::printf("listening on %s://%s%s%s:%u\n", running.node.certificates ? "https" : "http", v6 ? "[" : "",
              config.host.c_str(), v6 ? "]" : "", port);
  std::fflush(stdout);
  spdlog::info("{} cores, {} worlds, incarnation {}, data in {}", running.node.cores, running.node.worlds.list().size(),
               running.node.incarnation.value, config.data_dir);
  run_threads(running);
  drain_on_signal(running);
  return {};
}

}  // namespace terrazzo::app
