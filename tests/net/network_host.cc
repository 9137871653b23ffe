#include "tests/net/network_host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "proto/ws/frame_codec.h"
#include "server/net/http_exchange.h"
#include "tests/io/scratch_folder.h"
#include "tests/runtime/loop_kinds.h"

namespace terrazzo::net {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

SharedBytes shared_frame(proto::Form form, std::string_view payload) {
  proto::ByteBuffer header;
  const auto opcode = form == proto::Form::json ? proto::ws::Opcode::text : proto::ws::Opcode::binary;
  proto::ws::append_frame_header(opcode, payload.size(), header);
  SharedBytes frame = SharedBytes::allocate(header.size() + payload.size());
  std::ranges::copy(bytes_of(payload), std::ranges::copy(header, frame.writable().begin()).out);
  return frame;
}

bool tls_of_this_run() {
  return std::getenv("TERRAZZO_TEST_TLS") != nullptr;
}

std::shared_ptr<const TlsIdentity> identity_of(const TestCertificate& certificate, const TicketKeys& tickets) {
  const io::ScratchFolder folder;
  write_text(folder / "chain.pem", certificate.chain_pem);
  write_text(folder / "key.pem", certificate.key_pem);
  auto identity = TlsIdentity::load(folder / "chain.pem", folder / "key.pem", tickets);
  if (!identity) {
    ADD_FAILURE() << identity.error().message;
    std::abort();
  }
  return *std::move(identity);
}

NetworkHost::NetworkHost(const NetworkLimits& limits) {
  if (!tls_of_this_run()) {
    start(limits, nullptr);
    return;
  }
  static const auto identity = identity_of(TestAuthority().sign(), TicketKeys::random());
  start(limits, identity.get());
  tunnel_ = std::make_unique<TlsTunnel>(port_);
  port_ = tunnel_->port();
}
NetworkHost::NetworkHost(const NetworkLimits& limits, const TlsIdentity& identity) {
  start(limits, &identity);
}

void NetworkHost::start(const NetworkLimits& limits, const TlsIdentity* identity) {
  loop_ = runtime::make_loop(runtime::loop_kind_of_this_run(), 256);
  if (!loop_) {
    ADD_FAILURE() << runtime::probe_ring().why_not;
    std::abort();
  }
  const Result<int> listener = open_listener("127.0.0.1", 0);
  if (!listener) {
    ADD_FAILURE() << listener.error().message;
    std::abort();
  }
  port_ = local_port(*listener);
  network_ = std::make_unique<Network>(*loop_, *listener, limits, *this);
  if (identity != nullptr) {
    EXPECT_TRUE(network_->use_tls(*identity).ok());
  }
  tick();
}
NetworkHost::~NetworkHost() = default;

void NetworkHost::tick() {
  loop_->submit_and_wait(2 * runtime::kNsPerMs);
  network_->dispatch(now_ns_);
  network_->flush();
}

bool NetworkHost::run_until(const std::function<bool()>& condition) {
  const std::uint64_t until = runtime::monotonic_ns() + 60 * runtime::kNsPerSecond;
  while (!condition()) {
    if (runtime::monotonic_ns() > until) return false;
    tick();
  }
  return true;
}

void NetworkHost::stop_late() {
  ADD_FAILURE() << "the client did not get what it waits for";
  network_->stop();
}

void NetworkHost::on_open(ConnectionId connection, proto::Form form) {
  opened.push_back(connection);
  forms.push_back(form);
  if (greets) network_->greeted(connection);
}

void NetworkHost::on_message(ConnectionId connection, std::span<const std::byte> payload) {
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(payload.data()) % 8, 0u);
  EXPECT_EQ(std::ranges::count(closed, connection), 0) << "a message after the last word";
  const std::string_view text(reinterpret_cast<const char*>(payload.data()), payload.size());
  if (message) return message(connection, text);
  messages.emplace_back(text);
}

void NetworkHost::on_close(ConnectionId connection) {
  EXPECT_EQ(std::ranges::count(opened, connection), 1);
  EXPECT_EQ(std::ranges::count(closed, connection), 0) << "closed twice";
  closed.push_back(connection);
}

std::optional<HttpResponse> NetworkHost::refuse_body(const HttpRequest& request) {
  if (request.authorization != "a stranger") return std::nullopt;
  return refusal_of(401, ErrorCode::unauthenticated, "who are you");
}

void NetworkHost::on_http(ConnectionId connection, const HttpRequest& request) {
  if (http) return http(connection, request);
  requests.push_back({connection, std::string(request.method), std::string(request.target), std::string(request.body),
                      std::string(request.content_type), std::string(request.authorization)});
}

}  // namespace terrazzo::net
