#include "cli/interruption.h"

#include <atomic>
#include <csignal>

namespace terrazzo::cli {
namespace {

std::atomic<bool> came{false};
void note(int) {
  came.store(true);
}

}  // namespace

void note_interruptions() {
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
}
bool interrupted() {
  return came.load();
}

}  // namespace terrazzo::cli
