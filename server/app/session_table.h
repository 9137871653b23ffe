#pragma once

#include <libcuckoo/cuckoohash_map.hh>
#include <optional>

#include "base/strong_id.h"
#include "server/session/connection.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

struct Speaker {
  shard::CoreId core = 0;
  session::Connection connection;
};

// Which connection, on which core, speaks for a session at the moment. Any thread.
class SessionTable {
 public:
  // Returns the connection that spoke until now, if it is another one.
  std::optional<Speaker> take_over(SessionId session, const Speaker& speaker) {
    std::optional<Speaker> before;
    speakers_.upsert(
        session.value,
        [&](Speaker& current) {
          before = current;
          current = speaker;
        },
        speaker);
    return before;
  }
  // Forgets the session if this connection still speaks for it.
  void leave(SessionId session, const Speaker& speaker) {
    speakers_.erase_fn(session.value, [&](const Speaker& current) {
      return current.core == speaker.core && current.connection == speaker.connection;
    });
  }
  bool has(SessionId session) const { return speakers_.contains(session.value); }
  std::size_t size() const { return speakers_.size(); }

 private:
  libcuckoo::cuckoohash_map<std::uint64_t, Speaker> speakers_;
};

}  // namespace terrazzo::app
