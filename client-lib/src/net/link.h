#pragma once

#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "client-lib/src/net/url.h"

namespace terrazzo::client {

// TCP, or TLS on TCP: one type, so that the WebSocket on top of it is compiled once.
class Link {
 public:
  using next_layer_type = boost::beast::tcp_stream;
  using executor_type = next_layer_type::executor_type;
  using Tls = boost::asio::ssl::stream<boost::beast::tcp_stream&>;

  explicit Link(boost::asio::io_context& io) : tcp_(io) {}
  // The session is kept for the next connection, cut off or not: each message says by itself where it ends.
  ~Link();

  next_layer_type& next_layer() { return tcp_; }
  const next_layer_type& next_layer() const { return tcp_; }
  executor_type get_executor() { return tcp_.get_executor(); }

  // Before the handshake: from now on it is TLS, with whoever proves to be `url`'s host (where the context verifies).
  // `session`: of an earlier connection there, to resume, or null.
  Status use_tls(std::shared_ptr<boost::asio::ssl::context> context, const Url& url, ::SSL_SESSION* session);
  Tls* tls() { return tls_ ? &*tls_ : nullptr; }
  // Why the TLS handshake failed, and what would be right.
  std::string tls_problem(const boost::system::error_code& error, const Url& url) const;
  // Of this connection, for the next; the caller's, or null.
  ::SSL_SESSION* session() const;

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Handler>(handler));
    return tcp_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Handler>(handler));
    return tcp_.async_write_some(buffers, std::forward<Handler>(handler));
  }

 private:
  boost::beast::tcp_stream tcp_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::optional<Tls> tls_;
};

// What Beast calls when a WebSocket ends.
template <class Handler>
void async_teardown(boost::beast::role_type role, Link& link, Handler&& handler) {
  using boost::beast::websocket::async_teardown;
  if (Link::Tls* tls = link.tls()) {
    tls->async_shutdown(std::forward<Handler>(handler));
  } else {
    async_teardown(role, link.next_layer(), std::forward<Handler>(handler));
  }
}
inline void teardown(boost::beast::role_type role, Link& link, boost::beast::error_code& error) {
  using boost::beast::websocket::teardown;
  if (Link::Tls* tls = link.tls()) {
    tls->shutdown(error);
  } else {
    teardown(role, link.next_layer(), error);
  }
}

}  // namespace terrazzo::client
