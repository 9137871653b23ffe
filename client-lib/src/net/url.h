#pragma once

#include <string>

#include "base/error.h"

namespace terrazzo::client {

struct Url {
  std::string host, port, target;
};
// ws://host[:port][/path]; IPv6 in brackets. The path defaults to /v1/ws, the port to 80.
Result<Url> parse_websocket_url(const std::string& text);

}  // namespace terrazzo::client
