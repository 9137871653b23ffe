#include "loadtest/options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <vector>

namespace terrazzo::loadtest {

std::string websocket_url(const std::string& server) {
  if (server.starts_with("http://")) return "ws://" + server.substr(7);
  return server;
}

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  Options& o = line.options;
  CLI::App app{
      "terrazzo-load: many editors on one world of a server, at a given rate, for a given time.\n"
      "Load tests belong on your own machine or network: the server gets everything you ask for.\n\n"
      "Try:  terrazzo-load --server http://127.0.0.1:8080 --world demo --clients 200 --seconds 10 --verify\n"};
  app.name("terrazzo-load");
  std::vector<std::int64_t> area{0, 0, 256, 256};
  std::string form = "binary";
  app.add_option("--server", o.server, "the server's address")->capture_default_str();
  app.add_option("--world", o.world, "name or id of the world to paint in; it is changed")->capture_default_str();
  app.add_option("--token", o.token, "for a server with --auth token")->envname("TERRAZZO_TOKEN");
  app.add_option("--clients", o.clients, "connections; each watches the whole area")
      ->check(CLI::Range(1u, 100000u))
      ->capture_default_str();
  app.add_option("--painters", o.painters, "how many of them paint (default: all)");
  app.add_option("--rate", o.rate, "edits per second of each painter")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "how long to paint")->check(CLI::Range(0.1, 86400.0))->capture_default_str();
  app.add_option("--threads", o.threads, "threads of this program")->check(CLI::Range(1u, 64u))->capture_default_str();
  app.add_option("--form", form, "binary, json, or mixed (every other client)")
      ->check(CLI::IsMember({"binary", "json", "mixed"}))
      ->capture_default_str();
  app.add_option("--area", area, "x,y,w,h in cells: what is watched and painted")->delimiter(',')->expected(4);
  app.add_option("--layer", o.layer, "id of a tile layer (default: the first)");
  app.add_option("--seed", o.seed, "of the random strokes")->capture_default_str();
  app.add_flag("--applied", o.applied, "ask for answers when applied instead of when durable");
  app.add_flag("--verify", o.verify, "compare every replica with the server, cell by cell, at the end");
  app.add_option("--server-pid", o.server_pid, "report the CPU time this process used per delivered message");
  app.add_option("--json", o.json_file, "write the figures to this file");
  try {
    app.parse(argc, argv);
    if (area[2] <= 0 || area[3] <= 0) throw CLI::ValidationError("--area: width and height start at 1");
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error);
    return line;
  }
  o.area = map::Rect::of_size(area[0], area[1], area[2], area[3]);
  o.form = form == "json" ? proto::Form::json : proto::Form::binary;
  o.mixed_forms = form == "mixed";
  return line;
}

}  // namespace terrazzo::loadtest
