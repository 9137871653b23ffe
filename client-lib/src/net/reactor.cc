#include "terrazzo/reactor.h"

#include <boost/asio/post.hpp>

#include "client-lib/src/net/reactor_loop.h"

namespace terrazzo::client {

Result<std::shared_ptr<boost::asio::ssl::context>> Reactor::Loop::tls(const TlsOptions& options) {
  namespace ssl = boost::asio::ssl;
  std::shared_ptr<ssl::context>& context = tls_[{options.ca_file, options.verify_peer}];
  if (context) return context;
  auto made = std::make_shared<ssl::context>(ssl::context::tls_client);
  boost::system::error_code error;
  if (options.ca_file.empty()) {
    made->set_default_verify_paths(error);
  } else {
    made->load_verify_file(options.ca_file, error);
  }
  if (error) {
    return Error{ErrorCode::bad_message,
                 options.ca_file + " holds no certificates in PEM to trust (" + error.message() + ")"};
  }
  ::SSL_CTX_set_min_proto_version(made->native_handle(), TLS1_2_VERSION);
  made->set_verify_mode(options.verify_peer ? ssl::verify_peer : ssl::verify_none, error);
  return context = std::move(made);
}

Reactor::Reactor() : loop_(new Loop) {}
Reactor::~Reactor() = default;

std::size_t Reactor::run_once(std::chrono::milliseconds timeout) {
  boost::asio::io_context& io = loop_->io;
  if (io.stopped()) io.restart();
  std::size_t ran = io.poll();
  if (ran == 0 && timeout.count() > 0) {
    if (io.stopped()) io.restart();
    // Keeps it waiting even where nothing is under way, so that callers do not spin.
    const auto work = boost::asio::make_work_guard(io);
    ran = io.run_one_for(timeout);
    ran += io.poll();
  }
  return ran;
}

void Reactor::wake() {
  boost::asio::post(loop_->io, [] {});
}

}  // namespace terrazzo::client
