#include "loadtest/findings.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace terrazzo::loadtest {

void Findings::add(std::string key, std::string words, double value, std::string unit, int decimals) {
  findings_.push_back({std::move(key), std::move(words), std::move(unit), value, decimals});
}

void Findings::print() const {
  fmt::print("{}\n", title_);
  for (const Finding& f : findings_) fmt::print("  {:<58} {:>14.{}f} {}\n", f.words, f.value, f.decimals, f.unit);
  for (const std::string& problem : problems_) fmt::print("  PROBLEM: {}\n", problem);
}

Status Findings::write_json(const std::string& file) const {
  if (file.empty()) return {};
  nlohmann::ordered_json out{{"title", title_}, {"problems", problems_}};
  for (const Finding& f : findings_) out["findings"][f.key] = {{"value", f.value}, {"unit", f.unit}, {"what", f.words}};
  std::ofstream stream(file);
  stream << out.dump(1) << '\n';
  stream.flush();
  if (!stream) return Error{ErrorCode::internal, file + " could not be written: " + std::strerror(errno)};
  return {};
}

}  // namespace terrazzo::loadtest
