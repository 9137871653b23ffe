#pragma once

#include <optional>

#include "loadtest/options.h"
#include "loadtest/stage.h"

namespace terrazzo::loadtest {

enum class Mode : std::uint8_t { paint, idle, stall, storm };

struct CommandLine {
  Mode mode = Mode::paint;
  Options options;  // of paint
  IdleOptions idle;
  StallOptions stall;
  StormOptions storm;
  // Set: this is all. --help, or flags that are wrong (already explained).
  std::optional<int> exit_code;
};
CommandLine parse_command_line(int argc, char** argv);

}  // namespace terrazzo::loadtest
