#include "server/app/metrics_page.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>

namespace terrazzo::app {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

// Collects series by name; one series per core.
class Page {
 public:
  template <class Value>
  void add(MetricType type, const char* name, const char* help, const std::vector<CoreSnapshot>& cores, Value&& value) {
    MetricFamily family{name, help, type, {}};
    for (const CoreSnapshot& core : cores) family.metric.push_back(series(type, core.core, value(core)));
    families_.push_back(std::move(family));
  }
  template <class Counts>
  void add_by_code(const char* name, const char* help, const std::vector<CoreSnapshot>& cores, Counts&& counts) {
    MetricFamily family{name, help, MetricType::Counter, {}};
    for (const CoreSnapshot& core : cores) {
      for (std::size_t code = 0; code < kErrorCodeNames.size(); ++code) {
        prometheus::ClientMetric metric = series(MetricType::Counter, core.core, counts(core)[code]);
        metric.label.push_back({"code", std::string(kErrorCodeNames[code])});
        family.metric.push_back(std::move(metric));
      }
    }
    families_.push_back(std::move(family));
  }
  // `unit`: what one of the recorded values is in the unit of the name.
  template <class Values>
  void add_histogram(const char* name, const char* help, double unit, const std::vector<CoreSnapshot>& cores,
                     Values&& values) {
    MetricFamily family{name, help, MetricType::Histogram, {}};
    for (const CoreSnapshot& core : cores) {
      const runtime::Histogram& histogram = values(core);
      prometheus::ClientMetric metric;
      metric.label.push_back({"core", std::to_string(core.core)});
      std::uint64_t so_far = 0;
      for (std::size_t bucket = 0; bucket < runtime::Histogram::kBuckets; ++bucket) {
        so_far += histogram.count(bucket);
        metric.histogram.bucket.push_back({so_far, static_cast<double>(histogram.bound(bucket)) * unit});
      }
      metric.histogram.sample_count = histogram.total();
      metric.histogram.sample_sum = static_cast<double>(histogram.sum()) * unit;
      metric.histogram.bucket.push_back({histogram.total(), std::numeric_limits<double>::infinity()});
      family.metric.push_back(std::move(metric));
    }
    families_.push_back(std::move(family));
  }
  void add_node(const char* name, const char* help, MetricType type, std::uint64_t value) {
    MetricFamily family{name, help, type, {}};
    prometheus::ClientMetric metric;
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
    family.metric.push_back(metric);
    families_.push_back(std::move(family));
  }
  // Of the node, one series for each name.
  template <class Names, class Counts>
  void add_by_name(const char* name, const char* help, const char* label, const Names& names, const Counts& counts) {
    MetricFamily family{name, help, MetricType::Counter, {}};
    for (std::size_t i = 0; i < names.size(); ++i) {
      prometheus::ClientMetric metric;
      metric.label.push_back({label, std::string(names[i])});
      metric.counter.value = static_cast<double>(counts[i]);
      family.metric.push_back(std::move(metric));
    }
    families_.push_back(std::move(family));
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  static prometheus::ClientMetric series(MetricType type, unsigned core, std::uint64_t value) {
    prometheus::ClientMetric metric;
    metric.label.push_back({"core", std::to_string(core)});
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
    return metric;
  }
  std::vector<MetricFamily> families_;
};

using Core = const CoreSnapshot&;
constexpr double kNs = 1e-9;

void add_network(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(MetricType::Gauge, "terrazzo_connections", "Open connections.", cores,
           [](Core c) { return c.network.open; });
  page.add(counter, "terrazzo_accepted_total", "Connections accepted.", cores,
           [](Core c) { return c.network.accepted; });
  page.add(
      MetricType::Gauge, "terrazzo_newcomers_waiting",
      "New connections that wait so that those which are in are served: for their welcome or their first messages.",
      cores, [](Core c) { return c.network.newcomers_waiting; });
  page.add(counter, "terrazzo_newcomer_waits_total", "Receives of new connections that waited for a later tick.", cores,
           [](Core c) { return c.network.newcomer_waits; });
  page.add(counter, "terrazzo_messages_received_total", "WebSocket messages received.", cores,
           [](Core c) { return c.network.messages_in; });
  page.add(counter, "terrazzo_received_bytes_total", "Bytes received.", cores,
           [](Core c) { return c.network.bytes_in; });
  page.add(counter, "terrazzo_messages_sent_total", "WebSocket frames queued for sending.", cores,
           [](Core c) { return c.network.messages_out; });
  page.add(counter, "terrazzo_sent_bytes_total", "Bytes sent.", cores, [](Core c) { return c.network.bytes_out; });
  page.add(counter, "terrazzo_sends_total", "Gather writes made.", cores, [](Core c) { return c.network.sends; });
  page.add(counter, "terrazzo_http_requests_total", "HTTP requests.", cores,
           [](Core c) { return c.network.http_requests; });
  page.add(counter, "terrazzo_protocol_errors_total", "Connections closed for malformed frames or HTTP.", cores,
           [](Core c) { return c.network.protocol_errors; });
  page.add(counter, "terrazzo_timeouts_total", "Connections given up because they were too slow or silent.", cores,
           [](Core c) { return c.network.timeouts; });
  page.add(counter, "terrazzo_compressions_total", "Frames compressed, once for all who get them.", cores,
           [](Core c) { return c.network.compressions; });
  page.add(counter, "terrazzo_compressed_again_total", "Large frames that were found compressed.", cores,
           [](Core c) { return c.network.compressed_again; });
  page.add(counter, "terrazzo_compressed_from_bytes_total", "Bytes of those frames before.", cores,
           [](Core c) { return c.network.compressed_from_bytes; });
  page.add(counter, "terrazzo_compressed_to_bytes_total", "Bytes of those frames after.", cores,
           [](Core c) { return c.network.compressed_to_bytes; });
  page.add(counter, "terrazzo_expanded_messages_total", "Compressed messages received.", cores,
           [](Core c) { return c.network.expanded_messages; });
  page.add(counter, "terrazzo_expanded_bytes_total", "Bytes that they became.", cores,
           [](Core c) { return c.network.expanded_bytes; });
  page.add(MetricType::Gauge, "terrazzo_expansions_waiting",
           "Connections whose next message is compressed and waits for its turn.", cores,
           [](Core c) { return c.network.expansions_waiting; });
  page.add(MetricType::Gauge, "terrazzo_unfinished_bytes",
           "Memory of messages whose end has not come, or that wait to be expanded.", cores,
           [](Core c) { return c.network.unfinished_bytes; });
  page.add(counter, "terrazzo_unfinished_refused_total",
           "Connections closed because they held the most of that memory for the longest.", cores,
           [](Core c) { return c.network.unfinished_refused; });
  page.add(MetricType::Gauge, "terrazzo_outbox_bytes",
           "Bytes queued for clients that have not taken them; a frame counts for each of its receivers.", cores,
           [](Core c) { return c.network.outbox_bytes; });
  page.add(counter, "terrazzo_overloads_total", "Connections closed because they did not read.", cores,
           [](Core c) { return c.network.overloads; });
}

void add_identity(Page& page, const std::vector<CoreSnapshot>& cores, const NodeSnapshot& node) {
  constexpr auto counter = MetricType::Counter;
  page.add_by_name("terrazzo_tokens_refused_total", "Tokens that were not taken.", "reason", identity::kRefusalNames,
                   node.tokens_refused);
  page.add(counter, "terrazzo_tokens_renewed_total", "Newer tokens that sessions brought.", cores,
           [](Core c) { return c.sessions.tokens_renewed; });
  page.add(counter, "terrazzo_tokens_ended_total", "Connections closed because their token expired.", cores,
           [](Core c) { return c.sessions.tokens_ended; });
  page.add(counter, "terrazzo_origins_refused_total", "Requests of pages whose origin is not allowed.", cores,
           [](Core c) { return c.network.origins_refused; });
  if (!node.keys) return;
  page.add_node("terrazzo_token_keys", "Keys that tokens are proven with.", MetricType::Gauge, node.keys->count);
  page.add_node("terrazzo_token_keys_loaded_total", "How often they were read.", counter, node.keys->loads);
  page.add_node("terrazzo_token_key_failures_total", "How often new ones did not do.", counter, node.keys->failures);
}

void add_tls(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(counter, "terrazzo_tls_handshakes_total", "TLS handshakes done.", cores,
           [](Core c) { return c.network.tls_handshakes; });
  page.add(counter, "terrazzo_tls_resumed_total", "TLS handshakes that resumed a session.", cores,
           [](Core c) { return c.network.tls_resumed; });
  page.add(counter, "terrazzo_tls_failures_total", "Connections that TLS could not go on with.", cores,
           [](Core c) { return c.network.tls_failures; });
}

void add_sessions(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(MetricType::Gauge, "terrazzo_sessions", "Sessions.", cores, [](Core c) { return c.session_count; });
  page.add(MetricType::Gauge, "terrazzo_watched_chunks", "Chunks that sessions of the core watch.", cores,
           [](Core c) { return c.watched_chunks; });
  page.add(MetricType::Gauge, "terrazzo_slow_sessions", "Sessions that read too slowly to get every edit.", cores,
           [](Core c) { return c.slow_connections; });
  page.add(MetricType::Gauge, "terrazzo_stale_shards", "Shards that are stale for a session, counted for each.", cores,
           [](Core c) { return c.stale_shards; });
  page.add(counter, "terrazzo_conflations_total", "How often a session became too slow.", cores,
           [](Core c) { return c.sessions.conflations; });
  page.add(counter, "terrazzo_shards_stale_total", "How often a shard became stale for a session.", cores,
           [](Core c) { return c.sessions.shards_stale; });
  page.add(counter, "terrazzo_edits_left_out_total", "Edits left out for slow sessions.", cores,
           [](Core c) { return c.sessions.edits_left_out; });
  page.add(counter, "terrazzo_chunks_refreshed_total", "Chunk states sent to slow sessions instead.", cores,
           [](Core c) { return c.sessions.chunks_refreshed; });
  page.add(counter, "terrazzo_edits_received_total", "Edits received.", cores, [](Core c) { return c.sessions.edits; });
  page.add(counter, "terrazzo_acks_total", "Edits acknowledged.", cores, [](Core c) { return c.sessions.acks; });
  page.add_by_code(
      "terrazzo_rejects_total", "Edits rejected, by code.", cores,
      [](Core c) -> auto& { return c.sessions.rejects_by_code; });
  page.add_by_code(
      "terrazzo_errors_total", "Messages answered with error, by code.", cores,
      [](Core c) -> auto& { return c.sessions.errors_by_code; });
  page.add(counter, "terrazzo_claims_asked_total", "Claims and renewals as clients asked for them.", cores,
           [](Core c) { return c.sessions.claims; });
  page.add_by_code(
      "terrazzo_claim_rejects_total", "Claims rejected, by code.", cores,
      [](Core c) -> auto& { return c.sessions.claim_rejects_by_code; });
  page.add(MetricType::Gauge, "terrazzo_claims", "Claims held, of the worlds that the core coordinates.", cores,
           [](Core c) { return c.claims; });
  page.add(counter, "terrazzo_claims_made_total", "Claims that came into force.", cores,
           [](Core c) { return c.claim_counters.made; });
  page.add(counter, "terrazzo_claims_renewed_total", "Claims that were made longer.", cores,
           [](Core c) { return c.claim_counters.renewed; });
  page.add(counter, "terrazzo_claims_expired_total", "Claims whose time was over.", cores,
           [](Core c) { return c.claim_counters.expired; });
  page.add(counter, "terrazzo_claims_left_total", "Claims whose session did not come back.", cores,
           [](Core c) { return c.claim_counters.left; });
  page.add(counter, "terrazzo_claims_broken_total", "Claims ended by an owner.", cores,
           [](Core c) { return c.claim_counters.broken; });
  page.add(counter, "terrazzo_chats_total", "Lines of chat that were said.", cores,
           [](Core c) { return c.sessions.chats; });
  page.add(counter, "terrazzo_chat_deliveries_total", "Lines of chat queued for somebody, counted for each.", cores,
           [](Core c) { return c.sessions.chat_deliveries; });
  page.add(counter, "terrazzo_chats_left_out_total", "Lines of chat that somebody missed who does not keep up.", cores,
           [](Core c) { return c.sessions.chats_left_out; });
  page.add(counter, "terrazzo_presences_received_total", "Presence as clients said it.", cores,
           [](Core c) { return c.sessions.presences; });
  page.add(counter, "terrazzo_presence_notes_total", "Presence that went out to the cores; the rest was replaced.",
           cores, [](Core c) { return c.sessions.presence_notes; });
  page.add(counter, "terrazzo_presence_deliveries_total", "Presence queued for somebody, counted for each.", cores,
           [](Core c) { return c.sessions.presence_deliveries; });
  page.add(counter, "terrazzo_presence_encodings_total", "Presence encoded, once for several who get it.", cores,
           [](Core c) { return c.presence_encodings; });
  page.add(counter, "terrazzo_presence_put_off_total", "Presence that waits because somebody does not keep up.", cores,
           [](Core c) { return c.sessions.presence_put_off; });
  page.add(counter, "terrazzo_deliveries_total", "Edits queued for viewers, counted for each.", cores,
           [](Core c) { return c.sessions.deliveries; });
}

void add_shards(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(MetricType::Gauge, "terrazzo_shards", "Shards open.", cores, [](Core c) { return c.shards; });
  page.add(MetricType::Gauge, "terrazzo_shard_pages", "Pages of 4096 bytes in the open shards' files.", cores,
           [](Core c) { return c.shard_pages; });
  page.add(counter, "terrazzo_edits_applied_total", "Edits applied to shards.", cores,
           [](Core c) { return c.shard.edits; });
  page.add(counter, "terrazzo_duplicates_total", "Edits sent again and recognised.", cores,
           [](Core c) { return c.shard.duplicates; });
  page.add(counter, "terrazzo_publications_total", "Edits published to cores with viewers.", cores,
           [](Core c) { return c.shard.publications; });
  page.add(counter, "terrazzo_encodings_total", "Encodings of published edits.", cores,
           [](Core c) { return c.shard.encodings; });
  page.add(counter, "terrazzo_chunks_sent_total", "Chunk states sent to subscribers.", cores,
           [](Core c) { return c.shard.chunks_sent; });
  page.add(counter, "terrazzo_encoded_chunk_hits_total", "Chunk states sent without encoding them again.", cores,
           [](Core c) { return c.encoded.hits; });
  page.add(counter, "terrazzo_encoded_chunk_misses_total", "Chunk states that had to be encoded.", cores,
           [](Core c) { return c.encoded.misses; });
  page.add(counter, "terrazzo_encoded_chunks_evicted_total", "Encoded chunk states that made room for others.", cores,
           [](Core c) { return c.encoded.evicted; });
  page.add(MetricType::Gauge, "terrazzo_encoded_chunk_bytes", "Memory of the encoded chunk states that are kept.",
           cores, [](Core c) { return c.encoded_bytes; });
  page.add(counter, "terrazzo_refreshes_total", "Shards asked for the states that slow sessions lack.", cores,
           [](Core c) { return c.shard.refreshes; });
  page.add(counter, "terrazzo_checkpoints_total", "Checkpoints of shards that became durable.", cores,
           [](Core c) { return c.checkpoints; });
  page.add(counter, "terrazzo_reader_evictions_total",
           "Views of programs on this host that were closed because they kept old pages for too long.", cores,
           [](Core c) { return c.reader_evictions; });
}

void add_residency(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(MetricType::Gauge, "terrazzo_resident_pages", "Pages of shards that are in memory, as far as is known.",
           cores, [](Core c) { return c.residency.resident_pages; });
  page.add(counter, "terrazzo_pages_brought_total", "Cold pages read and proven by workers.", cores,
           [](Core c) { return c.residency.brought_pages; });
  page.add(counter, "terrazzo_pages_damaged_total", "Cold pages that were not what they must be.", cores,
           [](Core c) { return c.residency.damaged_pages; });
  page.add(counter, "terrazzo_pages_released_total", "Pages let go to keep the memory budget.", cores,
           [](Core c) { return c.residency.released_pages; });
  page.add(counter, "terrazzo_pages_prepared_total", "Pages made writable for edits to come, on other threads.", cores,
           [](Core c) { return c.residency.prepared_pages; });
  page.add(counter, "terrazzo_shards_opened_total", "Shards opened while the server ran.", cores,
           [](Core c) { return c.residency.opened_shards; });
  page.add(counter, "terrazzo_page_waits_total", "Messages that waited for a shard's file or cold pages.", cores,
           [](Core c) { return c.residency.waits; });
  page.add(counter, "terrazzo_page_wait_nanoseconds_total", "Time shards had messages waiting for that.", cores,
           [](Core c) { return c.residency.wait_ns; });
  page.add(counter, "terrazzo_major_faults_total", "Page faults for which the core itself waited for the disk.", cores,
           [](Core c) { return c.residency.major_faults; });
  page.add(counter, "terrazzo_minor_faults_total", "Page faults of the core that needed no disk.", cores,
           [](Core c) { return c.residency.minor_faults; });
}

void add_log(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(counter, "terrazzo_log_records_total", "Records appended to the write-ahead log.", cores,
           [](Core c) { return c.log.records; });
  page.add(counter, "terrazzo_log_groups_total", "Groups of records written and synced.", cores,
           [](Core c) { return c.log.groups; });
  page.add(counter, "terrazzo_log_bytes_total", "Bytes written to the log.", cores, [](Core c) { return c.log.bytes; });
  page.add(counter, "terrazzo_log_sync_nanoseconds_total", "Time groups took to become durable.", cores,
           [](Core c) { return c.log.sync_ns; });
  page.add(counter, "terrazzo_log_failures_total", "Groups that could not be written; the core is read-only then.",
           cores, [](Core c) { return c.log.failures; });
  page.add_histogram(
      "terrazzo_log_group_records", "Records in a group that is written and synced.", 1, cores,
      [](Core c) -> auto& { return c.log.group_records; });
  page.add_histogram(
      "terrazzo_log_group_bytes", "Bytes of such a group.", 1, cores,
      [](Core c) -> auto& { return c.log.group_bytes; });
  page.add_histogram(
      "terrazzo_log_group_seconds", "Time from handing a group to the disk until it is durable.", kNs, cores,
      [](Core c) -> auto& { return c.log.group_ns; });
}

void add_ticks(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto counter = MetricType::Counter;
  page.add(counter, "terrazzo_ticks_total", "Rounds of the core's loop.", cores, [](Core c) { return c.ticks.ticks; });
  page.add(counter, "terrazzo_busy_nanoseconds_total", "Time in which the core did not wait.", cores,
           [](Core c) { return c.ticks.busy_ns.sum(); });
  page.add(counter, "terrazzo_shards_taken_total", "Shards that came from another core.", cores,
           [](Core c) { return c.shards_taken; });
  page.add(counter, "terrazzo_shards_given_total", "Shards that went to another core.", cores,
           [](Core c) { return c.shards_given; });
  page.add(counter, "terrazzo_shard_parked_nanoseconds_total",
           "Time in which messages waited for shards on their way to the core.", cores,
           [](Core c) { return c.parked_ns; });
  page.add(counter, "terrazzo_loop_system_calls_total", "System calls of the core's event loop.", cores,
           [](Core c) { return c.system_calls; });
  page.add_histogram(
      "terrazzo_tick_seconds", "Time a round took, without the wait for something to do.", kNs, cores,
      [](Core c) -> auto& { return c.ticks.busy_ns; });
  page.add_histogram(
      "terrazzo_tick_system_calls", "System calls of the event loop in a round.", 1, cores,
      [](Core c) -> auto& { return c.ticks.system_calls; });
  page.add_histogram(
      "terrazzo_mesh_messages", "Messages found in the core's rings in a round.", 1, cores,
      [](Core c) -> auto& { return c.ticks.mesh_messages; });
  page.add(counter, "terrazzo_mesh_overflows_total", "Messages of the core that found the ring to another core full.",
           cores, [](Core c) { return c.mesh_overflows; });
}

void add_queues(Page& page, const std::vector<CoreSnapshot>& cores) {
  constexpr auto gauge = MetricType::Gauge;
  page.add(gauge, "terrazzo_mesh_backlog", "Messages that wait for room in a ring, on the sender's side.", cores,
           [](Core c) { return c.queues.mesh_backlog; });
  page.add(gauge, "terrazzo_edits_in_flight", "Edits of the core's sessions that wait for their answer.", cores,
           [](Core c) { return c.queues.edits_in_flight; });
  page.add(gauge, "terrazzo_edits_waiting_for_log", "Edits applied to the core's shards that are not durable yet.",
           cores, [](Core c) { return c.queues.edits_waiting_for_log; });
  page.add(gauge, "terrazzo_log_pending_bytes", "Bytes of records that wait for the next group.", cores,
           [](Core c) { return c.queues.log_pending_bytes; });
  page.add(gauge, "terrazzo_lobby_messages", "Messages that wait for a shard's file or cold pages.", cores,
           [](Core c) { return c.queues.lobby_messages; });
  page.add(gauge, "terrazzo_derivations_waiting", "Copies and floods over shards whose cells are being read.", cores,
           [](Core c) { return c.queues.derivations; });
  page.add(gauge, "terrazzo_parked_edits", "Parts of decided edits that wait for space on the disk.", cores,
           [](Core c) { return c.queues.parked_edits; });
}

}  // namespace

std::string metrics_page(const std::vector<CoreSnapshot>& cores, const NodeSnapshot& node) {
  Page page;
  page.add_node("terrazzo_incarnation", "How often a server has run on this data directory.", MetricType::Gauge,
                node.incarnation);
  page.add_node("terrazzo_history_bytes",
                "Disk space of sealed log segments, as of the last look: at the start, at each sealing, and hourly.",
                MetricType::Gauge, node.history_bytes);
  page.add_node("terrazzo_history_files",
                "Sealed log segments, as of the last look: at the start, at each sealing, and hourly.",
                MetricType::Gauge, node.history_files);
  page.add_node("terrazzo_history_sealed_total", "Log segments sealed.", MetricType::Counter, node.history_sealed);
  page.add_node("terrazzo_history_dropped_total", "Sealed log segments dropped for age or space.", MetricType::Counter,
                node.history_dropped);
  page.add_node("terrazzo_history_failures_total", "Log segments that could not be sealed.", MetricType::Counter,
                node.history_failures);
  page.add_node("terrazzo_worker_jobs", "Jobs that wait for a thread: assets, backups, sealing.", MetricType::Gauge,
                node.worker_jobs);
  page.add_node("terrazzo_page_worker_jobs", "Jobs that wait for a thread: opening shards, reading cold pages.",
                MetricType::Gauge, node.page_worker_jobs);
  add_identity(page, cores, node);
  if (node.tls) {
    page.add_node("terrazzo_tls_certificate_expires_seconds", "When the server's certificate expires, since 1970.",
                  MetricType::Gauge, static_cast<std::uint64_t>(node.tls->expires_s));
    page.add_node("terrazzo_tls_certificates_loaded_total", "How often a certificate was loaded.", MetricType::Counter,
                  node.tls->loads);
    page.add_node("terrazzo_tls_certificate_failures_total", "How often a new certificate did not do.",
                  MetricType::Counter, node.tls->failures);
    add_tls(page, cores);
  }
  add_network(page, cores);
  add_sessions(page, cores);
  add_shards(page, cores);
  add_residency(page, cores);
  add_log(page, cores);
  add_ticks(page, cores);
  add_queues(page, cores);
  return page.text();
}

}  // namespace terrazzo::app
