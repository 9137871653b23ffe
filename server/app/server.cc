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

#include "server/app/assembly.h"
#include "server/app/core_io.h"
#include "server/net/network.h"
#include "server/runtime/affinity.h"
#include "shardfile/bus_guard.h"

namespace terrazzo::app {
namespace {

struct Running : Assembly {
  std::vector<std::thread> threads;
};

constexpr timespec kLookAtFiles{5, 0};  // whether certificates or keys have changed

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
  Result<std::vector<CoreIo>> io = open_core_io(running.node.config, running.node.cores);
  if (!io) return io.error();
  const Result<RecoveryReport> made = make_cores(running, *std::move(io), listeners, {});
  return made ? Status() : made.error();
}

void run_threads(Running& running) {
  const std::vector<int> cpus = runtime::allowed_cpus();
  for (std::size_t core = 0; core < running.cores.size(); ++core) {
    running.threads.emplace_back([&running, core, cpu = cpus[core % cpus.size()]] {
      const std::string name = "core-" + std::to_string(core);
      ::pthread_setname_np(::pthread_self(), name.c_str());
      if (running.node.config.pin && running.cores.size() <= runtime::allowed_cpus().size())
        runtime::pin_this_thread(cpu);
      runtime::ask_for_short_turns();
      running.cores[core]->run();
    });
  }
}

void wake_cores(Running& running) {
  for (int core = 0; core < running.node.cores; ++core) running.node.mesh->wake(core);
}

// What an operator may replace while the server runs.
void look_at_files(Running& running, bool asked) {
  KeyStore* const keys = running.node.authenticator->keys();
  CertificateStore* const certificates = running.node.certificates.get();
  if (asked && keys == nullptr && certificates == nullptr)
    spdlog::info("SIGHUP: there are no keys of tokens and no certificate to load anew");
  if (keys != nullptr) asked ? keys->load("SIGHUP") : keys->look();
  if (certificates != nullptr && (asked ? certificates->load("SIGHUP") : certificates->look())) wake_cores(running);
}

int wait_for_the_end(Running& running) {
  const sigset_t signals = awaited_signals();
  const bool at_terminal = ::isatty(STDIN_FILENO) == 1;
  for (;;) {
    const int signal = ::sigtimedwait(&signals, nullptr, &kLookAtFiles);
    if (signal == SIGTERM || signal == SIGINT) return signal;
    if (signal == SIGHUP && at_terminal && ::isatty(STDIN_FILENO) == 0) return signal;  // which was closed
    look_at_files(running, signal == SIGHUP);
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
