#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "loadtest/findings.h"
#include "loadtest/group.h"
#include "loadtest/options.h"
#include "loadtest/own_server.h"

namespace terrazzo::loadtest {

// What the staged runs have in common: a server of this program's own on loopback, with one world.
struct StageOptions {
  std::string server_program;  // empty: beside this program
  unsigned cores = 0;          // of the server; 0: all
  std::string io;              // of the server; empty: as it chooses
  std::uint32_t threads = 1;   // of this program
  std::uint64_t seed = 1;
  std::string json_file;
};

// 10,000 connections that only wait beside some that work.
struct IdleOptions : StageOptions {
  std::uint32_t idle = 10000, active = 1000;
  double edits_per_second = 20;  // of all active clients together
  double seconds = 10;
};
Result<Findings> run_idle(const IdleOptions& options);

// Clients that stop reading while others paint, and read again.
struct StallOptions : StageOptions {
  std::uint32_t stalled = 1000, painters = 100;
  double edits_per_second = 200;  // of all painters together
  double seconds = 10;            // before, and again while they are stalled
  std::uint32_t rounds = 1;       // of both; medians
};
Result<Findings> run_stall(const StallOptions& options);

// Everybody loses the connection at once and comes back.
struct StormOptions : StageOptions {
  enum class Cause : std::uint8_t { cut, killed, stopped } cause = Cause::cut;
  std::uint32_t clients = 5000, painters = 20;  // who painted stay connected where only the others are cut
  double edits_per_second = 100;                // of all painters together
  double seconds = 5;                           // before
};
Result<Findings> run_storm(const StormOptions& options);

// ---- what they share ----

inline constexpr const char* kStageWorld = "load";

// A server with the world, and room for the connections on both sides.
Result<std::unique_ptr<OwnServer>> start_stage(const StageOptions& options, std::uint64_t connections);
// What was found while they painted. Not settled: some edits got no answer within a minute.
struct Painted {
  Figures figures;
  double seconds = 0;
  bool settled = true;
};

// Who is on stage: painters, who see each other's edits, and others, to whom something happens.
class Cast {
 public:
  struct Group {
    std::uint32_t clients;
    map::Rect place;
  };
  // So many edits a second of all painters together, for so many seconds each time they paint().
  Cast(const StageOptions& stage, const OwnServer& server, double edits_per_second, double seconds, Group painters,
       Group others);
  // The painters join, and paint before anything happens.
  Result<Painted> begin(const std::string& words);
  // What was found is taken out of the crowds.
  Painted paint(const std::string& words);

  SendTimes times;
  const Options painter_options, other_options;
  Crowds painters, others;
};
// "before" and so on: how long edits took to reach others, and to be durable.
void add_latencies(Findings& findings, const std::string& key, const std::string& words, Figures& figures);
// Compares every replica with the server, cell by cell.
Status add_verification(Findings& findings, const Options& options, Crowds& crowds, const std::string& who);

}  // namespace terrazzo::loadtest
