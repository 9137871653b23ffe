#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "client-lib/src/cache/chunk_cache.h"
#include "client-lib/src/sync/backoff.h"
#include "map/coords.h"
#include "map/world.h"
#include "terrazzo/events.h"

namespace terrazzo::client {

// The chunks of some layers that one subscription asks for or has.
struct Coverage {
  map::Rect cells;                   // as asked for
  map::Rect chunks;                  // those of them that the world has
  std::vector<map::LayerId> layers;  // ascending

  bool has(const ChunkKey& key) const {
    return chunks.contains(map::CellPos{key.chunk.x, key.chunk.y}) && std::ranges::binary_search(layers, key.layer);
  }
};

// `subscribed` names only the subscription, so at most one request of each is on its way: a newer one waits for its
// answer (then only the newest matters).
struct Subscription {
  bool all_layers = false;  // the program named none: follows the world's tile layers
  Coverage wanted;
  bool send_wanted = true;  // `wanted` was not sent yet
  // Given up by the program. It is ended on the server only when the request on its way was answered, so that no answer
  // comes unexpected.
  bool ending = false;
  // The server refused `wanted`, so it does not count; what is in force stays so.
  bool refused = false;
  std::optional<std::uint64_t> retry_at_us;  // when `wanted` is asked for again, if the reason may pass by itself
  Backoff refusals;
  std::optional<Coverage> in_flight, current;

  // Another wish of the program, or the same once more: the refusal of the one before says nothing about it.
  void want_again() {
    send_wanted = true;
    refused = false;
    retry_at_us.reset();
  }
};

class Subscriptions {
 public:
  using Table = std::map<SubscriptionId, Subscription>;

  // `seed`: of the delays after refusals.
  SubscriptionId add(Coverage wanted, bool all_layers, std::uint64_t seed) {
    const SubscriptionId id{++last_id_};
    table_.emplace(id, Subscription{.all_layers = all_layers,
                                    .wanted = std::move(wanted),
                                    .retry_at_us = {},
                                    .refusals = Backoff(kRefusals, seed + id.value),
                                    .in_flight = {},
                                    .current = {}});
    return id;
  }
  Subscription* find(SubscriptionId id) {
    const auto found = table_.find(id);
    return found == table_.end() ? nullptr : &found->second;
  }
  void remove(SubscriptionId id) { table_.erase(id); }
  // A lost connection: everything is to be asked for anew.
  void disconnected() {
    std::erase_if(table_, [](const auto& entry) { return entry.second.ending; });
    for (auto& [id, subscription] : table_) {
      subscription.in_flight.reset();
      subscription.current.reset();
      subscription.want_again();
    }
  }

  bool in_flight(const ChunkKey& key) const {
    return std::ranges::any_of(table_,
                               [&](const auto& s) { return s.second.in_flight && s.second.in_flight->has(key); });
  }
  bool in_force(const ChunkKey& key) const {
    return std::ranges::any_of(table_, [&](const auto& s) { return s.second.current && s.second.current->has(key); });
  }
  bool streams(const ChunkKey& key) const { return in_force(key) || in_flight(key); }
  // By a request in force, on its way, or yet to be sent. One that was refused brings nothing.
  bool covers(const ChunkKey& key) const {
    return std::ranges::any_of(table_, [&](const auto& entry) {
      const Subscription& s = entry.second;
      return (!s.refused && s.wanted.has(key)) || (s.in_flight && s.in_flight->has(key)) ||
             (s.current && s.current->has(key));
    });
  }
  // Whether edits that touch these chunks, in whichever layer, come to this client (or the state after them will).
  bool sees_any(const map::Rect& chunks) const {
    return std::ranges::any_of(table_, [&](const auto& entry) {
      const Subscription& s = entry.second;
      return (!s.refused && meets(s.wanted, chunks)) || (s.in_flight && meets(*s.in_flight, chunks)) ||
             (s.current && meets(*s.current, chunks));
    });
  }
  bool sees_shard(map::ShardPos shard) const { return sees_any(map::chunks_of(map::cells_of(shard))); }

  Table& table() { return table_; }
  std::size_t size() const { return table_.size(); }

 private:
  static bool meets(const Coverage& coverage, const map::Rect& chunks) {
    return !coverage.layers.empty() && coverage.chunks.intersects(chunks);
  }

  // A page that cannot be read now is read again, or restored, within seconds or hours; many may wait for it.
  static constexpr ReconnectPolicy kRefusals{.enabled = true, .delay_min_ms = 1000, .delay_max_ms = 60'000};

  std::uint32_t last_id_ = 0;
  Table table_;
};

}  // namespace terrazzo::client
