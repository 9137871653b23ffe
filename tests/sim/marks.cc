#include "tests/sim/marks.h"

namespace terrazzo::sim {

std::string_view mark_name(Mark mark) {
  static constexpr std::array<std::string_view, kMarks> kNames{
      "edit-durable",      "edit-rejected",       "condition-failed",     "refused-overloaded",   "refused-read-only",
      "duplicate-dropped", "edits-resent",        "session-resumed",      "session-over-restart", "viewer-stale",
      "viewer-refreshed",  "client-overloaded",   "log-replayed",         "parts-rolled-forward", "log-segment-filled",
      "checkpoint-done",   "log-failed",          "start-failed",         "cores-changed",        "mesh-backlog",
      "version-saved",     "version-removed",     "version-restored",     "version-refused",      "pages-brought",
      "pages-released",    "power-lost-at-start", "shard-moved",          "move-refused",         "branch-made",
      "branch-refused",    "branch-dropped",      "branch-version-saved", "branch-restored"};
  return kNames[static_cast<std::size_t>(mark)];
}

}  // namespace terrazzo::sim
