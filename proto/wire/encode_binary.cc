#include <flatbuffers/flatbuffers.h>

#include <utility>

#include "base/assert.h"
#include "proto/terrazzo_generated.h"
#include "proto/wire/limits.h"
#include "proto/wire/wire.h"

namespace terrazzo::proto {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::Vector;

wire::Rect to_wire(const map::Rect& r) {
  TZ_ASSERT(r.empty() || sane(r));
  return {static_cast<std::int32_t>(r.x0), static_cast<std::int32_t>(r.y0), static_cast<std::uint32_t>(r.width()),
          static_cast<std::uint32_t>(r.height())};
}
wire::ShardMark to_wire(const ShardMark& m) {
  return {m.lsn.value, m.shard.x, m.shard.y};
}

Offset<flatbuffers::String> text(FlatBufferBuilder& b, std::string_view value) {
  return value.empty() ? Offset<flatbuffers::String>() : b.CreateString(value.data(), value.size());
}

Offset<Vector<std::uint32_t>> cells(FlatBufferBuilder& b, std::span<const map::Cell> values) {
  static_assert(sizeof(map::Cell) == sizeof(std::uint32_t));
  if (values.empty()) return {};
  return b.CreateVector(reinterpret_cast<const std::uint32_t*>(values.data()), values.size());
}

Offset<Vector<const wire::ShardMark*>> marks(FlatBufferBuilder& b, std::span<const ShardMark> values) {
  wire::ShardMark* out = nullptr;
  const auto vector = b.CreateUninitializedVectorOfStructs(values.size(), &out);
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = to_wire(values[i]);
  return vector;
}

class Writer {
 public:
  explicit Writer(FlatBufferBuilder& b) : b_(b) {}

  // ---- client to server: each returns the union's type and value ----
  auto body(const Hello& m) {
    Offset<wire::Resume> resume;
    if (m.resume) resume = wire::CreateResume(b_, text(b_, m.resume->session), m.resume->incarnation.value);
    const auto client = text(b_, m.client), token = text(b_, m.token), name = text(b_, m.name);
    return typed(wire::ClientBody::Hello, wire::CreateHello(b_, m.protocol, client, token, name, m.color, resume));
  }
  auto body(const Open& m) { return typed(wire::ClientBody::Open, wire::CreateOpen(b_, text(b_, m.world))); }
  auto body(const Token& m) { return typed(wire::ClientBody::Token, wire::CreateToken(b_, text(b_, m.token))); }
  auto body(const Subscribe& m) {
    const auto layers =
        m.layers.empty() ? Offset<Vector<std::uint8_t>>() : b_.CreateVector(m.layers.data(), m.layers.size());
    Offset<Vector<const wire::KnownChunk*>> known;
    if (!m.known.empty()) {
      wire::KnownChunk* out = nullptr;
      known = b_.CreateUninitializedVectorOfStructs(m.known.size(), &out);
      for (std::size_t i = 0; i < m.known.size(); ++i)
        out[i] = {m.known[i].revision.value, m.known[i].chunk.x, m.known[i].chunk.y, m.known[i].layer};
    }
    const wire::Rect rect = to_wire(m.rect);
    return typed(wire::ClientBody::Subscribe,
                 wire::CreateSubscribe(b_, m.sub, &rect, layers, known, m.incarnation.value));
  }
  auto body(const Unsubscribe& m) { return typed(wire::ClientBody::Unsubscribe, wire::CreateUnsubscribe(b_, m.sub)); }
  auto body(const map::Edit& m) {
    const auto edit_ops = ops(m.ops);
    offsets_conditions_.clear();
    for (const map::Condition& c : m.conditions) {
      const auto expected = cells(b_, c.cells);
      const wire::Rect rect = to_wire(c.rect);
      offsets_conditions_.push_back(wire::CreateCondition(b_, c.layer, &rect, c.cell.bits, expected));
    }
    const auto conditions =
        offsets_conditions_.empty() ? Offset<Vector<Offset<wire::Condition>>>() : b_.CreateVector(offsets_conditions_);
    return typed(wire::ClientBody::Edit,
                 wire::CreateEdit(b_, m.id.value, static_cast<wire::AckMode>(m.ack), edit_ops, conditions));
  }
  auto body(const Presence& m) { return typed(wire::ClientBody::Presence, presence(m)); }
  auto body(const Ping& m) { return typed(wire::ClientBody::Ping, wire::CreatePing(b_, m.t)); }
  auto body(const Follow& m) { return typed(wire::ClientBody::Follow, wire::CreateFollow(b_, m.session.value)); }
  auto body(const Claim& m) {
    const auto layers = bytes(m.layers);
    const wire::Rect rect = to_wire(m.rect);
    return typed(wire::ClientBody::Claim, wire::CreateClaim(b_, m.claim.value, &rect, layers, m.ttl_ms));
  }
  auto body(const Release& m) {
    return typed(wire::ClientBody::Release, wire::CreateRelease(b_, m.claim.value, m.session.value));
  }
  std::pair<wire::ClientBody, Offset<void>> body(const Undo& m) {
    const std::uint64_t id = m.id.value, edit = m.edit.value, author = m.author.value;
    if (m.redo) return typed(wire::ClientBody::Redo, wire::CreateRedo(b_, id, edit, author));
    return typed(wire::ClientBody::Undo, wire::CreateUndo(b_, id, edit, author));
  }
  auto body(const Chat& m) { return typed(wire::ClientBody::Chat, wire::CreateChat(b_, text(b_, m.text))); }
  // Decoders make it, nobody sends it.
  std::pair<wire::ClientBody, Offset<void>> body(const Invalid&) { TZ_ASSERT(false); }

  // ---- server to client ----
  auto body(const Welcome& m) {
    const wire::Limits limits(m.limits.message_bytes_max, m.limits.cells_per_edit_max, m.limits.ops_per_edit_max,
                              m.limits.edits_in_flight_max, m.limits.chunks_per_subscription_max,
                              m.limits.subscriptions_max, m.limits.derived_cells_per_edit_max);
    const auto resume = text(b_, m.resume), user = text(b_, m.user), role = text(b_, m.role);
    return typed(wire::ServerBody::Welcome,
                 wire::CreateWelcome(b_, m.session.value, resume, m.incarnation.value, user, role, &limits, m.resumed));
  }
  auto body(const WorldInfo& m) {
    const auto json = text(b_, m.json), role = text(b_, m.role);
    return typed(wire::ServerBody::World, wire::CreateWorld(b_, json, role));
  }
  auto body(const Expires& m) { return typed(wire::ServerBody::Expires, wire::CreateExpires(b_, m.in_ms)); }
  auto body(const Chunk& m) {
    TZ_ASSERT(m.fill || !m.coded.empty());
    const auto coded = m.fill ? Offset<Vector<std::uint8_t>>()
                              : b_.CreateVector(reinterpret_cast<const std::uint8_t*>(m.coded.data()), m.coded.size());
    const wire::Position at(m.chunk.x, m.chunk.y);
    return typed(wire::ServerBody::Chunk,
                 wire::CreateChunk(b_, m.layer, &at, m.revision.value, m.fill ? m.fill->bits : 0, coded));
  }
  auto body(const Subscribed& m) {
    const auto shards = marks(b_, m.shards);
    return typed(wire::ServerBody::Subscribed, wire::CreateSubscribed(b_, m.sub, shards));
  }
  auto body(const Applied& m) {
    const wire::ShardMark mark(m.lsn.value, m.shard.x, m.shard.y);
    const auto applied_ops = ops(m.ops);
    return typed(wire::ServerBody::Applied, wire::CreateApplied(b_, &mark, m.author.value, m.edit.value, applied_ops));
  }
  auto body(const Ack& m) {
    const auto shards = marks(b_, m.shards);
    Offset<wire::Undone> undone;
    if (const auto& u = m.undone)
      undone = wire::CreateUndone(b_, u->author.value, u->edit.value, u->restored, u->skipped);
    return typed(wire::ServerBody::Ack, wire::CreateAck(b_, m.edit.value, shards, m.durable, undone));
  }
  auto body(const Durable& m) {
    const wire::ShardMark mark(m.lsn.value, m.shard.x, m.shard.y);
    return typed(wire::ServerBody::Durable, wire::CreateDurable(b_, &mark));
  }
  auto body(const Reject& m) {
    const auto message = text(b_, m.message);
    offsets_claims_.clear();
    for (const ClaimOf& conflict : m.conflicts) offsets_claims_.push_back(claim(conflict));
    const auto conflicts =
        offsets_claims_.empty() ? Offset<Vector<Offset<wire::ClaimOf>>>() : b_.CreateVector(offsets_claims_);
    return typed(wire::ServerBody::Reject, wire::CreateReject(b_, m.edit.value, static_cast<std::uint8_t>(m.code),
                                                              message, m.claim.value, conflicts));
  }
  auto body(const ErrorMessage& m) {
    const auto message = text(b_, m.message);
    return typed(wire::ServerBody::Error, wire::CreateError(b_, static_cast<std::uint8_t>(m.code), message, m.sub));
  }
  auto body(const PresenceOf& m) {
    const auto parts = presence(m.presence);
    const auto name = text(b_, m.name);
    return typed(wire::ServerBody::PresenceOf, wire::CreatePresenceOf(b_, m.session.value, name, m.color, parts));
  }
  auto body(const Left& m) { return typed(wire::ServerBody::Left, wire::CreateLeft(b_, m.session.value)); }
  auto body(const ChatOf& m) {
    const auto name = text(b_, m.name), line = text(b_, m.text);
    return typed(wire::ServerBody::ChatOf, wire::CreateChatOf(b_, m.session.value, name, line));
  }
  auto body(const Pong& m) { return typed(wire::ServerBody::Pong, wire::CreatePong(b_, m.t)); }
  auto body(const GoingAway& m) {
    return typed(wire::ServerBody::GoingAway, wire::CreateGoingAway(b_, m.retry_after_ms));
  }
  auto body(const Stale& m) {
    const wire::ShardMark mark(m.lsn.value, m.shard.x, m.shard.y);
    return typed(wire::ServerBody::Stale, wire::CreateStale(b_, &mark));
  }
  auto body(const Refreshed& m) {
    const wire::ShardMark mark(m.lsn.value, m.shard.x, m.shard.y);
    return typed(wire::ServerBody::Refreshed, wire::CreateRefreshed(b_, &mark));
  }
  auto body(const Claimed& m) {
    return typed(wire::ServerBody::Claimed, wire::CreateClaimed(b_, claim(m.of), m.ttl_ms));
  }
  auto body(const Released& m) {
    return typed(wire::ServerBody::Released,
                 wire::CreateReleased(b_, m.session.value, m.claim.value, static_cast<wire::ReleaseReason>(m.reason)));
  }

 private:
  template <class Body, class T>
  std::pair<Body, Offset<void>> typed(Body type, Offset<T> value) {
    return {type, value.Union()};
  }
  Offset<Vector<std::uint8_t>> bytes(std::span<const map::LayerId> layers) {
    return layers.empty() ? Offset<Vector<std::uint8_t>>() : b_.CreateVector(layers.data(), layers.size());
  }
  Offset<wire::ClaimOf> claim(const ClaimOf& m) {
    const auto name = text(b_, m.name);
    const auto layers = bytes(m.layers);
    const wire::Rect rect = to_wire(m.rect);
    return wire::CreateClaimOf(b_, m.session.value, m.claim.value, name, &rect, layers);
  }
  Offset<wire::Presence> presence(const Presence& m) {
    const auto tool = m.tool ? b_.CreateString(m.tool->data(), m.tool->size()) : Offset<flatbuffers::String>();
    const wire::Position cursor(m.cursor ? m.cursor->x : 0, m.cursor ? m.cursor->y : 0);
    const wire::Rect viewport = to_wire(m.viewport.value_or(map::Rect{}));
    const wire::Rect selection = to_wire(m.selection.value_or(map::Rect{}));
    return wire::CreatePresence(b_, m.cursor ? &cursor : nullptr, m.viewport ? &viewport : nullptr,
                                m.selection ? &selection : nullptr, tool);
  }
  Offset<Vector<Offset<wire::Op>>> ops(std::span<const map::Op> values) {
    offsets_ops_.clear();
    for (const map::Op& op : values) {
      if (!map::is_plain(op.kind)) {
        offsets_ops_.push_back(derived(op));
        continue;
      }
      const auto written = cells(b_, op.cells);
      const wire::Rect rect = to_wire(op.rect);
      offsets_ops_.push_back(
          wire::CreateOp(b_, static_cast<wire::OpKind>(op.kind), op.layer, &rect, op.cell.bits, op.from.bits, written));
    }
    return b_.CreateVector(offsets_ops_);
  }

  Offset<wire::Op> derived(const map::Op& op) {
    const auto kind = static_cast<wire::OpKind>(op.kind);
    if (op.kind == map::OpKind::flood) {
      const wire::Rect bounds = to_wire(op.rect);
      const wire::Position from(op.source.x, op.source.y);
      return wire::CreateOp(b_, kind, op.layer, &bounds, op.cell.bits, 0, 0, &from);
    }
    const wire::Rect source = to_wire(map::source_of(op));
    const wire::Position to(static_cast<std::int32_t>(op.rect.x0), static_cast<std::int32_t>(op.rect.y0));
    const auto to_layer = op.layer == op.source_layer ? flatbuffers::Optional<std::uint8_t>(flatbuffers::nullopt)
                                                      : flatbuffers::Optional<std::uint8_t>(op.layer);
    return wire::CreateOp(b_, kind, op.source_layer, &source, 0, 0, 0, &to, to_layer,
                          static_cast<wire::Flip>(op.turn.flip()), static_cast<std::uint8_t>(op.turn.quarters()));
  }

  FlatBufferBuilder& b_;
  std::vector<Offset<wire::Op>> offsets_ops_;
  std::vector<Offset<wire::Condition>> offsets_conditions_;
  std::vector<Offset<wire::ClaimOf>> offsets_claims_;
};

void append_aligned(const FlatBufferBuilder& b, ByteBuffer& out) {
  const auto* bytes = reinterpret_cast<const std::byte*>(b.GetBufferPointer());
  out.resize((out.size() + 7) & ~std::size_t{7});
  out.insert(out.end(), bytes, bytes + b.GetSize());
}

}  // namespace

struct BinaryEncoder::State {
  FlatBufferBuilder builder{1024};
  Writer writer{builder};
};

BinaryEncoder::BinaryEncoder() : state_(new State) {}
BinaryEncoder::~BinaryEncoder() = default;

void BinaryEncoder::append(const ClientMessage& message, ByteBuffer& out) {
  FlatBufferBuilder& b = state_->builder;
  b.Clear();
  const auto [type, value] = std::visit(
      [&](const auto& m) -> std::pair<wire::ClientBody, Offset<void>> { return state_->writer.body(m); }, message);
  b.FinishSizePrefixed(wire::CreateClientMessage(b, type, value));
  append_aligned(b, out);
}

void BinaryEncoder::append(const ServerMessage& message, ByteBuffer& out) {
  FlatBufferBuilder& b = state_->builder;
  b.Clear();
  const auto [type, value] = std::visit(
      [&](const auto& m) -> std::pair<wire::ServerBody, Offset<void>> { return state_->writer.body(m); }, message);
  b.FinishSizePrefixed(wire::CreateServerMessage(b, type, value));
  append_aligned(b, out);
}

}  // namespace terrazzo::proto
