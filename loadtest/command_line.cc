#include "loadtest/command_line.h"

#include <CLI/CLI.hpp>
#include <map>
#include <vector>

namespace terrazzo::loadtest {
namespace {

// What flags say that is not a value of its own.
struct Words {
  std::vector<std::int64_t> area{0, 0, 256, 256};
  std::string form = "binary";
};

void add_painting(CLI::App& app, Options& o, Words& words) {
  app.add_option("--server", o.server, "the server's address")->capture_default_str();
  app.add_option("--world", o.world, "name or id of the world to paint in; it is changed")->capture_default_str();
  app.add_option("--ca", o.ca_file, "PEM file of whom to trust over https://, instead of whom the system trusts")
      ->envname("TERRAZZO_CA");
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
  app.add_option("--form", words.form, "binary, json, or mixed (every other client)")
      ->check(CLI::IsMember({"binary", "json", "mixed"}))
      ->capture_default_str();
  app.add_option("--area", words.area, "x,y,w,h in cells: what is watched and painted")->delimiter(',')->expected(4);
  app.add_option("--layer", o.layer, "id of a tile layer (default: the first)");
  app.add_option("--seed", o.seed, "of the random strokes")->capture_default_str();
  app.add_flag("--applied", o.applied, "ask for answers when applied instead of when durable");
  app.add_flag("--verify", o.verify, "compare every replica with the server, cell by cell, at the end");
  app.add_option("--server-pid", o.server_pid, "report the CPU time this process used per delivered message");
  app.add_option("--json", o.json_file, "write the figures to this file");
}

void add_stage(CLI::App& app, StageOptions& o) {
  app.add_option("--server-program", o.server_program, "the terrazzo-server to start (default: the one beside this)");
  app.add_option("--cores", o.cores, "of the server; 0: all there are")
      ->check(CLI::Range(0u, 64u))
      ->capture_default_str();
  app.add_option("--io", o.io, "what carries the server's sockets (default: as it chooses)")
      ->check(CLI::IsMember({"auto", "ring", "epoll"}));
  app.add_option("--threads", o.threads, "threads of this program")->check(CLI::Range(1u, 64u))->capture_default_str();
  app.add_option("--seed", o.seed, "of the random strokes")->capture_default_str();
  app.add_option("--json", o.json_file, "write the findings to this file");
}

// Linux has some 28,000 ports for connections from one address to another.
void add_count(CLI::App& app, const char* flag, std::uint32_t& value, const char* words) {
  app.add_option(flag, value, words)->check(CLI::Range(1u, 25000u))->capture_default_str();
}

void add_rate(CLI::App& app, double& edits_per_second, double& seconds, const char* who) {
  app.add_option("--edits", edits_per_second, std::string("edits per second of all ") + who + " together")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  app.add_option("--seconds", seconds, "how long each part of the painting takes")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
}

void add_idle(CLI::App& app, IdleOptions& o) {
  CLI::App* mode = app.add_subcommand(
      "idle",
      "Connections that only wait, beside some that work: memory per idle connection in the server and in the kernel, "
      "how they spread over the cores, and what those that work notice.\n"
      "Each idle one has a session, the world open and a view subscribed, at a place where nothing happens.\n\n"
      "Try:  terrazzo-load idle --idle 10000 --active 1000\n");
  add_count(*mode, "--idle", o.idle, "connections that only wait");
  add_count(*mode, "--active", o.active, "connections that paint and watch each other");
  add_rate(*mode, o.edits_per_second, o.seconds, "active ones");
  add_stage(*mode, o);
}

void add_stall(CLI::App& app, StallOptions& o) {
  CLI::App* mode = app.add_subcommand(
      "stall",
      "Clients that stop reading while others paint at the same place: what each costs the server and the kernel, what "
      "the others notice, and whether all have the same map after they read again.\n\n"
      "Try:  terrazzo-load stall --stalled 1000 --painters 100\n");
  add_count(*mode, "--stalled", o.stalled, "clients that stop reading");
  add_count(*mode, "--painters", o.painters, "clients that paint and watch each other");
  mode->add_option("--rounds", o.rounds,
                   "pairs of painting without and with them, each on a server of its own; medians")
      ->check(CLI::Range(1u, 99u))
      ->capture_default_str();
  add_rate(*mode, o.edits_per_second, o.seconds, "painters");
  add_stage(*mode, o);
}

void add_storm(CLI::App& app, StormOptions& o) {
  CLI::App* mode = app.add_subcommand(
      "storm",
      "Every client loses its connection at once and comes back: time until all see the map again, bytes sent, chunks "
      "encoded and shared, and what painters notice who stay.\n\n"
      "Try:  terrazzo-load storm --clients 5000\n"
      "      terrazzo-load storm --clients 5000 --cause killed     (the server, which then starts again)\n");
  add_count(*mode, "--clients", o.clients, "clients that come back");
  add_count(*mode, "--painters", o.painters, "clients that paint; where connections are cut, theirs stay");
  const std::map<std::string, StormOptions::Cause> causes{{"cut", StormOptions::Cause::cut},
                                                          {"killed", StormOptions::Cause::killed},
                                                          {"stopped", StormOptions::Cause::stopped}};
  mode->add_option(
          "--cause", o.cause,
          "cut: every connection at once. killed, stopped: the server ends (SIGKILL, SIGTERM) and starts again")
      ->transform(CLI::CheckedTransformer(causes))
      ->default_str("cut");
  add_rate(*mode, o.edits_per_second, o.seconds, "painters");
  add_stage(*mode, o);
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  Words words;
  CLI::App app{
      "terrazzo-load: many editors on one world of a server, at a given rate, for a given time.\n"
      "Load tests belong on your own machine or network: the server gets everything you ask for.\n\n"
      "Try:  terrazzo-load --server http://127.0.0.1:8080 --world demo --clients 200 --seconds 10 --verify\n\n"
      "The modes idle, stall and storm start a server of their own on 127.0.0.1, with a folder of its own, and end "
      "it;\n"
      "each has its --help. Exit code 0: what must hold held; 1: not, or it could not be tried.\n"};
  app.name("terrazzo-load");
  add_painting(app, line.options, words);
  add_idle(app, line.idle);
  add_stall(app, line.stall);
  add_storm(app, line.storm);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
    if (words.area[2] <= 0 || words.area[3] <= 0) throw CLI::ValidationError("--area: width and height start at 1");
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error);
    return line;
  }
  line.options.area = map::Rect::of_size(words.area[0], words.area[1], words.area[2], words.area[3]);
  line.options.form = words.form == "json" ? proto::Form::json : proto::Form::binary;
  line.options.mixed_forms = words.form == "mixed";
  const std::map<std::string, Mode> modes{{"idle", Mode::idle}, {"stall", Mode::stall}, {"storm", Mode::storm}};
  if (!app.get_subcommands().empty()) line.mode = modes.at(app.get_subcommands().front()->get_name());
  return line;
}

}  // namespace terrazzo::loadtest
