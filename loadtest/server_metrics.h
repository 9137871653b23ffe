#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace terrazzo::loadtest {

// What a server's /metrics says at one moment.
class ServerMetrics {
 public:
  static Result<ServerMetrics> take(std::uint16_t port);
  static ServerMetrics parse(std::string_view page);
  // Over all series of the name; 0 where there is none.
  double sum(const std::string& name) const;
  // One value per series, in the page's order: per core.
  std::vector<double> each(const std::string& name) const;

 private:
  std::map<std::string, std::vector<double>> values_;
};

}  // namespace terrazzo::loadtest
