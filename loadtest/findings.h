#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace terrazzo::loadtest {

// What a run has found, for a person and for programs. Problems are what must not be: with one the run has failed.
class Findings {
 public:
  explicit Findings(std::string title) : title_(std::move(title)) {}

  // `key` names it for programs, `words` for people.
  void add(std::string key, std::string words, double value, std::string unit, int decimals = 0);
  void problem(std::string words) { problems_.push_back(std::move(words)); }
  bool good() const { return problems_.empty(); }

  void print() const;
  // Nothing where the name is empty.
  Status write_json(const std::string& file) const;

 private:
  struct Finding {
    std::string key, words, unit;
    double value;
    int decimals;
  };
  std::string title_;
  std::vector<Finding> findings_;
  std::vector<std::string> problems_;
};

}  // namespace terrazzo::loadtest
