#include "bench/store/results.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace terrazzo::bench {

void Results::section(const std::string& title) {
  section_ = title;
  fmt::print("\n{}\n", title);
}

void Results::add(const std::string& name, double value, const std::string& unit) {
  fmt::print("  {:<58} {:>14} {}\n", name, value < 100 ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value),
             unit);
  std::fflush(stdout);
  json_ += (json_.empty() ? "" : ",\n") +
           nlohmann::json{{"section", section_}, {"name", name}, {"value", value}, {"unit", unit}}.dump();
}

void Results::ratio(const std::string& name, double value, const std::string& goal) {
  fmt::print("  {:<58} {:>14} (goal {})\n", name, fmt::format("{:.2f}", value), goal);
  std::fflush(stdout);
  json_ += (json_.empty() ? "" : ",\n") +
           nlohmann::json{{"section", section_}, {"name", name}, {"ratio", value}, {"goal", goal}}.dump();
}

void Results::write(const std::string& path) const {
  std::ofstream(path) << "[\n" << json_ << "\n]\n";
}

}  // namespace terrazzo::bench
