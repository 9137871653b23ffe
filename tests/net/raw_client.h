#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace terrazzo::net {

// A client that knows no protocol: bytes out, bytes in, every call bounded by 20 s. Calls block, but what fits into the
// kernel's buffers may be sent and read by the thread that runs the network, before and after it ran.
class RawClient {
 public:
  // `receive_bytes`: the size of the kernel's receive buffer; 0: as it is.
  explicit RawClient(std::uint16_t port, int receive_bytes = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  bool send(std::string_view bytes);
  // Bytes that the kernel took without waiting; -1: the connection is broken.
  long send_some(std::string_view bytes);
  // Closes our sending half only.
  void half_close();
  // Gone without a goodbye (RST).
  void vanish();
  // Up to and with `end`; nothing where the connection ends before.
  std::optional<std::string> read_until(std::string_view end);
  std::optional<std::string> read_bytes(std::size_t count);
  // Whatever comes next; nothing at the connection's end.
  std::optional<std::string> read_some();
  // The rest, to the connection's end; nothing where it does not end.
  std::optional<std::string> read_to_end();
  // Something (or the end) has come.
  bool readable() const;

  struct Answer {
    unsigned status = 0;  // 0: none came
    std::map<std::string, std::string> fields;
    std::string body;
  };
  Answer read_answer(bool head = false);

  struct Frame {
    unsigned opcode = 0;
    std::string payload;  // as it came
    bool compressed = false;
    std::uint16_t close_code() const;
    std::string_view close_reason() const;
  };
  // One unmasked frame; nothing where the connection ends before.
  std::optional<Frame> read_any_frame();
  // One that is not compressed.
  std::optional<Frame> read_frame();
  // Likewise, of a compressed message: its payload as it comes.
  std::optional<std::string> read_compressed_frame();
  // The close frame after whatever comes before it; opcode 0: none came.
  Frame read_to_close();

 private:
  bool receive();
  int fd_ = -1;
  std::string buffer_;
};

// A WebSocket handshake; without a protocol where it is empty.
std::string upgrade_request(std::string_view protocol = "terrazzo.v1.json");
// A client's frame. `first_byte`: FIN, reserved bits and opcode as they shall be.
std::string client_frame(unsigned first_byte, std::string_view payload, bool masked = true);

}  // namespace terrazzo::net
