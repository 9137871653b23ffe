#pragma once

#include <string>
#include <vector>

namespace terrazzo::bench {

// What was promised of something that was measured, and whether it holds.
struct Goal {
  std::string id, work;
  double measured = 0;
  std::string unit = {};
  std::string yardstick = {};  // its name; empty: the goal is a figure and no ratio
  double yardstick_value = 0;
  double ratio = 0;  // as the goal has it; 0: none
  std::string goal = {};
  bool met = false;
  std::string limit = {};  // what keeps it from being better, from a profile
};

// Rows of figures: printed as they come, kept for the JSON file; and the goals, as a table at the end.
class Results {
 public:
  // A heading in the printed table.
  void section(const std::string& title);
  void add(const std::string& name, double value, const std::string& unit);
  // Of `value` to a yardstick of the same run, with the goal in words.
  void ratio(const std::string& name, double value, const std::string& goal);
  void goal(Goal goal);
  // All goals as one table of Markdown; nothing where there are none.
  std::string goals() const;
  void write(const std::string& path) const;

 private:
  void keep(const std::string& row);

  std::string section_;
  std::string json_;  // rows, comma-separated
  std::vector<Goal> goals_;
};

}  // namespace terrazzo::bench
