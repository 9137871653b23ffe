#include "client-lib/src/net/url.h"

namespace terrazzo::client {

Result<Url> parse_websocket_url(const std::string& text) {
  const Error wrong{ErrorCode::bad_message, "\"" + text +
                                                "\" is not the address of a server; one looks like "
                                                "ws://127.0.0.1:8080 or wss://maps.example.org"};
  const std::size_t colons = text.find("://");
  const std::string scheme = text.substr(0, colons);
  Url url;
  url.tls = scheme == "wss" || scheme == "https";
  if (colons == std::string::npos || (!url.tls && scheme != "ws" && scheme != "http")) return wrong;
  std::string rest = text.substr(colons + 3);
  const std::size_t slash = rest.find('/');
  url.target = slash == std::string::npos || slash + 1 == rest.size() ? "/v1/ws" : rest.substr(slash);
  rest = rest.substr(0, slash);
  const std::size_t bracket = rest.find(']'), colon = rest.rfind(':');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  url.host = rest.substr(0, has_port ? colon : std::string::npos);
  url.port = has_port ? rest.substr(colon + 1) : url.tls ? "443" : "80";
  if (url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']')
    url.host = url.host.substr(1, url.host.size() - 2);
  const bool digits =
      !url.port.empty() && url.port.find_first_not_of("0123456789") == std::string::npos && url.port.size() <= 5;
  if (url.host.empty() || !digits || std::stoul(url.port) > 65535) return wrong;
  return url;
}

}  // namespace terrazzo::client
