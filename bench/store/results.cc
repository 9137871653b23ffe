#include "bench/store/results.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace terrazzo::bench {
namespace {

std::string figure(double value) {
  return value < 100 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

std::string with_unit(double value, const std::string& unit) {
  return figure(value) + (unit.empty() ? "" : " " + unit);
}

}  // namespace

void Results::keep(const std::string& row) {
  json_ += (json_.empty() ? "" : ",\n") + row;
}

void Results::section(const std::string& title) {
  section_ = title;
  fmt::print("\n{}\n", title);
}

void Results::add(const std::string& name, double value, const std::string& unit) {
  fmt::print("  {:<58} {:>14} {}\n", name, value < 100 ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value),
             unit);
  std::fflush(stdout);
  keep(nlohmann::json{{"section", section_}, {"name", name}, {"value", value}, {"unit", unit}}.dump());
}

void Results::ratio(const std::string& name, double value, const std::string& goal) {
  fmt::print("  {:<58} {:>14} (goal {})\n", name, fmt::format("{:.2f}", value), goal);
  std::fflush(stdout);
  keep(nlohmann::json{{"section", section_}, {"name", name}, {"ratio", value}, {"goal", goal}}.dump());
}

void Results::goal(Goal goal) {
  nlohmann::json row{{"id", goal.id},     {"work", goal.work}, {"measured", goal.measured}, {"unit", goal.unit},
                     {"goal", goal.goal}, {"met", goal.met},   {"limit", goal.limit}};
  if (!goal.yardstick.empty()) {
    row["yardstick"] = goal.yardstick;
    row["yardstick_value"] = goal.yardstick_value;
  }
  if (goal.ratio != 0) row["ratio"] = goal.ratio;
  keep(row.dump());
  goals_.push_back(std::move(goal));
}

std::string Results::goals() const {
  if (goals_.empty()) return {};
  std::string table =
      "| id | work | measured | yardstick | ratio | goal | met? | what limits it "
      "|\n|---|---|---|---|---|---|---|---|\n";
  for (const Goal& g : goals_)
    table += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", g.id, g.work, with_unit(g.measured, g.unit),
                         g.yardstick.empty() ? "–" : g.yardstick + " " + with_unit(g.yardstick_value, g.unit),
                         g.ratio == 0 ? "–" : figure(g.ratio), g.goal,
                         g.goal == "–" ? "–"
                         : g.met       ? "yes"
                                       : "**no**",
                         g.limit);
  return table;
}

void Results::write(const std::string& path) const {
  std::ofstream(path) << "[\n" << json_ << "\n]\n";
}

}  // namespace terrazzo::bench
