// The home's side of claims (PROTOCOL.md, CL): what clients ask goes to the world's desk (shard/claim_desk.h), and what
// the desk says goes to those whom it concerns.
#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "server/session/home.h"

namespace terrazzo::session {
namespace {

constexpr std::uint16_t kClosePolicy = 1008;

std::string too_often(const Rate& rate) {
  return "more than " + std::to_string(rate.per_second) +
         " claims and releases a second on this connection: ask again "
         "later";
}

}  // namespace

// ---- from sessions here ----

void Home::claim(Session& session, const proto::Claim& message) {
  if (!session.in_world(out_)) return;
  ++counters_.claims;
  const auto refuse = [&](ErrorCode code, const std::string& why) {
    session.reject_claim(message.claim, {code, why}, {}, out_);
  };
  if (!session.may_claim(now_ns_)) return refuse(ErrorCode::rate_limited, too_often(limits_.claims));
  if (message.claim.value == 0) return refuse(ErrorCode::bad_message, "claims are numbered from 1; this one is 0");
  if (session.role() == Role::viewer)
    return refuse(ErrorCode::forbidden, "a viewer cannot claim: ask for a token with the role editor");
  for (const map::LayerId layer : message.layers) {
    if (session.world()->find_layer(layer) == nullptr)
      return refuse(ErrorCode::not_found, "there is no layer " + std::to_string(layer) + ": see `world`.layers");
  }
  if (!session.world()->area().contains(message.rect)) {
    const map::Rect area = session.world()->area();
    return refuse(ErrorCode::out_of_bounds, "the claim reaches out of the world, which is " +
                                                std::to_string(area.width()) + "×" + std::to_string(area.height()) +
                                                " cells at " + std::to_string(area.x0) + "," + std::to_string(area.y0));
  }
  auto request = claim_request(session, shard::ClaimRequest::Kind::claim);
  request->number = message.claim;
  request->name = session.name();
  request->rect = message.rect;
  request->layers.assign(message.layers.begin(), message.layers.end());
  request->ttl_ms = message.ttl_ms;
  session.may_hold_claims = true;
  out_.claim(std::move(request));
}

void Home::release(Session& session, const proto::Release& message) {
  if (!session.in_world(out_)) return;
  if (!session.may_claim(now_ns_)) return session.error(ErrorCode::rate_limited, too_often(limits_.claims), out_);
  const bool own = message.session.value == 0 || message.session == session.id();
  if (!own && session.role() != Role::owner) {
    return session.error(ErrorCode::forbidden,
                         "only an owner can break the claim of somebody else: use a token with the role owner", out_);
  }
  auto request = claim_request(session, shard::ClaimRequest::Kind::release);
  request->number = message.claim;
  request->session = message.session;
  out_.claim(std::move(request));
}

std::unique_ptr<shard::ClaimRequest> Home::claim_request(const Session& session, shard::ClaimRequest::Kind kind) const {
  auto request = std::make_unique<shard::ClaimRequest>();
  request->kind = kind;
  request->world = session.world()->id;
  request->origin = session.origin();
  return request;
}

void Home::look_for_claims(const Session& session, const map::Rect& area, const map::Rect& known) {
  auto request = claim_request(session, shard::ClaimRequest::Kind::look);
  request->area = area;
  request->known = known;
  out_.claim(std::move(request));
}

// ---- from desks ----

void Home::claim_answer(const shard::ClaimAnswer& answer) {
  const Connection connection{answer.origin.connection_slot, answer.origin.connection_generation};
  Session* const session = find(connection);
  if (session == nullptr) return;
  if (answer.error && answer.of_release) return session->error(answer.error->code, answer.error->message, out_);
  if (answer.error) return session->reject_claim(answer.number, *answer.error, answer.claims, out_);
  for (const shard::SharedClaimNote& note : answer.standing) tell_claim(connection, note);
}

void Home::claim_note(const shard::SharedClaimNote& note) {
  const auto view = worlds_.find(note->world);
  if (view == worlds_.end()) return;
  const map::Rect chunks = map::chunks_of(note->claim->rect);
  const bool few = chunks.area() <= view->second.slots.size() + kChunksLookedUp;
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    viewers_.clear();
    if (few) view->second.viewers.collect(form, {&chunks, 1}, viewers_);
    for (const std::uint32_t slot : view->second.slots) {
      const Session& session = *sessions_[slot];
      if (session.form() != form) continue;
      const bool concerned = session.id() == note->claim->session || session.id() == note->asked;
      if (few ? concerned && std::ranges::find(viewers_, session.connection()) == viewers_.end()
              : concerned || session.watches(chunks))
        viewers_.push_back(session.connection());
    }
    tell_claim_to_many(form, note);
  }
}

void Home::tell_claim(Connection connection, const shard::SharedClaimNote& note) {
  viewers_.assign(1, connection);
  tell_claim_to_many(find(connection)->form(), note);
}

void Home::tell_claim_to_many(proto::Form form, const shard::SharedClaimNote& note) {
  std::erase_if(viewers_, [&](Connection connection) {
    Conflation* slow = owed(connection);
    // What was put off goes out first: of each claim the newest comes last.
    if (slow == nullptr || (!slow->full() && !slow->owes_claims())) return false;
    put_off_claim(connection, *slow, note);
    return true;
  });
  if (viewers_.empty()) return;
  refused_.clear();
  out_.send_to_many(form, viewers_, message_of(*note), refused_);
  for (const Connection connection : refused_) {
    put_off_claim(connection, owe(connection), note);
    out_.tell_room(connection);
  }
}

void Home::put_off_claim(Connection connection, Conflation& slow, const shard::SharedClaimNote& note) {
  if (!slow.owe_claim(note)) out_.close(connection, kClosePolicy, error_code_name(ErrorCode::overloaded));
}

}  // namespace terrazzo::session
