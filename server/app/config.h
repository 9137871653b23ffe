#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace terrazzo::app {

// What carries sockets; automatic: io_uring where it is there, else epoll.
enum class Io : std::uint8_t { automatic, ring, epoll };
// Who writes and syncs files; automatic: the core's io_uring where it has one that may, else threads.
enum class FileIo : std::uint8_t { automatic, ring, threads };

// Whether shards of a busy core go to an idle one by themselves.
enum class Balance : std::uint8_t { off, on };

enum class AuthMode : std::uint8_t { none, token };

// Everything an operator can set, validated once; read by wiring only and passed down as values.
struct Config {
  std::string data_dir = "data";
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one
  unsigned cores = 0;         // 0: all this process may use
  AuthMode auth = AuthMode::token;
  // Files and folders with keys; none: DATA/token.secret, made at the first start.
  std::vector<std::string> token_keys;
  std::string token_issuer;                  // empty: any
  std::vector<std::string> token_audiences;  // none: tokens must not name any
  std::int64_t token_leeway_s = 30;
  std::vector<std::string> allow_origins;  // of pages that may use this server from a browser, besides its own
  std::string tls_cert, tls_key;           // PEM files; empty: no TLS
  std::string backup_dir;                  // empty: DATA/backups
  std::string log_level = "info";
  std::uint32_t message_bytes_max = 1u << 20;
  std::uint32_t unfinished_mib = 64;  // per core, of messages whose end has not come
  std::uint32_t outbox_bytes_max = 64u << 20;
  // Waiting for a client: from here on it gets states later, not every edit. Together with what the kernel holds for
  // one that stops reading (64 KiB) it stays below 256 KiB.
  std::uint32_t conflate_bytes = 128u << 10;
  std::uint32_t send_buffer_kib = 256;     // of the kernel, per connection; 0: as the system does
  std::uint32_t presence_per_second = 30;  // of a session, at most; the newest counts
  // 0: no limit. Of a connection, and of a user over all of his; a second's worth may come at once.
  std::uint32_t edits_per_second = 0, cells_per_second = 0, user_edits_per_second = 0, user_cells_per_second = 0;
  // Chunks × layers, of a subscription and of all that a connection has.
  std::uint32_t subscriptions_max = 64, chunks_per_subscription_max = 4096, subscribed_chunks_max = 64 * 4096;
  std::uint32_t chats_per_second = 5;                 // of a connection; 0: no limit
  std::uint32_t derived_cells_per_edit_max = 262144;  // that copies read and floods may reach
  std::uint32_t claims_per_second = 50;               // of a connection, releases included; 0: no limit
  // Claims of a user in a world, and the cells of all of them together.
  std::uint32_t claims_per_user = 16, claim_cells_max = 1u << 22;
  std::uint32_t claim_ttl_max_s = 600;    // of a claim and of each renewal
  std::uint32_t claim_grace_ms = 10'000;  // that claims outlive their session's connection
  std::uint32_t chunk_cache_mib = 16;     // per core, of encoded chunk states; 0: none are kept
  std::uint32_t connections_max = 20000;
  std::uint32_t http_header_bytes_max = 16u << 10;
  std::uint32_t http_body_mib_max = 64;
  std::uint32_t handshake_timeout_ms = 10'000;
  std::uint32_t keep_alive_ms = 60'000;
  std::uint32_t ping_interval_ms = 20'000, silence_max_ms = 60'000;
  bool compression = true;  // of the JSON form, for clients that wish it
  std::uint32_t segment_mib = 64;
  std::uint32_t history_mib = 4096;  // of sealed log segments; 0: none are kept
  std::uint32_t history_days = 365;
  std::string backup_folder() const { return backup_dir.empty() ? data_dir + "/backups" : backup_dir; }
  Io io = Io::automatic;
  FileIo file_io = FileIo::automatic;
  std::uint32_t memory_mib = 0;  // for pages of maps; 0: half of what the machine or container has
  std::uint64_t memory_bytes() const;
  std::uint32_t publish_ms = 10;     // between publications for readers on the same host; 0: none
  std::uint32_t reader_hold_s = 60;  // how long such a reader may keep a state that was overtaken; 0: as it likes
  Balance balance = Balance::off;
  bool pin = true;
  bool accept_log_loss = false;  // start although the log is damaged, and give up what lies behind the damage
};

enum class Command : std::uint8_t {
  serve,
  healthcheck,
  print_config,
  inspect,
  verify,
  backup,
  restore,
  dump_wal,
  exit
};

struct CommandLine {
  Command command = Command::serve;
  Config config;
  std::string url;                                 // of healthcheck
  std::string ca_file;                             // of healthcheck over https://; empty: whoever answers is believed
  std::string target;                              // of backup: a new folder; of restore: the backup
  std::string since;                               // of backup: an earlier one to build on
  std::string shard, world_filter;                 // of dump-wal: "x,y"; a world's number
  std::uint64_t from = 0, to = ~std::uint64_t{0};  // of dump-wal: LSNs
  bool json = false;                               // of inspect and verify
  int exit_code = 0;                               // of exit: --help, or a flag that is wrong (already explained)
};

// Flags over environment (TERRAZZO_…) over the TOML file of --config over defaults.
CommandLine parse_command_line(int argc, char** argv);
// What the flags cannot say one by one: no authentication only on loopback.
Status validate(const Config& config);
bool is_loopback(const std::string& host);

}  // namespace terrazzo::app
