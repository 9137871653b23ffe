#include "server/app/config.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <map>

#include "server/io/memory_size.h"
#include "server/net/origin_rules.h"

namespace terrazzo::app {
namespace {

Status parse_listen(const std::string& text, Config& config) {
  const std::size_t colon = text.rfind(':');
  const Error wrong{ErrorCode::bad_message,
                    "--listen \"" + text + "\": expected HOST:PORT, for example 127.0.0.1:8080 or [::1]:0"};
  if (colon == std::string::npos || colon + 1 == text.size()) return wrong;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  unsigned long port = 0;
  for (const char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9') return wrong;
    port = port * 10 + static_cast<unsigned long>(c - '0');
    if (port > 65535) return wrong;
  }
  config.host = host;
  config.port = static_cast<std::uint16_t>(port);
  return {};
}

void add_choices(CLI::App& app, Config& config) {
  const std::map<std::string, AuthMode> modes{{"none", AuthMode::none}, {"token", AuthMode::token}};
  app.add_option("--auth", config.auth, "none (loopback only: everybody is an owner) or token")
      ->transform(CLI::CheckedTransformer(modes, CLI::ignore_case))
      ->default_str("token");
  const std::map<std::string, Io> ios{{"auto", Io::automatic}, {"ring", Io::ring}, {"epoll", Io::epoll}};
  app.add_option("--io", config.io,
                 "what carries sockets: ring (io_uring), epoll (more CPU per message), or auto: ring where it is there")
      ->transform(CLI::CheckedTransformer(ios, CLI::ignore_case))
      ->default_str("auto");
  const std::map<std::string, FileIo> file_ios{
      {"auto", FileIo::automatic}, {"ring", FileIo::ring}, {"threads", FileIo::threads}};
  app.add_option("--file-io", config.file_io,
                 "who writes and syncs files: ring (io_uring), threads (where io_uring must not touch files), or auto: "
                 "ring where sockets are on it and it works")
      ->transform(CLI::CheckedTransformer(file_ios, CLI::ignore_case))
      ->default_str("auto");
}

void add_balance(CLI::App& app, Config& config) {
  const std::map<std::string, Balance> choices{{"off", Balance::off}, {"on", Balance::on}};
  app.add_option(
         "--balance", config.balance,
         "on: shards of a core that is busy for seconds go to the idlest one; off: only terrazzo move moves them")
      ->transform(CLI::CheckedTransformer(choices, CLI::ignore_case))
      ->default_str("off");
}

CLI::App* add_directory_command(CLI::App& app, CommandLine& line, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("dir", line.config.data_dir, "the data folder")->envname("TERRAZZO_DATA")->capture_default_str();
  command->add_flag("--json", line.json, "for programs");
  return command;
}

void add_limits(CLI::App& app, Config& config) {
  app.add_option("--message-bytes-max", config.message_bytes_max, "largest message a client may send")
      ->check(CLI::Range(1024u, 64u << 20))
      ->capture_default_str();
  app.add_option("--unfinished-mib", config.unfinished_mib,
                 "memory of each core for messages whose end has not come; beyond it who has held the most for the "
                 "longest is closed")
      ->check(CLI::Range(1u, 65536u))
      ->capture_default_str();
  app.add_option("--conflate-bytes", config.conflate_bytes,
                 "a client for which more waits gets the newest states later instead of every edit now")
      ->check(CLI::Range(4096u, 1u << 30))
      ->capture_default_str();
  app.add_option("--send-buffer-kib", config.send_buffer_kib,
                 "most that the kernel holds for one connection: also the most that is under way to a distant client, "
                 "so 256 allow 2.5 MB/s at 100 ms. 0: as the system does, megabytes for each client that stops reading")
      ->check(CLI::Range(0u, 65536u))
      ->capture_default_str();
  app.add_option("--presence-per-second", config.presence_per_second,
                 "how often a session's cursor and selection go out at most; the newest counts")
      ->check(CLI::Range(1u, 1000u))
      ->capture_default_str();
  app.add_option("--chunk-cache-mib", config.chunk_cache_mib,
                 "encoded chunk states each core keeps, so that a crowd costs one encoding; 0: none")
      ->check(CLI::Range(0u, 65536u))
      ->capture_default_str();
  app.add_option("--outbox-bytes-max", config.outbox_bytes_max,
                 "most bytes kept for a client that does not read the answers to its own messages")
      ->check(CLI::Range(65536u, 1u << 30))
      ->capture_default_str();
  app.add_option("--connections-max", config.connections_max, "connections per core")
      ->check(CLI::Range(1u, 1000000u))
      ->capture_default_str();
}

void add_rates(CLI::App& app, Config& config) {
  const auto add = [&](const char* flag, std::uint32_t& value, const char* help) {
    app.add_option(flag, value, help)->capture_default_str();
  };
  add("--edits-per-second", config.edits_per_second,
      "edits that a connection may send, a second's worth at once; more are rejected. 0: no limit");
  add("--cells-per-second", config.cells_per_second, "cells that its edits may write; 0: no limit");
  add("--user-edits-per-second", config.user_edits_per_second,
      "edits of a user, over all connections with tokens of his name; 0: no limit");
  add("--user-cells-per-second", config.user_cells_per_second, "cells that these may write; 0: no limit");
  add("--claims-per-second", config.claims_per_second, "claims and releases of a connection; 0: no limit");
  add("--chats-per-second", config.chats_per_second, "lines of chat of a connection; 0: no limit");
  const auto at_least_one = [&](const char* flag, std::uint32_t& value, std::uint32_t most, const char* help) {
    app.add_option(flag, value, help)->check(CLI::Range(1u, most))->capture_default_str();
  };
  at_least_one("--derived-cells-per-edit-max", config.derived_cells_per_edit_max, 1u << 24,
               "cells that the copies of an edit read, and the bounds of its floods, together");
  at_least_one("--subscriptions-max", config.subscriptions_max, 4096, "subscriptions of a connection");
  at_least_one("--chunks-per-subscription-max", config.chunks_per_subscription_max, 16384,
               "chunks of 32×32 cells, times layers, that one subscription shows");
  at_least_one("--subscribed-chunks-max", config.subscribed_chunks_max, 1u << 26,
               "likewise, all subscriptions of a connection together");
}

void add_claims(CLI::App& app, Config& config) {
  app.add_option("--claims-per-user", config.claims_per_user,
                 "areas that a user may keep for himself at a time, in each world; 0: nobody can")
      ->check(CLI::Range(0u, 4096u))
      ->capture_default_str();
  app.add_option("--claim-cells-max", config.claim_cells_max, "cells of all these areas together")
      ->check(CLI::Range(1u, 1u << 31))
      ->capture_default_str();
  app.add_option("--claim-ttl-max-s", config.claim_ttl_max_s,
                 "how long such an area is kept without being asked for again, at most")
      ->check(CLI::Range(1u, 7u * 24 * 3600))
      ->capture_default_str();
  app.add_option("--claim-grace-ms", config.claim_grace_ms,
                 "how long such areas outlive the connection of their session, for it to come back")
      ->check(CLI::Range(0u, 24u * 3600 * 1000))
      ->capture_default_str();
}

void add_identity(CLI::App& app, Config& config) {
  app.add_option("--token-keys", config.token_keys,
                 "what tokens are proven with: files or folders with public keys (PEM, JWKS: RS256, EdDSA) or secrets "
                 "(HS256), commas between them. Read again on SIGHUP and when they change; default DATA/token.secret, "
                 "made at the first start")
      ->delimiter(',');
  app.add_option("--token-issuer", config.token_issuer, "only tokens whose `iss` is this");
  app.add_option("--token-audience", config.token_audiences,
                 "this server's names in `aud`, commas between them; without one, tokens that have `aud` are refused")
      ->delimiter(',');
  app.add_option("--token-leeway-s", config.token_leeway_s, "by how many seconds clocks may differ")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  app.add_option("--allow-origin", config.allow_origins,
                 "origins whose pages may use this server from a browser besides its own, as https://HOST[:PORT], "
                 "commas between them; *: those of everybody")
      ->delimiter(',');
}

void add_patience(CLI::App& app, Config& config) {
  const auto add = [&](const char* flag, std::uint32_t& value, const char* help) {
    app.add_option(flag, value, help)->check(CLI::Range(100u, 24u * 3600 * 1000))->capture_default_str();
  };
  app.add_option("--http-header-bytes-max", config.http_header_bytes_max, "largest header of a request")
      ->check(CLI::Range(1024u, 1u << 20))
      ->capture_default_str();
  app.add_option("--http-body-mib-max", config.http_body_mib_max, "largest body of a request")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  add("--handshake-timeout-ms", config.handshake_timeout_ms, "for TLS and the header of a request; then 408");
  add("--keep-alive-ms", config.keep_alive_ms, "how long an HTTP connection is kept without a request");
  add("--ping-interval-ms", config.ping_interval_ms,
      "of silence on a WebSocket before the client is asked for a sign of life");
  add("--silence-max-ms", config.silence_max_ms, "of silence on a WebSocket after which it counts as lost");
}

void add_flags(CLI::App& app, Config& config, std::string& listen) {
  app.add_option("--data", config.data_dir, "folder of worlds and logs; made if missing")->capture_default_str();
  app.add_option("--listen", listen, "HOST:PORT; port 0 picks a free one, printed as the first line")
      ->capture_default_str();
  app.add_option("--cores", config.cores, "threads, each pinned to a CPU; 0: all there are")->capture_default_str();
  add_choices(app, config);
  add_balance(app, config);
  add_identity(app, config);
  app.add_option(
      "--tls-cert", config.tls_cert,
      "PEM file with the server's certificate and those between it and the root: https:// and wss:// instead "
      "of http:// and ws://. Read again on SIGHUP and when it changes");
  app.add_option("--tls-key", config.tls_key, "PEM file with the certificate's key, without a passphrase");
  app.add_option("--backup-dir", config.backup_dir, "folder that backups go to; default DATA/backups");
  app.add_option("--log-level", config.log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}))
      ->capture_default_str();
  add_limits(app, config);
  add_rates(app, config);
  add_claims(app, config);
  add_patience(app, config);
  app.add_option("--segment-mib", config.segment_mib, "size of a write-ahead log segment")->capture_default_str();
  app.add_option("--history-mib", config.history_mib,
                 "disk space for sealed log segments, the oldest go first; 0: keep none")
      ->capture_default_str();
  app.add_option("--history-days", config.history_days, "how long sealed log segments are kept")->capture_default_str();
  app.add_option("--memory-mib", config.memory_mib,
                 "memory for parts of maps that nobody is using; 0: half of what the machine or container has")
      ->capture_default_str();
  app.add_option("--publish-ms", config.publish_ms,
                 "how often programs on this host that read shard files see news; 0: never")
      ->check(CLI::Range(0u, 60000u))
      ->capture_default_str();
  app.add_option("--reader-hold-s", config.reader_hold_s,
                 "for how many seconds such a program may go on looking at a state that is not the newest any more, "
                 "which keeps its pages on disk; then its view is closed, and it is told. 0: as long as it likes")
      ->check(CLI::Range(0u, 7u * 24 * 3600))
      ->capture_default_str();
  // On the command line only: who accepts a loss has just read what it is.
  app.add_flag("--accept-log-loss", config.accept_log_loss,
               "start although the write-ahead log is damaged, and give up the edits behind the damage (the damaged "
               "segments are kept as *.wal.damaged); open shards that lack their newest root as of the one before")
      ->configurable(false);
  app.add_flag("--compression,!--no-compression", config.compression,
               "compress JSON messages (permessage-deflate) for clients that wish it (default: on)");
  app.add_flag("--pin,!--no-pin", config.pin, "pin each core's thread to its CPU (default: on)");
}

// --chunk-cache-mib is TERRAZZO_CHUNK_CACHE_MIB, too, and so is every other flag but one: giving up edits is said each
// time.
void add_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option == app.get_help_ptr() || option->check_lname("accept-log-loss")) continue;
    std::string name = "TERRAZZO_" + option->get_lnames().front();
    for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    option->envname(name);
  }
}

void add_commands(CLI::App& app, CommandLine& line) {
  CLI::App* health =
      app.add_subcommand("healthcheck", "ask a running server's /healthz; exit code 0 when it answers ok");
  health->add_option("--url", line.url,
                     "of the server; http://127.0.0.1:8080, or https:// there with a --tls-cert, if not given");
  health
      ->add_option("--ca", line.ca_file,
                   "PEM file of whom to trust over https://; without it the certificate is not looked at")
      ->envname("TERRAZZO_CA");
  app.add_subcommand("print-config", "print the configuration in force as TOML, and stop");
  add_directory_command(app, line, "inspect",
                        "what is in a data folder: worlds, shards, pages, versions, log; of a running server, too");
  add_directory_command(app, line, "verify",
                        "prove a data folder whose server does not run: every page by its checksum, every page in one "
                        "place, log, images; or a backup, with those it builds on. "
                        "Exit code 0: all proven; 1: damage, each named; 2: it could not be looked at");
  CLI::App* dump = add_directory_command(app, line, "dump-wal",
                                         "print the write-ahead log and its sealed history, a record a line; of a "
                                         "running server, too. Exit code 1: the log "
                                         "is damaged");
  dump->add_option("--world", line.world_filter, "only this world, by number");
  dump->add_option("--shard", line.shard, "only this shard: X,Y");
  dump->add_option("--from", line.from, "first LSN");
  dump->add_option("--to", line.to, "last LSN");
  CLI::App* backup = app.add_subcommand(
      "backup",
      "copy all of a data folder whose server does not run into a new folder, compressed and with hashes. Of a "
      "running server: terrazzo backup NAME --server URL");
  backup->add_option("dir", line.config.data_dir, "the data folder")->required();
  backup->add_option("target", line.target, "the new folder")->required();
  backup->add_option("--since", line.since,
                     "folder of an earlier backup beside the new one: only what changed since is written, and the new "
                     "one needs it");
  CLI::App* restore =
      app.add_subcommand("restore", "make a data folder out of a backup, every byte proven, then start a server on it");
  restore->add_option("backup", line.target, "the backup's folder")->required();
  restore->add_option("dir", line.config.data_dir, "the new data folder")->required();
  app.require_subcommand(0, 1);
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

Status validate(const Config& config) {
  if (config.auth == AuthMode::none && !is_loopback(config.host)) {
    return Error{
        ErrorCode::forbidden,
        "--auth none listens on loopback only, and " + config.host +
            " is not: use --auth token (tokens come from `terrazzo token --data DIR`), or --listen 127.0.0.1:PORT"};
  }
  if (const auto origins = net::OriginRules::allowing(config.allow_origins); !origins) return origins.error();
  if (config.tls_cert.empty() != config.tls_key.empty())
    return Error{ErrorCode::bad_message, "--tls-cert and --tls-key go together: give both, or neither for no TLS"};
  if (config.io == Io::epoll && config.file_io == FileIo::ring) {
    return Error{ErrorCode::bad_message,
                 "--file-io ring goes with --io ring or auto: with --io epoll there is no ring; leave --file-io out"};
  }
  if (config.cores > 64)
    return Error{ErrorCode::too_large, "--cores: at most 64, since interest is a mask of 64 cores"};
  if (config.conflate_bytes > config.outbox_bytes_max) {
    return Error{ErrorCode::out_of_bounds,
                 "--conflate-bytes: at most --outbox-bytes-max, beyond which a client is closed"};
  }
  // A vector that grows takes up to twice of what is in it.
  if (std::uint64_t{config.unfinished_mib} << 20 < 2 * std::uint64_t{config.message_bytes_max}) {
    return Error{ErrorCode::out_of_bounds,
                 "--unfinished-mib: at least twice --message-bytes-max, or the largest message never comes to its end"};
  }
  if (config.ping_interval_ms >= config.silence_max_ms) {
    return Error{ErrorCode::out_of_bounds,
                 "--ping-interval-ms: less than --silence-max-ms, or nobody is asked before being given up"};
  }
  if (config.segment_mib < 1 || config.segment_mib > 1024) {
    return Error{ErrorCode::out_of_bounds, "--segment-mib: 1 to 1024"};
  }
  return {};
}

std::uint64_t Config::memory_bytes() const {
  return memory_mib != 0 ? std::uint64_t{memory_mib} << 20 : io::usable_memory_bytes() / 2;
}

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  Config& config = line.config;
  CLI::App app{
      "terrazzo-server: serves collaborative tile maps over WebSockets.\n\n"
      "Try:  terrazzo-server --data ./data --listen 127.0.0.1:8080 --auth none\n"
      "then: terrazzo worlds --server http://127.0.0.1:8080\n"};
  app.name("terrazzo-server");
  std::string listen = "127.0.0.1:8080";
  add_flags(app, config, listen);
  add_variables(app);
  app.set_config("--config", "", "TOML file with the long flag names as keys, e.g. listen = \"127.0.0.1:8080\"");
  add_commands(app, line);
  try {
    app.parse(argc, argv);
    if (const Status status = parse_listen(listen, config); !status) throw CLI::ValidationError(status.error().message);
    // An empty variable, or what print-config writes for none.
    for (auto* list : {&config.token_keys, &config.token_audiences, &config.allow_origins})
      std::erase(*list, std::string());
  } catch (const CLI::ParseError& error) {
    line.command = Command::exit;
    line.exit_code = app.exit(error);
    return line;
  }
  const std::map<std::string, Command> commands{
      {"healthcheck", Command::healthcheck}, {"print-config", Command::print_config},
      {"inspect", Command::inspect},         {"verify", Command::verify},
      {"backup", Command::backup},           {"restore", Command::restore},
      {"dump-wal", Command::dump_wal}};
  if (!app.get_subcommands().empty()) line.command = commands.at(app.get_subcommands().front()->get_name());
  if (line.url.empty()) line.url = config.tls_cert.empty() ? "http://127.0.0.1:8080" : "https://127.0.0.1:8080";
  if (line.command == Command::print_config) std::fputs(app.config_to_str(true, false).c_str(), stdout);
  return line;
}

}  // namespace terrazzo::app
