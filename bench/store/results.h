#pragma once

#include <string>

namespace terrazzo::bench {

// Rows of figures: printed as they come, kept for the JSON file.
class Results {
 public:
  // A heading in the printed table.
  void section(const std::string& title);
  void add(const std::string& name, double value, const std::string& unit);
  // Of `value` to a yardstick of the same run, with the goal in words.
  void ratio(const std::string& name, double value, const std::string& goal);
  void write(const std::string& path) const;

 private:
  std::string section_;
  std::string json_;  // rows, comma-separated
};

}  // namespace terrazzo::bench
