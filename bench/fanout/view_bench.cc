// N clients load the same view of 64 chunks at the same time, again and again: Terrazzo beside a server that only sends
// as many bytes. Bytes per second and server CPU; medians of turns.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/fanout/child_process.h"
#include "bench/fanout/crowd.h"
#include "bench/fanout/servers.h"

namespace terrazzo::bench {
namespace {

namespace fs = std::filesystem;
constexpr int kSide = 256;  // cells: 8 × 8 chunks
constexpr int kQuietMs = 300;

struct Options {
  int clients = 100, loads = 40, rounds = 3;
  std::string json;
  fs::path bin;
};

// Sends and counts bytes, no more.
class Readers {
 public:
  explicit Readers(std::uint16_t port) : port_(port), epoll_(::epoll_create1(EPOLL_CLOEXEC)), buffer_(256 * 1024) {}
  ~Readers() {
    for (const int fd : fds_) ::close(fd);
    ::close(epoll_);
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  bool add() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(fds_.size());
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    fds_.push_back(fd);
    received_.push_back(0);
    return true;
  }
  void send(std::size_t who, const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t sent = ::send(fds_[who], bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
  // Until nothing comes for a while; the bytes that one has got.
  std::uint64_t read_until_quiet(std::size_t who) {
    while (turn(kQuietMs)) continue;
    return std::exchange(received_[who], 0);
  }
  // Everybody sends this and gets so many bytes. False: it does not come.
  bool load(const std::string& request, std::uint64_t bytes) {
    std::ranges::fill(received_, 0);
    for (std::size_t i = 0; i < fds_.size(); ++i) send(i, request);
    while (!std::ranges::all_of(received_, [&](std::uint64_t got) { return got >= bytes; }))
      if (!turn(10000)) return false;
    return true;
  }

 private:
  bool turn(int wait_ms) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll_, events, 256, wait_ms);
    for (int i = 0; i < count; ++i) {
      const std::uint32_t who = events[i].data.u32;
      const ssize_t got = ::recv(fds_[who], buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got <= 0) return false;
      received_[who] += static_cast<std::uint64_t>(got);
    }
    return count > 0;
  }
  std::uint16_t port_;
  int epoll_;
  std::vector<std::byte> buffer_;
  std::vector<int> fds_;
  std::vector<std::uint64_t> received_;
};

struct Measured {
  std::vector<double> mb_per_second, cpu_ms_per_mb;
  std::uint64_t bytes = 0;  // of one view
};

bool run_loads(const Options& options, const ChildProcess& process, Readers& readers, const std::string& request,
               std::uint64_t bytes, Measured& measured) {
  if (!readers.load(request, bytes)) return false;
  const double cpu = process.cpu_seconds();
  const std::uint64_t began = now_ns();
  for (int i = 0; i < options.loads; ++i)
    if (!readers.load(request, bytes)) return false;
  const double seconds = static_cast<double>(now_ns() - began) / 1e9;
  const double mb = static_cast<double>(bytes) * options.clients * options.loads / 1e6;
  measured.mb_per_second.push_back(mb / seconds);
  measured.cpu_ms_per_mb.push_back((process.cpu_seconds() - cpu) * 1e3 / mb);
  measured.bytes = bytes;
  return true;
}

bool measure_terrazzo(const Options& options, const fs::path& data, proto::Encoder& encoder, Measured& measured) {
  fs::remove_all(data);
  const Server server = terrazzo_server("terrazzo", (options.bin / "terrazzo-server").string(), {}, data, encoder);
  const ChildProcess process(server.words);
  if (!process.running() || !make_world(process.port())) return false;
  const std::string hello = handshake(process.port(), server.dialect.path, server.dialect.protocol);
  Readers painter(process.port());
  if (!painter.add()) return false;
  painter.send(0, hello);
  painter.read_until_quiet(0);
  painter.send(0, server.dialect.painter_joining);
  painter.read_until_quiet(0);
  // 40 different tiles at random: a place that people have worked on.
  std::mt19937 random(1);
  std::vector<map::Cell> cells(kSide * kSide);
  for (map::Cell& cell : cells) cell.bits = 1 + static_cast<std::uint32_t>(random() % 40);
  const map::Rect place = map::Rect::of_size(0, 0, kSide, kSide);
  const map::Op op{map::OpKind::set, 1, place, {}, {}, cells};
  painter.send(0, message_of(encoder, map::Edit{EditId{1}, map::AckMode::durable, {&op, 1}, {}}));
  if (painter.read_until_quiet(0) == 0) return false;
  Readers readers(process.port());
  for (int i = 0; i < options.clients; ++i)
    if (!readers.add()) return false;
  if (!readers.load(hello, 1)) return false;
  readers.read_until_quiet(0);
  if (!readers.load(server.dialect.painter_joining, 1)) return false;
  readers.read_until_quiet(0);
  proto::Subscribe subscribe;
  subscribe.sub = 1;
  subscribe.rect = place;
  // Said again, it is a new subscription in place of the old one, by a client that holds nothing.
  const std::string request = message_of(encoder, subscribe);
  readers.send(0, request);
  const std::uint64_t bytes = readers.read_until_quiet(0);
  return bytes != 0 && run_loads(options, process, readers, request, bytes, measured);
}

bool measure_blobs(const Options& options, std::uint64_t bytes, Measured& measured) {
  const ChildProcess process({(options.bin / "terrazzo-send-blobs").string(), std::to_string(bytes)});
  if (!process.running()) return false;
  Readers readers(process.port());
  for (int i = 0; i < options.clients; ++i)
    if (!readers.add()) return false;
  return run_loads(options, process, readers, "?", bytes, measured);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int run(const Options& options) {
  proto::Encoder encoder;
  const fs::path data = fs::temp_directory_path() / ("terrazzo-bench-" + std::to_string(::getpid()));
  Measured terrazzo, blobs;
  bool whole = true;
  for (int round = 0; round < options.rounds && whole; ++round)
    whole = measure_terrazzo(options, data, encoder, terrazzo) && measure_blobs(options, terrazzo.bytes, blobs);
  fs::remove_all(data);
  if (!whole) {
    fmt::print(stderr, "the view could not be loaded\n");
    return 1;
  }
  const double rate = median(terrazzo.mb_per_second), bare = median(blobs.mb_per_second);
  fmt::print("{} clients load the same 64 chunks, {} bytes each\n", options.clients, terrazzo.bytes);
  fmt::print("  {:<16}{:>12}{:>20}\n", "server", "MB/s", "server CPU ms/MB");
  fmt::print("  {:<16}{:>12.0f}{:>20.2f}\n", "terrazzo", rate, median(terrazzo.cpu_ms_per_mb));
  fmt::print("  {:<16}{:>12.0f}{:>20.2f}\n", "bare send()", bare, median(blobs.cpu_ms_per_mb));
  fmt::print("  ratio of throughput {:.2f}\n", rate / bare);
  if (!options.json.empty())
    std::ofstream(options.json) << nlohmann::json{{"clients", options.clients},
                                                  {"bytes", terrazzo.bytes},
                                                  {"mb_per_second", rate},
                                                  {"bare_mb_per_second", bare},
                                                  {"cpu_ms_per_mb", median(terrazzo.cpu_ms_per_mb)},
                                                  {"bare_cpu_ms_per_mb", median(blobs.cpu_ms_per_mb)}}
                                       .dump(1)
                                << "\n";
  return 0;
}

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  terrazzo::bench::Options o;
  o.bin = std::filesystem::canonical("/proc/self/exe").parent_path();
  CLI::App app{
      "N clients load the same view of 64 chunks at the same time, beside a server that only sends as many bytes."};
  app.add_option("--clients", o.clients, "how many")->capture_default_str();
  app.add_option("--loads", o.loads, "how often each loads it in a round")->capture_default_str();
  app.add_option("--rounds", o.rounds, "medians of so many")->capture_default_str();
  app.add_option("--json", o.json, "write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  return terrazzo::bench::run(o);
}
