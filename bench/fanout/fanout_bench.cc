// One edit to N viewers: Terrazzo beside a bare send() loop and broadcast servers on node, in turns in the same run.
// First at a moderate pace, for latency, then saturated, for throughput and server CPU per delivered message. Medians.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/fanout/child_process.h"
#include "bench/fanout/crowd.h"
#include "bench/fanout/servers.h"

namespace terrazzo::bench {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<int> viewers{200};
  std::vector<int> bystanders{0};  // with others than 0 only Terrazzo is measured: the others know no places
  int painters = 1, places = 1;    // more of these: the same
  int rounds = 5;
  double seconds = 2, paced_seconds = 1;
  double deliveries = 20000;  // a second, of the paced part
  std::string json, peers;    // folder with what npm installed and the scripts
  std::vector<std::string> ios, only;
  std::string base;  // another terrazzo-server, to compare with
  fs::path bin;
};

struct Measured {
  std::vector<double> rates, delivered_ns, message_ns, p50_us, p99_us;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double percentile(std::vector<std::uint32_t>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

bool measure(const Options& options, const Server& server, int viewers, int bystanders, const fs::path& data,
             Measured& measured) {
  const CrowdSize size{viewers, bystanders, options.painters, options.places};
  fs::remove_all(data);
  const ChildProcess process(server.words);
  if (!process.running() || (server.needs_world && !make_world(process.port()))) return false;
  Crowd crowd(process.port(), size, server.dialect);
  if (!crowd.ready()) return false;
  if (options.paced_seconds > 0 && options.painters == 1) {
    std::vector<std::uint32_t> latencies = crowd.run_paced(options.deliveries / viewers, options.paced_seconds);
    if (latencies.empty()) return false;
    std::ranges::sort(latencies);
    measured.p50_us.push_back(percentile(latencies, 0.5));
    measured.p99_us.push_back(percentile(latencies, 0.99));
  }
  if (options.seconds <= 0) return true;
  // Until caches and buffers are what they will be, and the shards' files are made.
  crowd.run_full(options.places == 1 ? 0.3 : 1);
  const double before = process.cpu_seconds();
  const Counted counted = crowd.run_full(options.seconds);
  const double cpu = process.cpu_seconds() - before;
  if (counted.delivered == 0) return false;
  measured.rates.push_back(static_cast<double>(counted.delivered) / counted.seconds);
  measured.delivered_ns.push_back(cpu * 1e9 / static_cast<double>(counted.delivered));
  measured.message_ns.push_back(cpu * 1e9 / static_cast<double>(std::max<std::uint64_t>(counted.sent, 1)));
  return true;
}

std::vector<Server> servers_of(const Options& options, const fs::path& data, proto::Encoder& encoder) {
  std::vector<Server> servers;
  const std::string program = (options.bin / "terrazzo-server").string();
  if (options.ios.empty()) servers.push_back(terrazzo_server("terrazzo", program, {}, data, encoder));
  for (const std::string& io : options.ios)
    servers.push_back(terrazzo_server("terrazzo " + io, program, {"--io", io}, data, encoder));
  if (!options.base.empty()) servers.push_back(terrazzo_server("terrazzo base", options.base, {}, data, encoder));
  servers.push_back(plain_server("send() loop", {(options.bin / "terrazzo-send-loop").string()}, false));
  if (!options.peers.empty()) {
    const fs::path peers = options.peers;
    servers.push_back(plain_server("node ws", {"node", peers / "ws_broadcast.mjs"}, true));
    if (auto server =
            scripted_server("y-websocket", {"node", peers / "y_websocket_server.mjs"}, peers / "y-websocket.txt"))
      servers.push_back(*std::move(server));
    if (auto server =
            scripted_server("hocuspocus", {"node", peers / "hocuspocus_server.mjs"}, peers / "hocuspocus.txt"))
      servers.push_back(*std::move(server));
  }
  if (!options.only.empty())
    std::erase_if(servers, [&](const Server& server) { return std::ranges::count(options.only, server.name) == 0; });
  return servers;
}

nlohmann::json report(const Options& options, const std::vector<Server>& servers, const std::vector<Measured>& all,
                      int viewers, int bystanders) {
  const auto first = static_cast<std::size_t>(
      std::ranges::find_if(servers, [](const Server& s) { return s.needs_world; }) - servers.begin());
  const double own = first < all.size() ? median(all[first].delivered_ns) : 0;
  if (options.painters == 1 && options.places == 1) {
    fmt::print("one message to {} viewers{}\n", viewers,
               bystanders == 0 ? "" : fmt::format(", {} bystanders", bystanders));
  } else {
    fmt::print("{} painters and {} viewers at {} places, {} bystanders\n", options.painters, viewers, options.places,
               bystanders);
  }
  fmt::print("  {:<16}{:>14}{:>20}{:>16}{:>18}{:>12}{:>12}\n", "server", "delivered/s", "CPU ns/delivered",
             "CPU ns/edit", "Terrazzo's part", "p50 us", "p99 us");
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const Measured& m = all[i];
    const double cost = median(m.delivered_ns);
    fmt::print("  {:<16}{:>14.0f}{:>20.0f}{:>16.0f}{:>18.3f}{:>12.0f}{:>12.0f}\n", servers[i].name, median(m.rates),
               cost, median(m.message_ns), cost > 0 ? own / cost : 0, median(m.p50_us), median(m.p99_us));
    rows.push_back({{"viewers", viewers},
                    {"bystanders", bystanders},
                    {"painters", options.painters},
                    {"places", options.places},
                    {"name", servers[i].name},
                    {"delivered_per_second", median(m.rates)},
                    {"cpu_ns_per_delivered", cost},
                    {"cpu_ns_per_message", median(m.message_ns)},
                    {"p50_us", median(m.p50_us)},
                    {"p99_us", median(m.p99_us)},
                    {"all_cpu_ns", m.delivered_ns},
                    {"all_rates", m.rates}});
  }
  return rows;
}

int run(const Options& options) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  proto::Encoder encoder;
  const fs::path data = fs::temp_directory_path() / ("terrazzo-bench-" + std::to_string(::getpid()));
  const std::vector<Server> servers = servers_of(options, data, encoder);
  nlohmann::json out{{"rounds", options.rounds}, {"seconds", options.seconds}, {"results", nlohmann::json::array()}};
  for (const int viewers : options.viewers) {
    // Setups take turns within a round, so that what else the machine does meets all of them.
    std::vector<std::vector<Measured>> all(options.bystanders.size(), std::vector<Measured>(servers.size()));
    for (int round = 0; round < options.rounds; ++round) {
      for (std::size_t b = 0; b < options.bystanders.size(); ++b) {
        for (std::size_t i = 0; i < servers.size(); ++i) {
          if (!servers[i].needs_world && (options.bystanders[b] != 0 || options.painters != 1 || options.places != 1))
            continue;
          fmt::print(stderr, "\r{} viewers, round {} of {}: {}\033[K", viewers, round + 1, options.rounds,
                     servers[i].name);
          if (!measure(options, servers[i], viewers, options.bystanders[b], data, all[b][i]))
            fmt::print(stderr, "\n{} could not be measured\n", servers[i].name);
        }
      }
    }
    fmt::print(stderr, "\r\033[K");
    for (std::size_t b = 0; b < options.bystanders.size(); ++b)
      for (const auto& row : report(options, servers, all[b], viewers, options.bystanders[b]))
        out["results"].push_back(row);
  }
  fs::remove_all(data);
  if (!options.json.empty()) std::ofstream(options.json) << out.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  using terrazzo::bench::Options;
  Options o;
  o.bin = std::filesystem::canonical("/proc/self/exe").parent_path();
  CLI::App app{
      "One edit to N viewers on loopback, Terrazzo beside other servers: latency at a moderate pace, then throughput "
      "and "
      "server CPU, saturated.\n\nTry:  terrazzo-fanout-bench --viewers 200,1000 --rounds 3"};
  app.add_option("--viewers", o.viewers, "how many watch; several: one after the other")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--bystanders", o.bystanders, "how many look elsewhere")->delimiter(',')->capture_default_str();
  app.add_option("--painters", o.painters, "how many paint; with several there is no moderate pace")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--places", o.places, "places apart from each other that painters and viewers are dealt out over")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--rounds", o.rounds, "medians of so many")->capture_default_str();
  app.add_option("--seconds", o.seconds, "saturated, for each; 0: not")->capture_default_str();
  app.add_option("--paced-seconds", o.paced_seconds, "at a moderate pace, for each; 0: not")->capture_default_str();
  app.add_option("--deliveries", o.deliveries, "a second, at a moderate pace")->capture_default_str();
  app.add_option("--io", o.ios, "measure Terrazzo on each of these: ring, epoll")->delimiter(',');
  app.add_option("--only", o.only, "only servers of these names")->delimiter(',');
  app.add_option("--base", o.base, "another terrazzo-server, measured as well");
  app.add_option("--peers", o.peers, "folder with what npm installed and the scripts of bench/peers");
  app.add_option("--json", o.json, "write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  return terrazzo::bench::run(o);
}
