#pragma once

#include <openssl/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/net/tls_identity.h"

namespace terrazzo::net {

// The server's side of TLS for one connection, on memory: sealed bytes in, plain ones out, and the other way round. It
// knows no socket; what is to be sent waits in `output`, of which one piece may be with the kernel while more is added.
class TlsStream {
 public:
  explicit TlsStream(const TlsContext& context);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Bytes from the other side; call take() until it says `more`, `end` or `failed`, and keep them until then.
  void put(std::span<const std::byte> sealed) { input_ = sealed; }
  enum class Step { plain, more, end, failed };
  struct Taken {
    Step step;
    std::span<const std::byte> plain;  // in `room`
  };
  // `end`: the other side said that it sends no more. `failed`: for good; problem() says why, and the output may hold
  // an alert for the other side.
  Taken take(std::span<std::byte> room);

  bool established() const;
  bool failed() const { return failed_; }
  const std::string& problem() const { return problem_; }
  // Nothing was put in yet.
  bool fresh() const { return fresh_; }
  bool resumed() const;

  bool can_seal() const { return !failed_ && !said_goodbye_ && established(); }
  // Only where it can. Adds records with all of `plain` to the output; false: it has failed.
  bool seal(std::span<const std::byte> plain);
  // Adds a close_notify to the output; false where none is due any more, or none can be had.
  bool say_goodbye();

  // Sealed bytes that the kernel has not taken.
  std::size_t output_bytes() const { return output_.size() + flying_.size() - flown_; }
  // The next write; valid until sent() or send_failed().
  const msghdr* begin_send();
  void sent(std::size_t bytes);

 private:
  friend struct TlsStreamBio;
  struct Free {
    void operator()(::SSL* ssl) const;
  };
  Step fail(int result);

  std::unique_ptr<::SSL, Free> ssl_;
  std::span<const std::byte> input_;
  std::vector<std::byte> output_;  // behind what is flying
  std::vector<std::byte> flying_;  // with the kernel, from flown_ on
  std::size_t flown_ = 0;
  bool fresh_ = true, failed_ = false, said_goodbye_ = false;
  std::string problem_;
  iovec part_{};
  msghdr message_{};
};

}  // namespace terrazzo::net
