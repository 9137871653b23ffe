#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>

#include "server/app/config.h"
#include "server/app/healthcheck.h"
#include "server/app/maintenance_commands.h"
#include "server/app/server.h"

namespace {

using terrazzo::Status;

// Standard output is for the one line that programs read; everything else goes to standard error.
void set_up_log(const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("terrazzo"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(level == "warn" ? "warning" : level));
}

int exit_code(const Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "terrazzo-server: %s\n", status.error().message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const terrazzo::app::CommandLine line = terrazzo::app::parse_command_line(argc, argv);
  switch (line.command) {
    case terrazzo::app::Command::exit:
      return line.exit_code;
    case terrazzo::app::Command::print_config:
      return 0;
    case terrazzo::app::Command::healthcheck:
      return exit_code(terrazzo::app::healthcheck(line.url, line.ca_file));
    case terrazzo::app::Command::inspect:
      return terrazzo::app::inspect(line);
    case terrazzo::app::Command::verify:
      return terrazzo::app::verify(line);
    case terrazzo::app::Command::backup:
      return terrazzo::app::backup(line);
    case terrazzo::app::Command::restore:
      return terrazzo::app::restore(line);
    case terrazzo::app::Command::dump_wal:
      return terrazzo::app::dump_wal(line);
    case terrazzo::app::Command::serve:
      break;
  }
  set_up_log(line.config.log_level);
  return exit_code(terrazzo::app::serve(line.config));
}
