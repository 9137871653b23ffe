// What sessions ask of the node (session::SessionDirectory).
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "map/formats/world_json.h"
#include "server/app/core_services.h"
#include "server/runtime/clock.h"

namespace terrazzo::app {
namespace {

// A session's number: the run, the core that welcomed it, a counter. Never the same twice on one data directory.
constexpr int kIncarnationShift = 40, kCoreShift = 32;

}  // namespace

session::SessionLimits session_limits(const Config& config) {
  session::SessionLimits limits;
  limits.wire.message_bytes_max = config.message_bytes_max;
  limits.wire.subscriptions_max = config.subscriptions_max;
  limits.wire.chunks_per_subscription_max = config.chunks_per_subscription_max;
  limits.subscribed_chunks_max = config.subscribed_chunks_max;
  // A second's worth at once.
  const auto rate = [](std::uint32_t per_second) { return session::Rate{per_second, per_second}; };
  limits.edits = rate(config.edits_per_second);
  limits.cells = rate(config.cells_per_second);
  limits.user_edits = rate(config.user_edits_per_second);
  limits.user_cells = rate(config.user_cells_per_second);
  limits.claims = rate(config.claims_per_second);
  limits.chats = rate(config.chats_per_second);
  limits.wire.derived_cells_per_edit_max = config.derived_cells_per_edit_max;
  limits.presence_interval_ns = runtime::kNsPerSecond / config.presence_per_second;
  return limits;
}

Result<session::Identity> CoreServices::authenticate(std::string_view token) {
  Result<session::Identity> identity = node_.authenticator->authenticate(
      token, static_cast<std::int64_t>(runtime::wall_ns() / runtime::kNsPerSecond), runtime::monotonic_ns());
  if (identity && !node_.authenticator->open_to_all()) {
    User user = node_.users.of(identity->user);
    identity->number = user.number;
    identity->budget = std::move(user.budget);
  }
  return identity;
}

std::shared_ptr<const map::World> CoreServices::find_world(std::string_view name_or_id) {
  return node_.worlds.find(name_or_id);
}

std::string CoreServices::world_json(const map::World& world) {
  return formats::world_to_json(world);
}

SessionId CoreServices::new_session() {
  return SessionId{node_.incarnation.value << kIncarnationShift | std::uint64_t{self_} << kCoreShift | next_session_++};
}

std::string CoreServices::resume_token(SessionId session) {
  return node_.resume_tokens->issue(session);
}

Result<SessionId> CoreServices::session_of(std::string_view resume_token) {
  Result<SessionId> session = node_.resume_tokens->verify(resume_token);
  if (!session) node_.authenticator->count(identity::Refusal::session);
  return session;
}

Incarnation CoreServices::incarnation() const {
  return node_.incarnation;
}

// Who proves nothing is whom he says he is.
UserId CoreServices::user_id(const session::Identity& identity, std::string_view name) {
  const UserId user = user_number(identity.proven, identity.proven ? identity.user : name);
  if (node_.user_names.note(user, identity.proven ? identity.user : name)) write_names();
  return user;
}

UserId user_number(bool proven, std::string_view name) {
  const std::string text = (proven ? "user " : "name ") + std::string(name);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  const int hashed = EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  TZ_ASSERT(hashed == 1);
  std::uint64_t id = 0;
  std::memcpy(&id, digest.data(), sizeof id);
  return UserId{id | 1};  // never nobody's
}

// Two edits of one session never at the same time, whatever the clock's grain.
std::uint64_t CoreServices::time_us() {
  last_time_us_ = std::max(last_time_us_ + 1, node_.stamps.now_us());
  return last_time_us_;
}

}  // namespace terrazzo::app
