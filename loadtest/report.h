#pragma once

#include <optional>

#include "loadtest/crowd.h"
#include "loadtest/verify.h"

namespace terrazzo::loadtest {

struct Outcome {
  Figures figures;
  double seconds = 0;  // of painting
  std::optional<double> server_cpu_seconds;
  bool settled = false;
  std::optional<Verification> verification;
  // Every edit answered, none rejected, all replicas as the server.
  bool good() const;
};

void print_report(const Options& options, Outcome& outcome);
Status write_json(const Options& options, Outcome& outcome);

}  // namespace terrazzo::loadtest
