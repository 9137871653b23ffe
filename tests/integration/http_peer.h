#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terrazzo::integration {

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};
// One request on a connection of its own; status 0: no answer.
HttpAnswer http(std::uint16_t port, std::string_view method, const std::string& target, const std::string& body = {},
                const std::string& authorization = {});

// A metric's sum over the cores; as a double, since no test counts further than that.
double metric(std::uint16_t port, const std::string& name);

// Makes a world of one tile layer (id 1) with tiles 1 to `tiles`; fails the test where the server refuses.
void make_world(std::uint16_t port, const std::string& name, std::uint32_t tiles = 50,
                std::optional<std::string> bounds = std::nullopt);

// What it posts.
std::string make_world_json(const std::string& name, std::uint32_t tiles = 50,
                            const std::optional<std::string>& bounds = std::nullopt);

// A WebSocket peer that knows nothing of the library: Beast, and text or bytes as they are.
class WebSocketPeer {
 public:
  // `protocol`: e.g. terrazzo.v1.json; empty: none.
  WebSocketPeer(std::uint16_t port, const std::string& protocol);
  ~WebSocketPeer();
  WebSocketPeer(WebSocketPeer&&) noexcept;
  bool send_text(const std::string& text);
  bool send_binary(const std::string& bytes);
  // Bytes straight into the socket, past the framing.
  bool send_raw(const std::string& bytes);
  // The next message; nothing: the connection is closed (close_code() tells how), or nothing came within 10 s.
  std::optional<std::string> read();
  // Reads until a message contains the text.
  std::optional<std::string> read_until(std::string_view text);
  // Reads until the end of the connection.
  std::uint16_t close_code();
  std::string close_reason() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::integration
