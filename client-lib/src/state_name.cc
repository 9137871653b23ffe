#include "terrazzo/events.h"

namespace terrazzo::client {

std::string_view state_name(State state) {
  constexpr std::string_view kNames[] = {"idle", "connecting", "greeting", "ready", "opening",
                                         "live", "waiting",    "failed",   "closed"};
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace terrazzo::client
