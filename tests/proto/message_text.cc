#include "tests/proto/message_text.h"

#include <fmt/format.h>

#include <array>

#include "map/chunk_codec.h"

namespace terrazzo::proto {
namespace {

class Text {
 public:
  std::string take() { return std::move(out_); }

  void of(const Hello& m) {
    put("hello {} [{}] [{}] [{}] {}", m.protocol, m.client, m.token, m.name, m.color);
    if (m.resume) put(" resume [{}] {}", m.resume->session, m.resume->incarnation.value);
  }
  void of(const Open& m) { put("open [{}]", m.world); }
  void of(const Subscribe& m) {
    put("subscribe {}", m.sub);
    rect(m.rect);
    put(" incarnation {} layers", m.incarnation.value);
    for (const map::LayerId layer : m.layers) put(" {}", layer);
    for (const KnownChunk& k : m.known) put(" known {} {},{} {}", k.layer, k.chunk.x, k.chunk.y, k.revision.value);
  }
  void of(const Unsubscribe& m) { put("unsubscribe {}", m.sub); }
  void of(const map::Edit& m) {
    put("edit {} {}", m.id.value, m.ack == map::AckMode::durable ? "durable" : "applied");
    ops(m.ops);
    for (const map::Condition& c : m.conditions) {
      put(" if {}", c.layer);
      rect(c.rect);
      put(" cell {}", c.cell.bits);
      cells(c.cells);
    }
  }
  void of(const Presence& m) {
    put("presence");
    if (m.cursor) put(" cursor {},{}", m.cursor->x, m.cursor->y);
    if (m.viewport) put(" viewport"), rect(*m.viewport);
    if (m.selection) put(" selection"), rect(*m.selection);
    if (m.tool) put(" tool [{}]", *m.tool);
  }
  void of(const Token& m) { put("token [{}]", m.token); }
  void of(const Follow& m) { put("follow {}", m.session.value); }
  void of(const Claim& m) {
    put("claim {} {}", m.claim.value, m.ttl_ms);
    area(m.rect, m.layers);
  }
  void of(const Release& m) { put("release {} {}", m.claim.value, m.session.value); }
  void of(const Undo& m) {
    put("{} {} edit {} author {}", m.redo ? "redo" : "undo", m.id.value, m.edit.value, m.author.value);
  }
  void of(const Ping& m) { put("ping {}", m.t); }
  void of(const Invalid& m) {
    put("invalid {} [{}]", error_code_name(m.code), m.message);
    if (m.edit) put(" edit {}", m.edit->value);
    if (m.sub) put(" sub {}", *m.sub);
  }

  void of(const Welcome& m) {
    const Limits& l = m.limits;
    put("welcome {} [{}] {} [{}] [{}] {} limits {} {} {} {} {} {} {}", m.session.value, m.resume, m.incarnation.value,
        m.user, m.role, m.resumed, l.message_bytes_max, l.cells_per_edit_max, l.ops_per_edit_max, l.edits_in_flight_max,
        l.chunks_per_subscription_max, l.subscriptions_max, l.derived_cells_per_edit_max);
  }
  void of(const WorldInfo& m) { put("world {} [{}]", m.json, m.role); }
  void of(const Chunk& m) {
    put("chunk {} {},{} {}", m.layer, m.chunk.x, m.chunk.y, m.revision.value);
    if (m.fill) return put(" fill {}", m.fill->bits);
    if (m.coded.empty()) return cells(m.cells);
    std::array<map::Cell, map::kChunkCells> unpacked{};
    put("{}", map::decode_chunk(m.coded, unpacked) ? "" : " undecodable");
    cells(unpacked);
  }
  void of(const Subscribed& m) {
    put("subscribed {}", m.sub);
    marks(m.shards);
  }
  void of(const Applied& m) {
    put("applied {},{} {} {} {}", m.shard.x, m.shard.y, m.lsn.value, m.author.value, m.edit.value);
    ops(m.ops);
  }
  void of(const Ack& m) {
    put("ack {} {}", m.edit.value, m.durable);
    marks(m.shards);
    if (const auto& u = m.undone)
      put(" undone {} {} restored {} skipped {}", u->author.value, u->edit.value, u->restored, u->skipped);
  }
  void of(const Durable& m) { put("durable {},{} {}", m.shard.x, m.shard.y, m.lsn.value); }
  void of(const Reject& m) {
    put("reject {} {} {} [{}]", m.edit.value, m.claim.value, error_code_name(m.code), m.message);
    for (const ClaimOf& conflict : m.conflicts) of(conflict);
  }
  void of(const Claimed& m) {
    put("claimed {}", m.ttl_ms);
    of(m.of);
  }
  void of(const Released& m) {
    put("released {} {} {}", m.session.value, m.claim.value, static_cast<unsigned>(m.reason));
  }
  void of(const ErrorMessage& m) {
    put("error {} [{}]", error_code_name(m.code), m.message);
    if (m.sub) put(" of {}", *m.sub);
  }
  void of(const PresenceOf& m) {
    put("of {} [{}] {} ", m.session.value, m.name, m.color);
    of(m.presence);
  }
  void of(const Chat& m) { put("chat [{}]", m.text); }
  void of(const ChatOf& m) { put("chat of {} [{}] [{}]", m.session.value, m.name, m.text); }
  void of(const Left& m) { put("left {}", m.session.value); }
  void of(const Pong& m) { put("pong {}", m.t); }
  void of(const GoingAway& m) { put("going_away {}", m.retry_after_ms); }
  void of(const Expires& m) { put("expires {}", m.in_ms ? std::to_string(*m.in_ms) : "never"); }
  void of(const Stale& m) { put("stale {},{} {}", m.shard.x, m.shard.y, m.lsn.value); }
  void of(const Refreshed& m) { put("refreshed {},{} {}", m.shard.x, m.shard.y, m.lsn.value); }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }
  void rect(const map::Rect& r) { put(" {},{}..{},{}", r.x0, r.y0, r.x1, r.y1); }
  void area(const map::Rect& r, std::span<const map::LayerId> layers) {
    rect(r);
    put(" layers");
    for (const map::LayerId layer : layers) put(" {}", layer);
  }
  void of(const ClaimOf& m) {
    put(" of {} {} [{}]", m.session.value, m.claim.value, m.name);
    area(m.rect, m.layers);
  }
  void cells(std::span<const map::Cell> values) {
    put(" {} cells", values.size());
    for (const map::Cell c : values) put(" {}", c.bits);
  }
  void marks(std::span<const ShardMark> values) {
    for (const ShardMark& m : values) put(" mark {},{} {}", m.shard.x, m.shard.y, m.lsn.value);
  }
  void ops(std::span<const map::Op> values) {
    for (const map::Op& op : values) {
      put(" op {} {}", static_cast<int>(op.kind), op.layer);
      rect(op.rect);
      put(" cell {} from {}", op.cell.bits, op.from.bits);
      if (!map::is_plain(op.kind))
        put(" source {} {},{} turn {} {} {}", op.source_layer, op.source.x, op.source.y, op.turn.horizontal,
            op.turn.vertical, op.turn.diagonal);
      cells(op.cells);
    }
  }

  std::string out_;
};

template <class Message>
std::string text(const Message& message) {
  Text out;
  std::visit([&](const auto& m) { out.of(m); }, message);
  return out.take();
}

}  // namespace

std::string text_of(const ClientMessage& message) {
  return text(message);
}
std::string text_of(const ServerMessage& message) {
  return text(message);
}

}  // namespace terrazzo::proto
