#include "tests/sim/faults.h"

#include <fmt/format.h>

namespace terrazzo::sim {
namespace {

struct Kind {
  std::string_view name;
  double low, high;  // of its rate, when it is on
};
constexpr std::array<Kind, kFaults> kKinds{{
    {"delay", 0.001, 0.1},        {"split", 0.01, 0.8},          {"cut", 0.02, 1},
    {"half-open", 0.005, 0.1},    {"slow-reader", 0.05, 2},      {"client-crash", 0.01, 0.3},
    {"core-stall", 0.02, 1},      {"small-rings", 1, 1},         {"power-loss", 0.02, 0.4},
    {"restart", 0.01, 0.15},      {"core-count", 0.5, 1},        {"sync-fail", 0.0001, 0.01},
    {"write-fail", 0.0001, 0.01}, {"short-write", 0.0001, 0.01}, {"read-fail", 0.0001, 0.01},
    {"slow-disk", 0.002, 0.1},    {"disk-full", 0.02, 0.3},      {"bit-rot", 0.02, 0.3},
    {"clock-jump", 0.05, 1},      {"stranded", 0.3, 1},
}};

}  // namespace

std::string_view fault_name(Fault fault) {
  return kKinds[static_cast<std::size_t>(fault)].name;
}

void Faults::draw(Random random) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    Random own = random.split();
    const bool is_on = own.chance(0.5);
    const double low = std::log(kKinds[i].low), high = std::log(kKinds[i].high);
    rates_[i] = is_on ? std::exp(low + (high - low) * own.unit()) : 0;
  }
}

bool Faults::switch_off(std::string_view name) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (kKinds[i].name != name) continue;
    rates_[i] = 0;
    return true;
  }
  return false;
}

bool Faults::switch_on(std::string_view name) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (kKinds[i].name != name) continue;
    rates_[i] = kKinds[i].high;
    return true;
  }
  return false;
}

std::string Faults::text() const {
  std::string text;
  for (std::size_t i = 0; i < kFaults; ++i)
    if (rates_[i] > 0) text += fmt::format(" {}={:.4g}", kKinds[i].name, rates_[i]);
  return text.empty() ? " none" : text;
}

}  // namespace terrazzo::sim
