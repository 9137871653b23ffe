#include "tests/sim/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace terrazzo::sim {

std::string Options::command() const {
  std::string text = fmt::format("./dev sim --seed {}", seed);
  if (clients != 0) text += fmt::format(" --clients {}", clients);
  if (rounds != 0) text += fmt::format(" --rounds {}", rounds);
  if (round_seconds != 0) text += fmt::format(" --round-seconds {}", round_seconds);
  if (!without.empty()) text += fmt::format(" --without {}", fmt::join(without, ","));
  if (!with.empty()) text += fmt::format(" --with {}", fmt::join(with, ","));
  return text;
}

}  // namespace terrazzo::sim
