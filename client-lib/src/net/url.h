#pragma once

#include <string>

#include "base/error.h"

namespace terrazzo::client {

struct Url {
  std::string host, port, target;
  bool tls = false;
};
// ws://host[:port][/path], or wss:// with TLS; http:// and https:// mean the same. IPv6 in brackets. The path defaults
// to /v1/ws, the port to 80 or, with TLS, 443.
Result<Url> parse_websocket_url(const std::string& text);

}  // namespace terrazzo::client
