#pragma once

#include "base/error.h"
#include "server/app/config.h"

namespace terrazzo::app {

// Runs the server until SIGTERM or SIGINT: recovers, listens, prints `listening on http://HOST:PORT` (https:// with a
// certificate) as the first line of standard output, serves, drains. An error: why it could not start.
Status serve(const Config& config);

}  // namespace terrazzo::app
