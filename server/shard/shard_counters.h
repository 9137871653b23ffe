#pragma once

#include <cstdint>

namespace terrazzo::shard {

struct ShardCounters {
  std::uint64_t edits = 0, rejected = 0, duplicates = 0, subscriptions = 0, publications = 0, encodings = 0,
                chunks_sent = 0, refreshes = 0;
  ShardCounters& operator+=(const ShardCounters& more) {
    edits += more.edits;
    rejected += more.rejected;
    duplicates += more.duplicates;
    subscriptions += more.subscriptions;
    publications += more.publications;
    encodings += more.encodings;
    chunks_sent += more.chunks_sent;
    refreshes += more.refreshes;
    return *this;
  }
};

}  // namespace terrazzo::shard
