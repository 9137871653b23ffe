#pragma once

#include <string>

#include "base/error.h"

namespace terrazzo::app {

// Asks URL/healthz of a running server, within three seconds.
Status healthcheck(const std::string& url);

}  // namespace terrazzo::app
