// How connections come and go, and what a lost one means.
#include <algorithm>
#include <utility>

#include "client-lib/src/sync/passing_error.h"
#include "client-lib/src/sync/sync_machine.h"

namespace terrazzo::client {
namespace {

constexpr std::uint64_t kUsPerMs = 1000, kUsPerSecond = 1'000'000;
constexpr std::uint16_t kClosePolicy = 1008;
// A connection that was welcomed and lost again within this time proves nothing: what ended it (a view that cannot be
// made good, say) will do so again, and coming back without a growing delay would be a loop.
constexpr std::uint64_t kSettledUs = 5 * kUsPerSecond;

// The code that a close reason names (PROTOCOL.md, the table of close codes). Like an unknown code anywhere (FO-4) an
// unknown reason is a fault of the server.
ErrorCode code_of_reason(std::string_view reason) {
  const auto found = std::ranges::find(kErrorCodeNames, reason);
  if (found == kErrorCodeNames.end()) return ErrorCode::internal;
  return static_cast<ErrorCode>(found - kErrorCodeNames.begin());
}

}  // namespace

void SyncMachine::connecting() {
  const Telling telling(*this);
  set_state(State::connecting);
}

void SyncMachine::connected(std::uint64_t now_us) {
  const Telling telling(*this);
  now_us_ = heard_us_ = pinged_us_ = now_us;
  welcomed_us_.reset();
  connection_error_.reset();
  given_up_.reset();
  retry_after_ms_ = 0;
  nothing_sent();
  set_state(State::greeting);
  proto::Hello hello;
  hello.client = options_.program;
  hello.token = token_said_ = token_;
  hello.name = options_.name;
  hello.color = options_.color;
  resume_tried_ = !resume_token_.empty();
  if (resume_tried_) hello.resume = proto::Resume{resume_token_, incarnation_};
  out_.send(hello);
}

void SyncMachine::received(const proto::ServerMessage& message, std::uint64_t now_us) {
  if (!talking() || given_up_) return;  // the connection was closed at one of the messages before
  const Telling telling(*this);
  now_us_ = heard_us_ = now_us;
  std::visit([this](const auto& m) { on(m); }, message);
}

void SyncMachine::disconnected(std::uint16_t close_code, std::string_view reason) {
  const Telling telling(*this);
  const Loss loss = loss_of(close_code, reason);
  forget_connection();
  if (welcomed_us_ && now_us_ - *welcomed_us_ >= kSettledUs) backoff_.succeeded();
  welcomed_us_.reset();
  if (loss.retry && options_.reconnect.enabled) {
    retry_in_ms_ = loss.at_once ? 0 : backoff_.next_ms(retry_after_ms_);
    set_state(State::waiting, loss.error, retry_in_ms_);
  } else {
    set_state(State::failed, loss.error);
  }
  retry_after_ms_ = 0;
  clear_peers();
}

SyncMachine::Loss SyncMachine::loss_of(std::uint16_t close_code, std::string_view reason) {
  if (given_up_) return {.retry = true, .at_once = false, .error = *given_up_};
  if (close_code != kClosePolicy) {
    return {.retry = true,
            .at_once = false,
            .error = {ErrorCode::overloaded,
                      reason.empty() ? "the connection was lost" : "the connection was lost: " + std::string(reason)}};
  }
  Loss loss;
  const ErrorCode code = code_of_reason(reason);
  // The server says in words why it closes, right before; an error of another code was about something else.
  if (connection_error_ && connection_error_->code == code) {
    loss.error = *connection_error_;
  } else {
    loss.error = {code, "the server closed the connection: " + std::string(reason)};
  }
  if (code == ErrorCode::unauthenticated) {
    loss.retry = loss.at_once = may_be_let_in();
    return loss;
  }
  // Nobody else has this session's token: what resumed it is an older connection of ours that was long on its way.
  const bool overtaken = code == ErrorCode::conflict && session_.value != 0;
  loss.retry = overtaken || passes_by_itself(code);
  return loss;
}

// After the server did not take what hello said, or the token ended.
bool SyncMachine::may_be_let_in() {
  if (token_ != token_said_) return true;
  // Welcomed before, so the session was right, and it is the token; or it is the token since it is so without the
  // session, too.
  if (welcomed_us_ || !resume_tried_) {
    if (!resume_set_aside_.empty()) resume_token_ = std::exchange(resume_set_aside_, {});
    return false;
  }
  // The server may not know this session any more; a new one may well be let in.
  resume_set_aside_ = std::exchange(resume_token_, {});
  return true;
}

void SyncMachine::set_token(std::string token) {
  token_ = std::move(token);
  if (talking() && state_ != State::greeting) say_token();
}

void SyncMachine::say_token() {
  if (token_ == token_said_) return;
  token_said_ = token_;
  out_.send(proto::Token{token_});
}

void SyncMachine::forget_connection() {
  replica_.disconnected();
  subscriptions_.disconnected();
  claims_.disconnected();
  nothing_sent();
}

void SyncMachine::nothing_sent() {
  for (auto& [id, edit] : held_.table()) edit.sent = false;
  sent_through_ = EditId{};
  in_flight_ = 0;
}

void SyncMachine::closed() {
  const Telling telling(*this);
  forget_connection();
  set_state(State::closed);
  clear_peers();
}

void SyncMachine::writable_again() {
  send_edits();
}

bool SyncMachine::tick(std::uint64_t now_us) {
  now_us_ = now_us;
  if (!talking()) return false;
  if (now_us - heard_us_ > options_.silence_max_ms * kUsPerMs) return true;
  if (state_ != State::greeting && now_us - std::max(heard_us_, pinged_us_) > options_.ping_interval_ms * kUsPerMs)
    ping(now_us);
  if (state_ == State::live) claims_.tick(now_us);
  retry_refused();
  return false;
}

void SyncMachine::give_up(const Error& error) {
  given_up_ = error;
  tell(ServerError{error});
  out_.drop();
}

}  // namespace terrazzo::client
