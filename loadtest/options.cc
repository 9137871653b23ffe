#include "loadtest/options.h"

namespace terrazzo::loadtest {

std::string websocket_url(const std::string& server) {
  if (server.starts_with("http://")) return "ws://" + server.substr(7);
  return server;
}

}  // namespace terrazzo::loadtest
