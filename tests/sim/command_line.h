#pragma once

#include <CLI/CLI.hpp>

#include "tests/sim/batch.h"
#include "tests/sim/options.h"

namespace terrazzo::sim {

// What a run can be told, as Options::command() prints it; and what a batch of them can.
void add_run_options(CLI::App& app, Options& options);
void add_batch_options(CLI::App& app, BatchOptions& batch);

}  // namespace terrazzo::sim
