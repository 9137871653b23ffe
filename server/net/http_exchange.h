#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "server/net/network.h"

namespace terrazzo::net {

// One HTTP request at a time of a connection, through Beast's parser, which needs no stream.
class HttpExchange {
 public:
  HttpExchange(std::size_t header_bytes_max, std::size_t body_bytes_max);
  ~HttpExchange();

  enum class Step { more, request, bad };
  // Takes bytes in; what comes after a whole request is kept for the next. request: request() is valid until next().
  Step feed(std::span<const std::byte> bytes);
  const HttpRequest& request() const;
  // Why it was bad: answer with this and close.
  const HttpResponse& refusal() const;

  // The request asks for a WebSocket. An answer other than 101: it cannot have one, and why.
  bool wants_websocket() const;
  struct Upgrade {
    std::string response;             // bytes to send
    std::optional<proto::Form> form;  // none: refused
  };
  Upgrade upgrade() const;

  // Serialises the answer to the present request.
  std::string response(const HttpResponse& response) const;
  bool keep_alive() const;
  // Bytes after the request: of the next one, or of the WebSocket.
  std::string take_rest();
  void next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::net
