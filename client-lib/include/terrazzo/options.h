#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proto/messages.h"

namespace terrazzo::client {

// When a lost connection is tried again: after a random time between the minimum and a ceiling that begins at eight
// times the minimum and doubles with each failure ("full jitter", so that clients of a restarted server do not come
// back all at once); a server that goes away and says for how long is waited for, then as long again at random.
// Milliseconds.
struct ReconnectPolicy {
  bool enabled = true;
  std::uint32_t delay_min_ms = 50;
  std::uint32_t delay_max_ms = 10'000;
};

// Whom a client believes that it is the server, over wss:// and https://.
struct TlsOptions {
  std::string ca_file;      // PEM, of the authorities that are trusted; empty: those of the system
  bool verify_peer = true;  // false: whoever answers is believed; for tests, never over a network
};

// A plain value. Sizes are in bytes, times in milliseconds.
struct ConnectOptions {
  std::string url = "ws://127.0.0.1:7777";  // ws:// or wss://host:port; the path defaults to /v1/ws
  TlsOptions tls;
  std::string token;        // empty: none
  std::string name;         // shown to the others; empty: the token's user
  std::uint32_t color = 0;  // 0xRRGGBB; 0: the server chooses
  proto::Form form = proto::Form::binary;
  bool compression = true;  // of the JSON form, where the server agrees (permessage-deflate)
  ReconnectPolicy reconnect;
  std::string program = "libterrazzo/0.1";  // for the server's logs

  std::uint32_t connect_timeout_ms = 10'000;   // name look-up, TCP and WebSocket handshake together
  std::uint32_t ping_interval_ms = 20'000;     // of silence before the client asks
  std::uint32_t silence_max_ms = 60'000;       // after which the connection counts as lost
  std::size_t cache_bytes_max = 64u << 20;     // of chunks outside every subscription; those inside are not limited
  std::size_t message_bytes_max = 128u << 20;  // of one message from the server
  std::size_t events_max = 16'384;             // waiting for poll(); the oldest go first (EventsLost tells)
  std::size_t edits_held_max = 65'536;         // own edits that are not known to be durable; more are refused
  std::uint32_t presence_per_second = 30;      // own presence goes out this often at most; the newest counts
  std::uint64_t seed = 0;                      // of the jitter; 0: from the system
};

}  // namespace terrazzo::client
