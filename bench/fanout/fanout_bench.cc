// One edit to N viewers, saturated: Terrazzo beside a bare send() loop and a node `ws` broadcast server, in turns in
// the same run; --io ring,epoll measures Terrazzo on each, --base FILE another build of it as well. Prints delivered
// messages per second and server CPU per delivered message, as medians and ratios;
// --json FILE.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/fanout/child_process.h"
#include "bench/fanout/crowd.h"
#include "proto/codec.h"

namespace terrazzo::bench {
namespace {

namespace fs = std::filesystem;

struct Options {
  int viewers = 200;
  int rounds = 5;
  double seconds = 2;
  std::string json, ws_folder;   // where the `ws` package is installed
  std::vector<std::string> ios;  // of --io; none: what the server chooses
  std::string base;              // another terrazzo-server, to compare with
  fs::path bin;
};

struct Server {
  std::string name;
  std::vector<std::string> words;
  Dialect dialect;
  bool needs_world = false;
  std::vector<double> rates, costs_ns;
};

std::string message_of(proto::Encoder& encoder, const proto::ClientMessage& message) {
  proto::ByteBuffer payload;
  encoder.append(proto::Form::binary, message, payload);
  return masked_frame(payload);
}

Server terrazzo_server(const std::string& name, const std::string& program, const std::vector<std::string>& flags,
                       const fs::path& data, proto::Encoder& encoder) {
  Server server{
      name, {program, "--data", data.string(), "--listen", "127.0.0.1:0", "--auth", "none", "--log-level", "error"},
      {},   true,
      {},   {}};
  server.words.insert(server.words.end(), flags.begin(), flags.end());
  server.dialect.path = "/v1/ws";
  server.dialect.protocol = "terrazzo.v1.flatbuffers";
  proto::Hello hello;
  proto::Subscribe subscribe;
  subscribe.rect = map::Rect::of_size(0, 0, 32, 32);
  // The painter looks at nothing: the answer to each edit is its one frame.
  server.dialect.painter_joining = message_of(encoder, hello) + message_of(encoder, proto::Open{"bench"});
  server.dialect.frames_of_painter_joining = 2;  // welcome, world
  server.dialect.joining = server.dialect.painter_joining + message_of(encoder, subscribe);
  server.dialect.frames_of_joining = 3;  // welcome, world, subscribed: the chunk is empty when everybody joins
  server.dialect.message = [&encoder](std::uint64_t number) {
    const map::Cell cell{static_cast<std::uint32_t>(1 + number % 40)};
    const map::Op op{
        map::OpKind::set,
        1,
        map::Rect::of_size(static_cast<std::int64_t>(number % 32), static_cast<std::int64_t>(number / 32 % 32), 1, 1),
        {},
        {},
        {&cell, 1}};
    return message_of(encoder, map::Edit{EditId{number}, map::AckMode::applied, {&op, 1}, {}});
  };
  return server;
}

Server plain_server(const std::string& name, std::vector<std::string> words, bool web_socket) {
  Server server{name, std::move(words), {}, false, {}, {}};
  server.dialect.web_socket = web_socket;
  const std::string body(96, 'x');
  server.dialect.message = [body, web_socket](std::uint64_t) {
    return web_socket ? masked_frame(std::as_bytes(std::span(body.data(), body.size()))) : body;
  };
  return server;
}

bool make_world(std::uint16_t port) {
  const std::string body =
      R"({"name":"bench","layers":[{"id":1,"kind":"tile"}],"tilesets":[{"first_tile":1,"tile_count":50}]})";
  const std::string command =
      "curl -fsS -X POST http://127.0.0.1:" + std::to_string(port) + "/v1/worlds -d '" + body + "' > /dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

bool measure(const Options& options, Server& server, const fs::path& data) {
  fs::remove_all(data);
  const ChildProcess process(server.words);
  if (!process.running() || (server.needs_world && !make_world(process.port()))) return false;
  Crowd crowd(process.port(), options.viewers, server.dialect);
  if (!crowd.ready()) return false;
  crowd.run(0.3);  // until caches and buffers are what they will be
  const double before = process.cpu_seconds();
  const Counted counted = crowd.run(options.seconds);
  const double cpu = process.cpu_seconds() - before;
  if (counted.delivered == 0) return false;
  server.rates.push_back(static_cast<double>(counted.delivered) / counted.seconds);
  server.costs_ns.push_back(cpu * 1e9 / static_cast<double>(counted.delivered));
  return true;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream rest(text);
  for (std::string word; std::getline(rest, word, ',');) words.push_back(word);
  return words;
}

Options parse(int argc, char** argv) {
  Options options;
  options.bin = fs::canonical("/proc/self/exe").parent_path();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--viewers") options.viewers = std::stoi(value);
    if (name == "--rounds") options.rounds = std::stoi(value);
    if (name == "--seconds") options.seconds = std::stod(value);
    if (name == "--json") options.json = value;
    if (name == "--ws-folder") options.ws_folder = value;
    if (name == "--base") options.base = value;
    if (name == "--io") options.ios = split(value);
  }
  return options;
}

int run(const Options& options) {
  proto::Encoder encoder;
  const fs::path data = fs::temp_directory_path() / ("terrazzo-bench-" + std::to_string(::getpid()));
  std::vector<Server> servers;
  const std::string program = (options.bin / "terrazzo-server").string();
  if (options.ios.empty()) servers.push_back(terrazzo_server("terrazzo", program, {}, data, encoder));
  for (const std::string& io : options.ios)
    servers.push_back(terrazzo_server("terrazzo " + io, program, {"--io", io}, data, encoder));
  if (!options.base.empty()) servers.push_back(terrazzo_server("terrazzo base", options.base, {}, data, encoder));
  const std::size_t yardstick = servers.size();
  servers.push_back(plain_server("send() loop", {(options.bin / "terrazzo-send-loop").string()}, false));
  if (!options.ws_folder.empty())
    servers.push_back(plain_server("node ws", {"node", options.ws_folder + "/ws_broadcast.mjs"}, true));
  for (int round = 0; round < options.rounds; ++round) {
    for (Server& server : servers) {
      fmt::print(stderr, "\rround {} of {}: {}\033[K", round + 1, options.rounds, server.name);
      if (!measure(options, server, data)) fmt::print(stderr, "\n{} could not be measured\n", server.name);
    }
  }
  fmt::print(stderr, "\r\033[K");
  fs::remove_all(data);
  nlohmann::json out{{"viewers", options.viewers},
                     {"rounds", options.rounds},
                     {"seconds", options.seconds},
                     {"servers", nlohmann::json::array()}};
  const double base = median(servers[yardstick].costs_ns);
  fmt::print("one message to {} viewers, saturated; medians of {} rounds of {} s\n", options.viewers, options.rounds,
             options.seconds);
  fmt::print("  {:<14}{:>16}{:>22}{:>12}\n", "server", "delivered/s", "CPU ns per delivered", "ratio");
  for (const Server& server : servers) {
    const double cost = median(server.costs_ns);
    fmt::print("  {:<14}{:>16.0f}{:>22.0f}{:>12.2f}\n", server.name, median(server.rates), cost,
               base > 0 ? cost / base : 0);
    out["servers"].push_back({{"name", server.name},
                              {"delivered_per_second", median(server.rates)},
                              {"cpu_ns_per_delivered", cost},
                              {"all_cpu_ns", server.costs_ns},
                              {"all_rates", server.rates}});
  }
  if (!options.json.empty()) std::ofstream(options.json) << out.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  return terrazzo::bench::run(terrazzo::bench::parse(argc, argv));
}
