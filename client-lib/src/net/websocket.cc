#include "client-lib/src/net/websocket.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <deque>
#include <utility>

#include "client-lib/src/net/link.h"
#include "client-lib/src/net/reactor_loop.h"

namespace terrazzo::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using beast::error_code;

// As much as travels in one message: well below every server's limit, and soon taken apart at the other end.
constexpr std::size_t kTogetherBytes = 128 * 1024;

}  // namespace

struct SessionFree {
  void operator()(::SSL_SESSION* session) const { ::SSL_SESSION_free(session); }
};

struct WebSocket::Shared {
  Reactor::Loop& loop;
  proto::Form form;
  std::size_t message_bytes_max;
  WebSocketEvents events;
  TlsOptions tls;
  bool compression;
  std::shared_ptr<Connection> current;
  std::unique_ptr<::SSL_SESSION, SessionFree> session;  // of the last TLS connection, to resume
};

// Lives until its last handler has run; a connection that is not the current one any more tells nobody anything.
struct WebSocket::Connection : std::enable_shared_from_this<Connection> {
  Connection(const std::shared_ptr<Shared>& shared)
      : owner(shared), form(shared->form), resolver(shared->loop.io), stream(shared->loop.io) {
    stream.read_message_max(shared->message_bytes_max);
    stream.auto_fragment(false);
    if (shared->compression && form == proto::Form::json) stream.set_option(compression());
    const char* protocol = form == proto::Form::binary ? "terrazzo.v1.flatbuffers" : "terrazzo.v1.json";
    stream.set_option(beast::websocket::stream_base::decorator([protocol](beast::websocket::request_type& request) {
      request.set(beast::http::field::sec_websocket_protocol, protocol);
    }));
  }

  // What the client writes is small: so is what it keeps for that, 16 KiB and no window between messages.
  static beast::websocket::permessage_deflate compression() {
    beast::websocket::permessage_deflate wish;
    wish.client_enable = true;
    wish.client_max_window_bits = 11;
    wish.client_no_context_takeover = wish.server_no_context_takeover = true;
    wish.compLevel = 1;
    wish.memLevel = 4;
    wish.msg_size_threshold = 128;
    return wish;
  }

  std::shared_ptr<Shared> live() const {
    const std::shared_ptr<Shared> shared = owner.lock();
    return shared && shared->current.get() == this ? shared : nullptr;
  }

  void start(const Url& url, std::uint32_t timeout_ms) {
    timeout = std::chrono::milliseconds(timeout_ms);
    beast::get_lowest_layer(stream).expires_after(timeout);
    host = url.host.find(':') == std::string::npos ? url.host + ":" + url.port : "[" + url.host + "]:" + url.port;
    target = url.target;
    address = url;
    if (url.tls) {
      if (const Status ready = set_up_tls(); !ready) {
        asio::post(stream.get_executor(),
                   [self = shared_from_this(), why = ready.error().message] { self->end(0, why); });
        return;
      }
    }
    resolver.async_resolve(url.host, url.port,
                           [self = shared_from_this()](const error_code& error, const auto& endpoints) {
                             if (error) return self->end(0, error.message());
                             beast::get_lowest_layer(self->stream)
                                 .async_connect(endpoints, [self](const error_code& connect_error, const auto&) {
                                   if (connect_error) return self->end(0, connect_error.message());
                                   self->secure();
                                 });
                           });
  }

  Status set_up_tls() {
    const std::shared_ptr<Shared> shared = owner.lock();
    const auto context = shared->loop.tls(shared->tls);
    if (!context) return context.error();
    return stream.next_layer().use_tls(*context, address, shared->session.get());
  }

  void secure() {
    Link::Tls* const tls = stream.next_layer().tls();
    if (tls == nullptr) return handshake();
    tls->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](const error_code& error) {
      if (error) return self->end(0, self->stream.next_layer().tls_problem(error, self->address));
      self->handshake();
    });
  }

  void handshake() {
    error_code ignored;
    beast::get_lowest_layer(stream).socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    beast::get_lowest_layer(stream).expires_never();
    beast::websocket::stream_base::timeout limits{};
    limits.handshake_timeout = timeout;
    limits.idle_timeout = beast::websocket::stream_base::none();
    limits.keep_alive_pings = false;
    stream.set_option(limits);
    stream.async_handshake(response, host, target, [self = shared_from_this()](const error_code& error) {
      if (error) return self->end(0, self->refusal(error));
      self->open = true;
      if (const auto shared = self->live()) shared->events.opened();
      self->read();
    });
  }
  std::string refusal(const error_code& error) const {
    if (error != beast::websocket::error::upgrade_declined) return error.message();
    return "the server answered " + std::to_string(response.result_int()) + ": " + response.body();
  }

  void read() {
    stream.async_read(buffer, [self = shared_from_this()](const error_code& error, std::size_t) {
      if (error) {
        const auto& reason = self->stream.reason();
        const bool said = error == beast::websocket::error::closed;
        return self->end(said ? static_cast<std::uint16_t>(reason.code) : 0,
                         said ? std::string(reason.reason.c_str()) : error.message());
      }
      const std::shared_ptr<Shared> shared = self->live();
      if (!shared) return;
      const auto data = self->buffer.data();
      shared->events.message({static_cast<const std::byte*>(data.data()), data.size()});
      self->buffer.consume(self->buffer.size());
      if (self->live()) self->read();
    });
  }

  void push(std::span<const std::byte> payload) {
    const bool json = form == proto::Form::json;
    const bool fits = queue.size() > (writing ? 1u : 0u) && queue.back().size() + payload.size() + 8 <= kTogetherBytes;
    if (!fits) {
      queue.emplace_back();
      if (json) queue.back().push_back(std::byte{'['});
    } else if (json) {
      queue.back().push_back(std::byte{','});
    } else {
      queue.back().resize((queue.back().size() + 7) &
                          ~std::size_t{7});  // each binary message starts at a multiple of eight
    }
    queue.back().insert(queue.back().end(), payload.begin(), payload.end());
    queued += payload.size();
    if (!writing && !std::exchange(posted, true)) {
      asio::post(stream.get_executor(), [self = shared_from_this()] {
        self->posted = false;
        self->write();
      });
    }
  }

  void write() {
    if (writing || queue.empty() || !open) return;
    writing = true;
    if (form == proto::Form::json) queue.front().push_back(std::byte{']'});
    stream.binary(form == proto::Form::binary);
    stream.async_write(asio::buffer(queue.front().data(), queue.front().size()),
                       [self = shared_from_this()](const error_code& error, std::size_t) {
                         self->writing = false;
                         if (error) return;  // the read tells
                         self->queue.pop_front();
                         if (self->queue.empty()) {
                           self->queued = 0;
                           if (const auto shared = self->live()) shared->events.written();
                         }
                         self->write();
                       });
  }

  void say_goodbye() {
    if (!open) return drop();
    beast::websocket::stream_base::timeout limits{};
    limits.handshake_timeout = std::chrono::seconds(1);
    limits.idle_timeout = beast::websocket::stream_base::none();
    stream.set_option(limits);
    stream.async_close(beast::websocket::close_code::normal,
                       [self = shared_from_this()](const error_code&) { self->end(1000, {}); });
  }

  void drop() {
    resolver.cancel();
    error_code ignored;
    beast::get_lowest_layer(stream).socket().close(ignored);
    beast::get_lowest_layer(stream).cancel();
  }

  void end(std::uint16_t code, std::string reason) {
    const std::shared_ptr<Shared> shared = live();
    if (!shared) return;
    shared->current.reset();
    if (::SSL_SESSION* session = open ? stream.next_layer().session() : nullptr) shared->session.reset(session);
    drop();
    shared->events.closed(code, std::move(reason));
  }

  std::weak_ptr<Shared> owner;
  proto::Form form;
  asio::ip::tcp::resolver resolver;
  beast::websocket::stream<Link> stream;
  beast::websocket::response_type response;
  Url address;
  std::string host, target;
  std::chrono::milliseconds timeout{};
  beast::flat_buffer buffer;
  std::deque<proto::ByteBuffer> queue;  // payloads, the front one being written while `writing`
  std::size_t queued = 0;
  bool open = false, writing = false, posted = false;
};

WebSocket::WebSocket(Reactor& reactor, proto::Form form, std::size_t message_bytes_max, const ConnectOptions& options,
                     WebSocketEvents events)
    : shared_(new Shared{reactor.loop(), form, message_bytes_max, std::move(events), options.tls, options.compression,
                         nullptr, nullptr}) {}

WebSocket::~WebSocket() {
  if (const auto connection = std::exchange(shared_->current, nullptr)) connection->drop();
}

void WebSocket::connect(const Url& url, std::uint32_t timeout_ms) {
  if (const auto before = std::exchange(shared_->current, nullptr)) before->drop();
  shared_->current = std::make_shared<Connection>(shared_);
  shared_->current->start(url, timeout_ms);
}

void WebSocket::send(std::span<const std::byte> payload) {
  if (shared_->current) shared_->current->push(payload);
}

std::size_t WebSocket::queued_bytes() const {
  return shared_->current ? shared_->current->queued : 0;
}

void WebSocket::close() {
  if (shared_->current) shared_->current->say_goodbye();
}

void WebSocket::drop() {
  if (shared_->current) shared_->current->drop();
}

}  // namespace terrazzo::client
