#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "client-lib/src/cache/chunk_cache.h"
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
  std::optional<Coverage> in_flight, current;
};

class Subscriptions {
 public:
  using Table = std::map<SubscriptionId, Subscription>;

  SubscriptionId add(Coverage wanted, bool all_layers) {
    const SubscriptionId id{++last_id_};
    table_[id] = Subscription{.all_layers = all_layers, .wanted = std::move(wanted), .in_flight = {}, .current = {}};
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
      subscription.send_wanted = true;
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
  // By a request in force, on its way, or yet to be sent.
  bool covers(const ChunkKey& key) const {
    return std::ranges::any_of(table_, [&](const auto& entry) {
      const Subscription& s = entry.second;
      return s.wanted.has(key) || (s.in_flight && s.in_flight->has(key)) || (s.current && s.current->has(key));
    });
  }
  // Whether edits that touch these chunks, in whichever layer, come to this client (or the state after them will).
  bool sees_any(const map::Rect& chunks) const {
    return std::ranges::any_of(table_, [&](const auto& entry) {
      const Subscription& s = entry.second;
      return meets(s.wanted, chunks) || (s.in_flight && meets(*s.in_flight, chunks)) ||
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

  std::uint32_t last_id_ = 0;
  Table table_;
};

}  // namespace terrazzo::client
