#include "loadtest/server_metrics.h"

#include <cstdlib>
#include <numeric>
#include <sstream>

#include "loadtest/own_server.h"

namespace terrazzo::loadtest {

Result<ServerMetrics> ServerMetrics::take(std::uint16_t port) {
  const Result<std::string> page = http_request(port, "GET", "/metrics");
  if (!page) return page.error();
  return parse(*page);
}

ServerMetrics ServerMetrics::parse(std::string_view page) {
  ServerMetrics metrics;
  std::istringstream lines{std::string(page)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t end = line.rfind(' ');
    if (line.empty() || line.front() == '#' || end == std::string::npos) continue;
    metrics.values_[line.substr(0, line.find_first_of("{ "))].push_back(std::strtod(line.c_str() + end, nullptr));
  }
  return metrics;
}

std::vector<double> ServerMetrics::each(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<double>() : found->second;
}

double ServerMetrics::sum(const std::string& name) const {
  const std::vector<double> values = each(name);
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace terrazzo::loadtest
