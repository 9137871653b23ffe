#pragma once

#include <string>

#include "base/error.h"

namespace terrazzo::app {

// Asks URL/healthz of a running server, within three seconds. Over https:// with the certificates in `ca_file` (PEM)
// the server's must be signed by one of them and name the host; without, whoever answers is believed: a server is
// asked for its health by its own host, and is told nothing.
Status healthcheck(const std::string& url, const std::string& ca_file = {});

}  // namespace terrazzo::app
