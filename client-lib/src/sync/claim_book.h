#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "client-lib/src/sync/subscriptions.h"
#include "client-lib/src/sync/sync_output.h"
#include "proto/messages.h"
#include "terrazzo/claims.h"

namespace terrazzo::client {

// What a client wants to keep for itself, and what it knows of the claims of others. Own claims outlive connections and
// servers: they are asked for again on each new connection, and renewed when a third of their time has passed. Pure;
// time (microseconds) is an argument. One thread.
class ClaimBook {
 public:
  // What is to be told is appended to `events`.
  ClaimBook(SyncOutput& out, std::deque<Event>& events) : out_(out), events_(events) {}

  // Goes out at once where `live`.
  ClaimId claim(const map::Rect& rect, std::span<const map::LayerId> layers, std::uint32_t ttl_ms, bool live);
  void release(ClaimId claim, bool live);
  bool holds(ClaimId claim) const;
  std::vector<Claim> claims() const;  // in the views, own ones included

  // ---- the connection ----
  void live();
  void disconnected();
  // The world that they were made for is gone.
  void world_replaced();
  void claimed(const proto::Claimed& message, SessionId self, std::uint64_t now_us);
  void released(const proto::Released& message, SessionId self);
  void rejected(const proto::Reject& message, std::uint64_t now_us);
  void tick(std::uint64_t now_us);
  // What none of the subscriptions shows is not heard of any more.
  void forget_unseen(const Subscriptions& subscriptions);

 private:
  struct Own {
    map::Rect rect;
    std::vector<map::LayerId> layers;
    std::uint32_t ttl_ms = 0;
    bool held = false;
    std::optional<std::uint64_t> renew_us = {};
  };
  void send(ClaimId claim, Own& own);

  void tell(Event event) { events_.push_back(std::move(event)); }

  SyncOutput& out_;
  std::deque<Event>& events_;
  ClaimId last_;
  std::map<ClaimId, Own> own_;
  std::map<std::pair<SessionId, ClaimId>, Claim> seen_;
};

// Copies what a message only views.
Claim copy_of(const proto::ClaimOf& claim);

}  // namespace terrazzo::client
