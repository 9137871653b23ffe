#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include "tests/sim/batch.h"
#include "tests/sim/command_line.h"
#include "tests/sim/options.h"

int main(int argc, char** argv) {
  using namespace terrazzo::sim;
  CLI::App app{"Runs whole servers and their clients in one thread, in virtual time, from one seed each."};
  Options options;
  BatchOptions batch;
  add_run_options(app, options);
  add_batch_options(app, batch);
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::off);
  return run_batch(options, batch);
}
