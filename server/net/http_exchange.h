#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proto/ws/deflate.h"
#include "server/net/network.h"

namespace terrazzo::net {

// The problem document (RFC 9457) that the network itself answers with. `detail`: no quotes in it.
HttpResponse refusal_of(unsigned status, ErrorCode code, const std::string& detail);

// One HTTP request at a time of a connection, through Beast's parser, which needs no stream.
class HttpExchange {
 public:
  // `origins` outlives it.
  HttpExchange(std::size_t header_bytes_max, std::size_t body_bytes_max, const OriginRules& origins);
  ~HttpExchange();

  // unwelcome: of a page that may not use the server; refusal() says so, as of what is bad.
  enum class Step { more, request, bad, unwelcome };
  // Takes bytes in; what comes after a whole request is kept for the next. request: request() is valid until next().
  Step feed(std::span<const std::byte> bytes);
  // Keeps bytes that came while a request is being answered.
  void hold(std::span<const std::byte> bytes);
  // Bytes that no request has taken.
  std::size_t held_bytes() const;
  // The header is whole, the body is not.
  bool in_body() const;
  // Bytes of the present request that were taken in.
  std::uint64_t taken_bytes() const;
  // The client waits for "100 Continue" before it sends the body; true once per request.
  bool take_continue();
  const HttpRequest& request() const;
  // Of a request that is in its body; valid until the next feed().
  HttpRequest request_so_far() const;
  // Why it was bad: answer with this and close.
  const HttpResponse& refusal() const;

  // The answer to a browser that asks whether a page of another site may send a request (CORS, preflight).
  std::optional<HttpResponse> preflight() const;
  // The request asks for a WebSocket. An answer other than 101: it cannot have one, and why.
  bool wants_websocket() const;
  struct Upgrade {
    std::string response;                                // bytes to send
    std::optional<proto::Form> form;                     // none: refused
    proto::ws::Window window = proto::ws::Window::none;  // of the compression that it agrees on
  };
  // `compression`: may be agreed on.
  Upgrade upgrade(bool compression) const;

  // Serialises the answer to the present request. `stays`: the connection does, too.
  std::string response(const HttpResponse& response, bool stays) const;
  // The client wants to go on after this request.
  bool keep_alive() const;
  // Bytes after the request: of the next one, or of the WebSocket.
  std::string take_rest();
  void next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::net
