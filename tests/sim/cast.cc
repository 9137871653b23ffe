#include "tests/sim/cast.h"

#include <algorithm>
#include <string_view>

namespace terrazzo::sim {

bool Cast::disk_failed() const {
  return std::ranges::any_of(std::initializer_list<Fault>{Fault::sync_fail, Fault::write_fail, Fault::short_write,
                                                          Fault::read_fail, Fault::bit_rot, Fault::disk_full},
                             [&](Fault fault) { return machine.faults.counted(fault) != 0; });
}

bool Cast::excused(const Error& error) const {
  switch (error.code) {
    case ErrorCode::overloaded:
    case ErrorCode::rate_limited:
      return true;
    case ErrorCode::read_only:
    case ErrorCode::internal:
      return disk_failed();
    case ErrorCode::conflict:
      return std::string_view(error.message).find("does not know this session") != std::string_view::npos;
    case ErrorCode::not_found:
      // Of a past that nobody keeps, or of which a part waits for a shard that cannot be written.
      return server.config().history_mib == 0 || disk_failed();
    default:
      return false;
  }
}

}  // namespace terrazzo::sim
