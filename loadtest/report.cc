#include "loadtest/report.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace terrazzo::loadtest {
namespace {

std::string milliseconds(std::uint32_t microseconds) {
  return fmt::format("{:.2f}", microseconds / 1000.0);
}

void print_latencies(const char* what, Latencies& latencies) {
  if (latencies.count() == 0) return;
  fmt::print("  {:<34} p50 {:>8}  p90 {:>8}  p99 {:>8}  p99.9 {:>8}  max {:>8}  ms\n", what,
             milliseconds(latencies.percentile(0.5)), milliseconds(latencies.percentile(0.9)),
             milliseconds(latencies.percentile(0.99)), milliseconds(latencies.percentile(0.999)),
             milliseconds(latencies.percentile(1)));
}

nlohmann::json json_of(Latencies& latencies) {
  return {{"count", latencies.count()},
          {"p50_us", latencies.percentile(0.5)},
          {"p90_us", latencies.percentile(0.9)},
          {"p99_us", latencies.percentile(0.99)},
          {"p999_us", latencies.percentile(0.999)},
          {"max_us", latencies.percentile(1)}};
}

}  // namespace

bool Outcome::good() const {
  return settled && figures.rejected == 0 && figures.refused == 0 && (!verification || verification->different == 0);
}

void print_report(const Options& options, Outcome& outcome) {
  Figures& f = outcome.figures;
  fmt::print("{} clients, {:.1f} s of painting\n", options.clients, outcome.seconds);
  fmt::print(
      "  edits                              {} sent ({:.0f}/s), {} durable, {} rejected, {} refused by the client\n",
      f.sent, static_cast<double>(f.sent) / outcome.seconds, f.durable, f.rejected, f.refused);
  fmt::print("  edits delivered to other clients   {} ({:.0f}/s)\n", f.delivered,
             static_cast<double>(f.delivered) / outcome.seconds);
  print_latencies("edit to its sight at another client", f.delivery);
  print_latencies(options.applied ? "edit to applied" : "edit to durable", f.ack);
  if (f.reconnects != 0) fmt::print("  connections lost and made again    {}\n", f.reconnects);
  if (outcome.server_cpu_seconds && f.delivered != 0) {
    fmt::print("  server CPU                         {:.2f} s, {:.0f} ns per delivered edit\n",
               *outcome.server_cpu_seconds, *outcome.server_cpu_seconds * 1e9 / static_cast<double>(f.delivered));
  }
  if (!outcome.settled) fmt::print("  NOT SETTLED: some edits got no answer within 30 s\n");
  if (outcome.verification) {
    const Verification& v = *outcome.verification;
    if (v.different == 0) {
      fmt::print("  verified                           {} replicas, {} cells compared, all as the server has them\n",
                 v.replicas, v.cells);
    } else {
      fmt::print("  DIFFERENT                          {} of {} cells; first: {}\n", v.different, v.cells,
                 v.first_difference);
    }
  }
}

Status write_json(const Options& options, Outcome& outcome) {
  if (options.json_file.empty()) return {};
  Figures& f = outcome.figures;
  nlohmann::json out{{"clients", options.clients}, {"seconds", outcome.seconds},      {"sent", f.sent},
                     {"durable", f.durable},       {"rejected", f.rejected},          {"refused", f.refused},
                     {"delivered", f.delivered},   {"delivery", json_of(f.delivery)}, {"ack", json_of(f.ack)},
                     {"settled", outcome.settled}};
  if (outcome.server_cpu_seconds) out["server_cpu_seconds"] = *outcome.server_cpu_seconds;
  if (outcome.verification) {
    out["verification"] = {{"replicas", outcome.verification->replicas},
                           {"cells", outcome.verification->cells},
                           {"different", outcome.verification->different}};
  }
  std::ofstream file(options.json_file);
  file << out.dump(2) << '\n';
  file.flush();
  if (!file) return Error{ErrorCode::internal, options.json_file + " could not be written: " + std::strerror(errno)};
  return {};
}

}  // namespace terrazzo::loadtest
