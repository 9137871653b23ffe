#include <flatbuffers/flatbuffers.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "proto/terrazzo_generated.h"
#include "proto/wire/limits.h"
#include "proto/wire/wire.h"

namespace terrazzo::proto {
namespace {

static_assert(std::is_trivially_destructible_v<ClientMessage> && std::is_trivially_destructible_v<ServerMessage>);

constexpr unsigned kDepthMax = 16;

Error malformed(std::string why) {
  return {ErrorCode::bad_message, "binary message: " + std::move(why)};
}

std::string_view text(const flatbuffers::String* s) {
  return s == nullptr ? std::string_view() : std::string_view(s->c_str(), s->size());
}

map::Rect rect_of(const wire::Rect& r) {
  return map::Rect::of_size(r.x(), r.y(), r.w(), r.h());
}

std::span<const map::Cell> cells_of(const flatbuffers::Vector<std::uint32_t>* values) {
  static_assert(FLATBUFFERS_LITTLEENDIAN);
  if (values == nullptr) return {};
  return {reinterpret_cast<const map::Cell*>(values->data()), values->size()};
}

// Turns one verified table into a message, or an Invalid that says what is wrong with it.
class Reader {
 public:
  explicit Reader(Arena& arena) : arena_(arena) {}

  ClientMessage read(const wire::ClientMessage& m) {
    switch (m.body_type()) {
      case wire::ClientBody::Hello:
        return present(m.body_as_Hello());
      case wire::ClientBody::Open:
        return present(m.body_as_Open());
      case wire::ClientBody::Subscribe:
        return present(m.body_as_Subscribe());
      case wire::ClientBody::Unsubscribe:
        return present(m.body_as_Unsubscribe());
      case wire::ClientBody::Edit:
        return present(m.body_as_Edit());
      case wire::ClientBody::Presence:
        return present(m.body_as_Presence());
      case wire::ClientBody::Ping:
        return present(m.body_as_Ping());
      case wire::ClientBody::Follow:
        return present(m.body_as_Follow());
      case wire::ClientBody::Claim:
        return present(m.body_as_Claim());
      case wire::ClientBody::Release:
        return present(m.body_as_Release());
      case wire::ClientBody::Undo:
        return present(m.body_as_Undo());
      case wire::ClientBody::Redo:
        return present(m.body_as_Redo());
      case wire::ClientBody::Chat:
        return present(m.body_as_Chat());
      case wire::ClientBody::Token:
        return present(m.body_as_Token());
      case wire::ClientBody::NONE:
        break;
    }
    return invalid(ErrorCode::unknown_type, "there is no client message of type {}", static_cast<int>(m.body_type()));
  }

  // The server's side; unknown: of a newer server, to be skipped.
  enum class Taken : std::uint8_t { message, unknown, senseless };
  Taken take(const wire::ServerMessage& m, ServerMessage& out) {
    if (m.body_type() > wire::ServerBody::MAX) return Taken::unknown;
    return read(m, out) ? Taken::message : Taken::senseless;
  }

 private:
  bool read(const wire::ServerMessage& m, ServerMessage& out) {
    switch (m.body_type()) {
      case wire::ServerBody::Welcome:
        return take(m.body_as_Welcome(), out);
      case wire::ServerBody::World:
        return take(m.body_as_World(), out);
      case wire::ServerBody::Chunk:
        return take(m.body_as_Chunk(), out);
      case wire::ServerBody::Subscribed:
        return take(m.body_as_Subscribed(), out);
      case wire::ServerBody::Applied:
        return take(m.body_as_Applied(), out);
      case wire::ServerBody::Ack:
        return take(m.body_as_Ack(), out);
      case wire::ServerBody::Durable:
        return take(m.body_as_Durable(), out);
      case wire::ServerBody::Reject:
        return take(m.body_as_Reject(), out);
      case wire::ServerBody::Error:
        return take(m.body_as_Error(), out);
      case wire::ServerBody::PresenceOf:
        return take(m.body_as_PresenceOf(), out);
      case wire::ServerBody::Left:
        return take(m.body_as_Left(), out);
      case wire::ServerBody::Pong:
        return take(m.body_as_Pong(), out);
      case wire::ServerBody::GoingAway:
        return take(m.body_as_GoingAway(), out);
      case wire::ServerBody::Stale:
        return take(m.body_as_Stale(), out);
      case wire::ServerBody::Refreshed:
        return take(m.body_as_Refreshed(), out);
      case wire::ServerBody::Claimed:
        return take(m.body_as_Claimed(), out);
      case wire::ServerBody::Released:
        return take(m.body_as_Released(), out);
      case wire::ServerBody::ChatOf:
        return take(m.body_as_ChatOf(), out);
      case wire::ServerBody::Expires:
        return take(m.body_as_Expires(), out);
      case wire::ServerBody::NONE:
        break;
    }
    return false;
  }

  template <class... Args>
  Invalid invalid(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
    return {code, arena_.copy(std::string_view(fmt::format(format, std::forward<Args>(args)...))), {}, {}};
  }
  template <class T>
  ClientMessage present(const T* m) {
    if (m == nullptr) return invalid(ErrorCode::bad_message, "the message has a type but no content");
    return read(*m);
  }
  bool sane_text(const flatbuffers::String* s) const {
    return s == nullptr || (s->size() <= kTextBytesMax && valid_utf8(text(s)));
  }
  Invalid bad_text(const char* field) {
    return invalid(ErrorCode::bad_message, "{} must be UTF-8 of at most {} bytes", field, kTextBytesMax);
  }
  Invalid bad_rect(const char* what) {
    return invalid(ErrorCode::bad_message,
                   "{} needs a rectangle of at least one cell inside the plane of 32-bit positions", what);
  }

  ClientMessage read(const wire::Hello& m) {
    for (const flatbuffers::String* s : {m.client(), m.token(), m.name(), m.resume() ? m.resume()->session() : nullptr})
      if (!sane_text(s)) return bad_text("every text of hello");
    Hello hello{m.protocol(), text(m.client()), text(m.token()), text(m.name()), m.color() & 0xFFFFFF, {}};
    if (m.resume()) hello.resume = Resume{text(m.resume()->session()), Incarnation{m.resume()->incarnation()}};
    return hello;
  }
  ClientMessage read(const wire::Open& m) {
    if (!sane_text(m.world())) return bad_text("open: world");
    return Open{text(m.world())};
  }
  ClientMessage read(const wire::Token& m) {
    if (!sane_text(m.token())) return bad_text("token");
    return Token{text(m.token())};
  }
  ClientMessage read(const wire::Subscribe& m) {
    const auto refuse = [&](Invalid refused) {
      refused.sub = m.sub();
      return refused;
    };
    if (m.rect() == nullptr || !sane(rect_of(*m.rect()))) return refuse(bad_rect("subscribe"));
    Subscribe out;
    out.sub = m.sub();
    out.rect = rect_of(*m.rect());
    out.incarnation = Incarnation{m.incarnation()};
    if (m.layers()) {
      if (m.layers()->size() > map::kLayersMax)
        return refuse(invalid(ErrorCode::too_large, "subscribe: at most {} layers", map::kLayersMax));
      out.layers = {m.layers()->data(), m.layers()->size()};
    }
    if (m.known()) {
      if (m.known()->size() > kKnownMax)
        return refuse(invalid(ErrorCode::too_large, "subscribe: at most {} known chunks", kKnownMax));
      const std::span<KnownChunk> known = arena_.allocate_array<KnownChunk>(m.known()->size());
      for (std::size_t i = 0; i < known.size(); ++i) {
        const wire::KnownChunk& k = *m.known()->Get(static_cast<flatbuffers::uoffset_t>(i));
        known[i] = {k.layer(), {k.x(), k.y()}, Lsn{k.revision()}};
        if (!sane(known[i].chunk))
          return refuse(invalid(ErrorCode::bad_message,
                                "subscribe: known chunk {} lies at {},{}: chunks lie from {} to {}", i, k.x(), k.y(),
                                -kChunkEdge, kChunkEdge - 1));
      }
      out.known = known;
    }
    return out;
  }
  ClientMessage read(const wire::Unsubscribe& m) { return Unsubscribe{m.sub()}; }
  ClientMessage read(const wire::Ping& m) { return Ping{m.t()}; }
  ClientMessage read(const wire::Follow& m) { return Follow{SessionId{m.session()}}; }
  ClientMessage read(const wire::Claim& m) {
    if (m.rect() == nullptr || !sane(rect_of(*m.rect()))) return bad_rect("claim");
    if (m.layers() && m.layers()->size() > map::kLayersMax)
      return invalid(ErrorCode::too_large, "claim: at most {} layers", map::kLayersMax);
    return Claim{ClaimId{m.claim()}, rect_of(*m.rect()), layers_of(m.layers()), m.ttl_ms()};
  }
  ClientMessage read(const wire::Release& m) { return Release{ClaimId{m.claim()}, SessionId{m.session()}}; }
  ClientMessage read(const wire::Undo& m) {
    return Undo{EditId{m.id()}, false, EditId{m.edit()}, SessionId{m.author()}};
  }
  ClientMessage read(const wire::Redo& m) {
    return Undo{EditId{m.id()}, true, EditId{m.edit()}, SessionId{m.author()}};
  }
  ClientMessage read(const wire::Chat& m) {
    if (m.text() == nullptr || m.text()->size() == 0 || m.text()->size() > kChatBytesMax || !valid_utf8(text(m.text())))
      return invalid(ErrorCode::bad_message, "chat: text must be UTF-8 of 1 to {} bytes", kChatBytesMax);
    return Chat{text(m.text())};
  }
  ClientMessage read(const wire::Presence& m) {
    Presence out;
    if (const char* wrong = take_presence(m, out); wrong != nullptr)
      return invalid(ErrorCode::bad_message, "presence: {}", wrong);
    return out;
  }
  ClientMessage read(const wire::Edit& m) {
    map::Edit edit;
    edit.id = EditId{m.id()};
    const auto refuse = [&](Invalid refused) {
      refused.edit = edit.id;
      return refused;
    };
    if (m.ack() > wire::AckMode::MAX)
      return refuse(invalid(ErrorCode::bad_message, "edit: ack is durable (0) or applied (1)"));
    edit.ack = static_cast<map::AckMode>(m.ack());
    const std::size_t op_count = m.ops() ? m.ops()->size() : 0,
                      condition_count = m.conditions() ? m.conditions()->size() : 0;
    if (op_count > kOpsMax || condition_count > kOpsMax)
      return refuse(invalid(ErrorCode::too_large, "edit: at most {} ops and as many conditions", kOpsMax));
    const std::span<map::Op> ops = arena_.allocate_array<map::Op>(op_count);
    for (std::size_t i = 0; i < op_count; ++i)
      if (const char* wrong = take_op(*m.ops()->Get(static_cast<flatbuffers::uoffset_t>(i)), ops[i]); wrong != nullptr)
        return refuse(invalid(ErrorCode::bad_message, "op {}: {}", i, wrong));
    const std::span<map::Condition> conditions = arena_.allocate_array<map::Condition>(condition_count);
    for (std::size_t i = 0; i < condition_count; ++i)
      if (const char* wrong =
              take_condition(*m.conditions()->Get(static_cast<flatbuffers::uoffset_t>(i)), conditions[i]);
          wrong != nullptr)
        return refuse(invalid(ErrorCode::bad_message, "condition {}: {}", i, wrong));
    edit.ops = ops;
    edit.conditions = conditions;
    return edit;
  }

  const char* take_op(const wire::Op& m, map::Op& op) const {
    if (m.kind() > wire::OpKind::MAX) return "the kind is set (0), fill (1), replace (2), copy (3) or flood (4)";
    if (m.rect() == nullptr || !sane(rect_of(*m.rect())))
      return "it needs a rectangle of at least one cell inside the plane";
    if (m.kind() == wire::OpKind::copy) return take_copy(m, op);
    if (m.kind() == wire::OpKind::flood) return take_flood(m, op);
    op = {static_cast<map::OpKind>(m.kind()),
          m.layer(),
          rect_of(*m.rect()),
          map::Cell{m.cell()},
          map::Cell{m.from()},
          {}};
    if (op.kind != map::OpKind::set)
      return m.cells() == nullptr || m.cells()->size() == 0 ? nullptr : "only set has cells";
    op.cells = cells_of(m.cells());
    return op.cells.size() == op.rect.area() ? nullptr : "set needs exactly one cell per position of its rectangle";
  }
  static const char* take_copy(const wire::Op& m, map::Op& op) {
    if (m.to() == nullptr) return "copy needs `to`, the upper left corner of where it goes";
    if (m.flip() > wire::Flip::MAX) return "flip is none (0), horizontal (1), vertical (2) or both (3)";
    if (m.turns() > 3) return "turns is 0 to 3, quarters clockwise";
    op = map::copy_op(m.layer(), rect_of(*m.rect()), m.to_layer().value_or(m.layer()), {m.to()->x(), m.to()->y()},
                      map::Turn::of(static_cast<map::Flip>(m.flip()), m.turns()));
    return sane(op.rect) ? nullptr : "what is copied must fit into the plane where it goes";
  }
  static const char* take_flood(const wire::Op& m, map::Op& op) {
    if (m.to() == nullptr || !rect_of(*m.rect()).contains(map::CellPos{m.to()->x(), m.to()->y()}))
      return "flood needs `to`, the cell where it begins, in its rectangle";
    op = map::flood_op(m.layer(), {m.to()->x(), m.to()->y()}, map::Cell{m.cell()}, rect_of(*m.rect()));
    return nullptr;
  }
  const char* take_condition(const wire::Condition& m, map::Condition& condition) const {
    if (m.rect() == nullptr || !sane(rect_of(*m.rect())))
      return "it needs a rectangle of at least one cell inside the plane";
    condition = {m.layer(), rect_of(*m.rect()), map::Cell{m.cell()}, cells_of(m.cells())};
    const bool fits = condition.cells.empty() || condition.cells.size() == condition.rect.area();
    return fits ? nullptr : "its cells are none, or exactly one per position of its rectangle";
  }
  const char* take_presence(const wire::Presence& m, Presence& out) const {
    if (m.cursor()) out.cursor = map::CellPos{m.cursor()->x(), m.cursor()->y()};
    for (const auto& [rect, target] :
         {std::pair(m.viewport(), &out.viewport), std::pair(m.selection(), &out.selection)}) {
      if (rect == nullptr) continue;
      const map::Rect value = rect_of(*rect);
      if (!value.empty() && !sane(value)) return "its rectangles lie inside the plane";
      *target = value.empty() ? map::Rect{} : value;
    }
    if (!sane_text(m.tool()) || (m.tool() && m.tool()->size() > kToolBytesMax))
      return "tool must be UTF-8 of at most 64 bytes";
    if (m.tool()) out.tool = text(m.tool());
    return nullptr;
  }

  // A code of a newer server is an internal one to us.
  static ErrorCode code_of(std::uint8_t value) {
    return value < kErrorCodeNames.size() ? static_cast<ErrorCode>(value) : ErrorCode::internal;
  }
  // Texts of a server are bounded by its messages alone.
  static bool sane_texts(std::initializer_list<const flatbuffers::String*> values) {
    return std::ranges::all_of(values, [](const flatbuffers::String* s) { return valid_utf8(text(s)); });
  }
  std::span<const ShardMark> marks_of(const flatbuffers::Vector<const wire::ShardMark*>* values) {
    if (values == nullptr) return {};
    const std::span<ShardMark> out = arena_.allocate_array<ShardMark>(values->size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = mark_of(*values->Get(static_cast<flatbuffers::uoffset_t>(i)));
    return out;
  }
  static ShardMark mark_of(const wire::ShardMark& m) { return {{m.x(), m.y()}, Lsn{m.lsn()}}; }

  static std::span<const map::LayerId> layers_of(const flatbuffers::Vector<std::uint8_t>* values) {
    return values == nullptr ? std::span<const map::LayerId>()
                             : std::span<const map::LayerId>(values->data(), values->size());
  }
  static bool take_claim(const wire::ClaimOf* m, ClaimOf& out) {
    if (m == nullptr || m->rect() == nullptr || !sane(rect_of(*m->rect())) || !sane_texts({m->name()})) return false;
    out = {SessionId{m->session()}, ClaimId{m->claim()}, text(m->name()), rect_of(*m->rect()), layers_of(m->layers())};
    return true;
  }

  static bool sane_marks(const flatbuffers::Vector<const wire::ShardMark*>* values) {
    return values == nullptr || std::all_of(values->begin(), values->end(),
                                            [](const wire::ShardMark* m) { return sane(mark_of(*m).shard); });
  }

  template <class T>
  bool take(const T* m, ServerMessage& out) {
    return m != nullptr && take(*m, out);
  }
  bool take(const wire::Welcome& m, ServerMessage& out) {
    if (!sane_texts({m.resume(), m.user(), m.role()})) return false;
    Limits limits;
    if (const wire::Limits* l = m.limits()) {
      limits = {l->message_bytes_max(),         l->cells_per_edit_max(),          l->ops_per_edit_max(),
                l->edits_in_flight_max(),       l->chunks_per_subscription_max(), l->subscriptions_max(),
                l->derived_cells_per_edit_max()};
    }
    out = Welcome{SessionId{m.session()},
                  text(m.resume()),
                  Incarnation{m.incarnation()},
                  text(m.user()),
                  text(m.role()),
                  limits,
                  m.resumed()};
    return true;
  }
  bool take(const wire::World& m, ServerMessage& out) {
    if (m.json() == nullptr || !sane_texts({m.json(), m.role()})) return false;
    out = WorldInfo{text(m.json()), text(m.role())};
    return true;
  }
  bool take(const wire::Chunk& m, ServerMessage& out) {
    if (m.chunk() == nullptr) return false;
    Chunk chunk{m.layer(), {m.chunk()->x(), m.chunk()->y()}, Lsn{m.revision()}, {}, {}, {}};
    if (!sane(chunk.chunk)) return false;
    if (m.coded()) {
      chunk.coded = {reinterpret_cast<const std::byte*>(m.coded()->data()), m.coded()->size()};
    } else {
      chunk.fill = map::Cell{m.fill()};
    }
    out = chunk;
    return true;
  }
  bool take(const wire::Subscribed& m, ServerMessage& out) {
    if (!sane_marks(m.shards())) return false;
    out = Subscribed{m.sub(), marks_of(m.shards())};
    return true;
  }
  bool take(const wire::Applied& m, ServerMessage& out) {
    if (m.mark() == nullptr || m.ops() == nullptr || !sane(mark_of(*m.mark()).shard)) return false;
    const std::span<map::Op> ops = arena_.allocate_array<map::Op>(m.ops()->size());
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const wire::Op& op = *m.ops()->Get(static_cast<flatbuffers::uoffset_t>(i));
      if (take_op(op, ops[i]) != nullptr || !map::is_plain(ops[i].kind)) return false;
    }
    const ShardMark mark = mark_of(*m.mark());
    out = Applied{mark.shard, mark.lsn, SessionId{m.author()}, EditId{m.edit()}, ops};
    return true;
  }
  bool take(const wire::Ack& m, ServerMessage& out) {
    if (!sane_marks(m.shards())) return false;
    Ack ack{EditId{m.id()}, marks_of(m.shards()), m.durable()};
    if (const wire::Undone* u = m.undone())
      ack.undone = Undone{SessionId{u->author()}, EditId{u->edit()}, u->restored(), u->skipped()};
    out = ack;
    return true;
  }
  bool take(const wire::Durable& m, ServerMessage& out) {
    if (m.mark() == nullptr || !sane(mark_of(*m.mark()).shard)) return false;
    const ShardMark mark = mark_of(*m.mark());
    out = Durable{mark.shard, mark.lsn};
    return true;
  }
  bool take(const wire::Reject& m, ServerMessage& out) {
    if (!sane_texts({m.message()})) return false;
    const std::span<ClaimOf> conflicts = arena_.allocate_array<ClaimOf>(m.conflicts() ? m.conflicts()->size() : 0);
    for (std::size_t i = 0; i < conflicts.size(); ++i)
      if (!take_claim(m.conflicts()->Get(static_cast<flatbuffers::uoffset_t>(i)), conflicts[i])) return false;
    out = Reject{EditId{m.id()}, code_of(m.code()), text(m.message()), ClaimId{m.claim()}, conflicts};
    return true;
  }
  bool take(const wire::Claimed& m, ServerMessage& out) {
    ClaimOf of;
    if (!take_claim(m.of(), of)) return false;
    out = Claimed{of, m.ttl_ms()};
    return true;
  }
  bool take(const wire::Released& m, ServerMessage& out) {
    if (m.reason() > wire::ReleaseReason::MAX) return false;
    out = Released{SessionId{m.session()}, ClaimId{m.claim()}, static_cast<ReleaseReason>(m.reason())};
    return true;
  }
  bool take(const wire::Error& m, ServerMessage& out) {
    if (!sane_texts({m.message()})) return false;
    out = ErrorMessage{code_of(m.code()), text(m.message()), m.sub()};
    return true;
  }
  bool take(const wire::PresenceOf& m, ServerMessage& out) {
    if (!sane_texts({m.name()})) return false;
    PresenceOf presence{SessionId{m.session()}, text(m.name()), m.color(), {}};
    if (m.presence() && take_presence(*m.presence(), presence.presence) != nullptr) return false;
    out = presence;
    return true;
  }
  bool take(const wire::Left& m, ServerMessage& out) {
    out = Left{SessionId{m.session()}};
    return true;
  }
  bool take(const wire::ChatOf& m, ServerMessage& out) {
    if (!sane_texts({m.name(), m.text()})) return false;
    out = ChatOf{SessionId{m.session()}, text(m.name()), text(m.text())};
    return true;
  }
  bool take(const wire::Pong& m, ServerMessage& out) {
    out = Pong{m.t()};
    return true;
  }
  bool take(const wire::GoingAway& m, ServerMessage& out) {
    out = GoingAway{m.retry_after_ms()};
    return true;
  }
  bool take(const wire::Expires& m, ServerMessage& out) {
    out = Expires{m.in_ms()};
    return true;
  }
  bool take(const wire::Stale& m, ServerMessage& out) {
    if (m.mark() == nullptr || !sane(mark_of(*m.mark()).shard)) return false;
    const ShardMark mark = mark_of(*m.mark());
    out = Stale{mark.shard, mark.lsn};
    return true;
  }
  bool take(const wire::Refreshed& m, ServerMessage& out) {
    if (m.mark() == nullptr || !sane(mark_of(*m.mark()).shard)) return false;
    const ShardMark mark = mark_of(*m.mark());
    out = Refreshed{mark.shard, mark.lsn};
    return true;
  }

  Arena& arena_;
};

// The size-prefixed messages of a payload; each starts at a multiple of eight bytes. Looked at before any is decoded.
class Messages {
 public:
  static Result<Messages> in(std::span<const std::byte> bytes) {
    Messages messages(bytes);
    for (std::size_t at = 0; at < bytes.size(); at += step(messages.at(at))) {
      std::uint32_t size = 0;
      if (bytes.size() - at < sizeof size) return malformed("it ends inside a size prefix");
      std::memcpy(&size, bytes.data() + at, sizeof size);
      if (size > bytes.size() - at - sizeof size)
        return malformed(
            fmt::format("its size prefix says {} bytes, {} are there", size, bytes.size() - at - sizeof size));
      if (++messages.count_ > kMessagesMax)
        return malformed(fmt::format("more than {} messages in one payload", kMessagesMax));
    }
    if (messages.count_ == 0) return malformed("it is empty");
    return messages;
  }
  std::size_t count() const { return count_; }
  std::span<const std::byte> next() {
    const std::span<const std::byte> message = at(at_);
    at_ += step(message);
    return message;
  }

 private:
  explicit Messages(std::span<const std::byte> bytes) : bytes_(bytes) {}
  // With its prefix.
  std::span<const std::byte> at(std::size_t offset) const {
    std::uint32_t size = 0;
    std::memcpy(&size, bytes_.data() + offset, sizeof size);
    return bytes_.subspan(offset, sizeof size + size);
  }
  static std::size_t step(std::span<const std::byte> message) { return (message.size() + 7) & ~std::size_t{7}; }

  std::span<const std::byte> bytes_;
  std::size_t count_ = 0, at_ = 0;
};

template <class Table>
const Table* verified(std::span<const std::byte> message) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(message.data()), message.size(), kDepthMax,
                                 kOpsMax * 4);
  if (!verifier.VerifySizePrefixedBuffer<Table>(nullptr)) return nullptr;
  return flatbuffers::GetSizePrefixedRoot<Table>(message.data());
}

}  // namespace

Result<std::span<const ClientMessage>> decode_client_binary(std::span<const std::byte> bytes, Arena& arena) {
  TZ_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 == 0);
  auto parts = Messages::in(bytes);
  if (!parts) return parts.error();
  const std::span<ClientMessage> messages = arena.allocate_array<ClientMessage>(parts->count());
  Reader reader(arena);
  for (std::size_t i = 0; i < parts->count(); ++i) {
    const auto* message = verified<wire::ClientMessage>(parts->next());
    if (message == nullptr)
      return malformed(fmt::format("message {} is not a valid FlatBuffer of proto/terrazzo.fbs", i));
    messages[i] = reader.read(*message);
  }
  return std::span<const ClientMessage>(messages);
}

Result<std::span<const ServerMessage>> decode_server_binary(std::span<const std::byte> bytes, Arena& arena) {
  TZ_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 == 0);
  auto parts = Messages::in(bytes);
  if (!parts) return parts.error();
  const std::span<ServerMessage> messages = arena.allocate_array<ServerMessage>(parts->count());
  std::size_t count = 0;
  Reader reader(arena);
  for (std::size_t i = 0; i < parts->count(); ++i) {
    const auto* message = verified<wire::ServerMessage>(parts->next());
    if (message == nullptr)
      return malformed(fmt::format("message {} is not a valid FlatBuffer of proto/terrazzo.fbs", i));
    const Reader::Taken taken = reader.take(*message, messages[count]);
    if (taken == Reader::Taken::senseless) return malformed(fmt::format("message {} is no message of a server", i));
    if (taken == Reader::Taken::message) ++count;
  }
  return std::span<const ServerMessage>(messages.first(count));
}

}  // namespace terrazzo::proto
