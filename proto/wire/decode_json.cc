#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "proto/wire/json_fields.h"
#include "proto/wire/limits.h"
#include "proto/wire/wire.h"

namespace terrazzo::proto {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t kDepthMax = 64;
constexpr std::int64_t kLayerMax = 255;
constexpr std::size_t kAnyBytes =
    std::numeric_limits<std::size_t>::max();  // texts of a server: its messages bound them

// Visits {"op": …} objects in the array `name`; false: something in it was wrong (kept in
// `fields`).
template <class Visit>
bool each_object(JsonFields& fields, const char* name, Visit&& visit) {
  const auto value = fields.find(name);
  if (!value) return true;
  simdjson::dom::array values;
  if (value->get(values) != simdjson::SUCCESS || values.size() > kOpsMax) {
    fields.fail(name, fmt::format("an array of at most {} objects", kOpsMax));
    return false;
  }
  std::size_t i = 0;
  for (const element e : values) {
    object o;
    if (e.get(o) != simdjson::SUCCESS) {
      fields.fail(fmt::format("{}[{}]", name, i), "an object");
      return false;
    }
    if (!visit(i++, o)) return false;
  }
  return true;
}

std::size_t size_of(const JsonFields& fields, const char* name) {
  const auto value = fields.find(name);
  simdjson::dom::array values;
  return value && value->get(values) == simdjson::SUCCESS ? std::min(values.size(), kOpsMax) : 0;
}

class Reader {
 public:
  explicit Reader(Arena& arena) : arena_(arena) {}

  ClientMessage client(object o) {
    JsonFields fields(o, "message", arena_);
    const std::string_view type = fields.text("type", true);
    if (!fields.ok()) return invalid(ErrorCode::bad_message, fields.wrong());
    if (type == "hello") return hello(o);
    if (type == "open") return open(o);
    if (type == "token") return token(o);
    if (type == "subscribe") return subscribe(o);
    if (type == "unsubscribe") return unsubscribe(o);
    if (type == "follow") return follow(o);
    if (type == "edit") return edit(o);
    if (type == "undo" || type == "redo") return undo(o, type == "redo");
    if (type == "presence") return presence_message(o);
    if (type == "chat") return chat(o);
    if (type == "ping") return ping(o);
    if (type == "claim") return claim(o);
    if (type == "release") return release(o);
    return invalid(ErrorCode::unknown_type,
                   fmt::format("there is no message \"{}\"; clients send hello, token, open, subscribe, "
                               "unsubscribe, edit, undo, redo, presence, follow, chat, claim, release and ping",
                               type.substr(0, 64)));
  }

  // Unknown: of a newer server, to be skipped.
  enum class Taken : std::uint8_t { message, unknown, senseless };
  Taken server(object o, ServerMessage& out) {
    JsonFields fields(o, "message", arena_);
    const std::string_view type = fields.text("type", true);
    if (type == "welcome") {
      out = welcome(fields);
    } else if (type == "world") {
      const auto world = fields.find("world");
      if (!world || !world->is_object()) return Taken::senseless;
      out = WorldInfo{arena_.copy(std::string_view(simdjson::minify(*world))), fields.text("role", false)};
    } else if (type == "chunk") {
      out = chunk(fields);
    } else if (type == "subscribed") {
      out = Subscribed{fields.number32("sub", std::nullopt), marks(fields)};
    } else if (type == "applied") {
      const map::ShardPos shard = shard_of(fields);
      const Lsn lsn{fields.big("lsn", std::nullopt)};
      const SessionId author{fields.big("author", std::nullopt)};
      const EditId id{fields.big("edit", std::nullopt)};
      const std::span<const map::Op> done = ops(fields);
      if (!std::ranges::all_of(done, [](const map::Op& op) { return map::is_plain(op.kind); }))
        fields.fail("ops", "set, fill and replace");
      out = Applied{shard, lsn, author, id, done};
    } else if (type == "ack") {
      out = ack(fields);
    } else if (type == "durable") {
      out = Durable{shard_of(fields), Lsn{fields.big("lsn", std::nullopt)}};
    } else if (type == "reject") {
      out = reject(fields);
    } else if (type == "claimed") {
      const ClaimOf of = claim_of(fields);
      out = Claimed{of, fields.number32("ttl_ms", 0)};
    } else if (type == "released") {
      const SessionId session{fields.big("session", std::nullopt)};
      const ClaimId claim{fields.number32("claim", std::nullopt)};
      out = Released{session, claim, reason(fields)};
    } else if (type == "error") {
      ErrorMessage error{code(fields), fields.text("message", false, kAnyBytes), {}};
      if (fields.has("sub")) error.sub = fields.number32("sub", std::nullopt);
      out = error;
    } else if (type == "presence") {
      out = PresenceOf{SessionId{fields.big("session", std::nullopt)}, fields.text("name", false),
                       fields.color("color"), presence(fields)};
    } else if (type == "left") {
      out = Left{SessionId{fields.big("session", std::nullopt)}};
    } else if (type == "chat") {
      const SessionId session{fields.big("session", std::nullopt)};
      const std::string_view name = fields.text("name", false, kAnyBytes);
      out = ChatOf{session, name, fields.text("text", true, kAnyBytes)};
    } else if (type == "pong") {
      out = Pong{fields.big("t", 0)};
    } else if (type == "going_away") {
      out = GoingAway{fields.number32("retry_after_ms", 0)};
    } else if (type == "expires") {
      Expires expires;
      if (fields.has("in_ms")) expires.in_ms = fields.big("in_ms", std::nullopt);
      out = expires;
    } else if (type == "stale") {
      out = Stale{shard_of(fields), Lsn{fields.big("lsn", std::nullopt)}};
    } else if (type == "refreshed") {
      out = Refreshed{shard_of(fields), Lsn{fields.big("lsn", std::nullopt)}};
    } else {
      return fields.ok() ? Taken::unknown : Taken::senseless;
    }
    return fields.ok() ? Taken::message : Taken::senseless;
  }

 private:
  Invalid invalid(ErrorCode code, std::string_view message, std::optional<EditId> edit = {}) {
    return {code, arena_.copy(message), edit, {}};
  }
  template <class Message>
  ClientMessage checked(const JsonFields& fields, const Message& message) {
    if (!fields.ok()) return invalid(ErrorCode::bad_message, fields.wrong());
    return message;
  }

  ClientMessage hello(object o) {
    JsonFields f(o, "hello", arena_);
    Hello m;
    m.protocol = f.number32("protocol", kProtocolVersion);
    m.client = f.text("client", false);
    m.token = f.text("token", false);
    m.name = f.text("name", false);
    m.color = f.color("color");
    if (const auto resume = f.find("resume")) {
      object r;
      if (resume->get(r) != simdjson::SUCCESS) {
        f.fail("resume", "{\"session\": …, \"incarnation\": …}");
      } else {
        JsonFields inner(r, "hello.resume", arena_);
        m.resume = Resume{inner.text("session", true), Incarnation{inner.big("incarnation", 0)}};
        if (!inner.ok()) return invalid(ErrorCode::bad_message, inner.wrong());
      }
    }
    return checked(f, m);
  }
  ClientMessage open(object o) {
    JsonFields f(o, "open", arena_);
    return checked(f, Open{f.text("world", true)});
  }
  ClientMessage token(object o) {
    JsonFields f(o, "token", arena_);
    return checked(f, Token{f.text("token", false)});
  }
  ClientMessage subscribe(object o) {
    JsonFields f(o, "subscribe", arena_);
    Subscribe m;
    m.sub = f.number32("sub", std::nullopt);
    const bool named = f.ok();
    m.rect = f.rect("rect", false);
    m.incarnation = Incarnation{f.big("incarnation", 0)};
    m.layers = layers(f);
    m.known = known(f);
    if (f.ok()) return m;
    Invalid refused = invalid(ErrorCode::bad_message, f.wrong());
    if (named) refused.sub = m.sub;
    return refused;
  }
  std::span<const map::LayerId> layers(JsonFields& f) {
    const auto value = f.find("layers");
    if (!value) return {};
    simdjson::dom::array values;
    std::vector<map::LayerId> out;
    bool good = value->get(values) == simdjson::SUCCESS && values.size() <= map::kLayersMax;
    if (good) {
      for (const element e : values) {
        std::int64_t layer = -1;
        good = good && e.get(layer) == simdjson::SUCCESS && layer >= 0 && layer <= kLayerMax;
        out.push_back(static_cast<map::LayerId>(layer & 0xFF));
      }
    }
    if (!good) f.fail("layers", "an array of layer ids, 0 to 255");
    return arena_.copy(std::span<const map::LayerId>(out));
  }
  std::span<const KnownChunk> known(JsonFields& f) {
    const std::span<const std::int64_t> rows = f.rows("known", 4, kKnownMax);
    const std::span<KnownChunk> out = arena_.allocate_array<KnownChunk>(rows.size() / 4);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::int64_t *row = rows.data() + i * 4, layer = row[0], x = row[1], y = row[2], revision = row[3];
      if (layer < 0 || layer > kLayerMax || x < -kChunkEdge || x >= kChunkEdge || y < -kChunkEdge || y >= kChunkEdge)
        f.fail("known", "rows of [layer, chunk x, chunk y, revision]");
      out[i] = {static_cast<map::LayerId>(layer & 0xFF),
                {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)},
                Lsn{static_cast<std::uint64_t>(revision)}};
    }
    return out;
  }
  ClientMessage unsubscribe(object o) {
    JsonFields f(o, "unsubscribe", arena_);
    return checked(f, Unsubscribe{f.number32("sub", std::nullopt)});
  }
  ClientMessage follow(object o) {
    JsonFields f(o, "follow", arena_);
    return checked(f, Follow{SessionId{f.big("session", std::nullopt)}});
  }
  ClientMessage claim(object o) {
    JsonFields f(o, "claim", arena_);
    Claim m;
    m.claim = ClaimId{f.number32("claim", std::nullopt)};
    m.rect = f.rect("rect", false);
    m.layers = layers(f);
    m.ttl_ms = f.number32("ttl_ms", 0);
    return checked(f, m);
  }
  ClientMessage release(object o) {
    JsonFields f(o, "release", arena_);
    return checked(f, Release{ClaimId{f.number32("claim", std::nullopt)}, SessionId{f.big("session", 0)}});
  }
  ClientMessage ping(object o) {
    JsonFields f(o, "ping", arena_);
    return checked(f, Ping{f.big("t", 0)});
  }
  ClientMessage presence_message(object o) {
    JsonFields f(o, "presence", arena_);
    return checked(f, presence(f));
  }
  Presence presence(JsonFields& f) {
    Presence m;
    m.cursor = f.position("cursor");
    m.viewport = f.optional_rect("viewport");
    m.selection = f.optional_rect("selection");
    if (f.has("tool")) m.tool = f.text("tool", true, kToolBytesMax);
    return m;
  }
  ClientMessage chat(object o) {
    JsonFields f(o, "chat", arena_);
    const std::string_view line = f.text("text", true, kChatBytesMax);
    if (f.ok() && line.empty()) f.fail("text", fmt::format("1 to {} bytes", kChatBytesMax));
    return checked(f, Chat{line});
  }

  ClientMessage edit(object o) {
    JsonFields f(o, "edit", arena_);
    map::Edit m;
    m.id = EditId{f.big("id", std::nullopt)};
    if (!f.ok()) return invalid(ErrorCode::bad_message, f.wrong());
    const std::string_view ack = f.text("ack", false);
    if (!ack.empty() && ack != "durable" && ack != "applied") f.fail("ack", "\"durable\" or \"applied\"");
    m.ack = ack == "applied" ? map::AckMode::applied : map::AckMode::durable;
    m.ops = ops(f);
    m.conditions = conditions(f);
    if (!f.ok()) return invalid(ErrorCode::bad_message, f.wrong(), m.id);
    return m;
  }
  ClientMessage undo(object o, bool redo) {
    JsonFields f(o, redo ? "redo" : "undo", arena_);
    const EditId id{f.big("id", std::nullopt)};
    if (!f.ok()) return invalid(ErrorCode::bad_message, f.wrong());
    const Undo m{id, redo, EditId{f.big("edit", 0)}, SessionId{f.big("author", 0)}};
    if (!f.ok()) return invalid(ErrorCode::bad_message, f.wrong(), id);
    return m;
  }
  std::span<const map::Op> ops(JsonFields& f) {
    const std::span<map::Op> out = arena_.allocate_array<map::Op>(size_of(f, "ops"));
    const bool good = each_object(f, "ops", [&](std::size_t i, object o) {
      const std::string where = fmt::format("op {}", i);
      JsonFields inner(o, where, arena_);
      if (i < out.size()) out[i] = op(inner);
      if (!inner.ok()) f.adopt(inner);
      return inner.ok();
    });
    return good ? std::span<const map::Op>(out) : std::span<const map::Op>();
  }
  map::Op op(JsonFields& f) {
    map::Op m;
    const std::string_view kind = f.text("op", true);
    m.layer = static_cast<map::LayerId>(f.integer("layer", 0, kLayerMax, std::nullopt));
    if (kind == "flood") return flood(f, m.layer);
    m.rect = f.rect("rect", true);
    if (kind == "set") {
      m.kind = map::OpKind::set;
      m.cells = f.cells("cells");
      if (f.ok() && m.cells.size() != m.rect.area())
        f.fail("cells", fmt::format("{} numbers, one per position of the rectangle, row by row", m.rect.area()));
    } else if (kind == "fill") {
      m.kind = map::OpKind::fill;
      m.cell = f.cell("cell");
    } else if (kind == "replace") {
      m.kind = map::OpKind::replace;
      m.from = f.cell("from");
      m.cell = f.cell("to");
    } else if (kind == "copy") {
      return copy(f, m);
    } else {
      f.fail("op", "\"set\", \"fill\", \"replace\", \"copy\" or \"flood\"");
    }
    return m;
  }
  static map::Op copy(JsonFields& f, const map::Op& source) {
    constexpr std::string_view kFlips[] = {"none", "horizontal", "vertical", "both"};
    const auto to = f.position("to");
    if (!to) f.fail("to", "[x,y], the upper left corner of where it goes");
    const auto layer = static_cast<map::LayerId>(f.integer("to_layer", 0, kLayerMax, source.layer));
    const auto quarters = static_cast<unsigned>(f.integer("turns", 0, 3, 0));
    const std::string_view name = f.has("flip") ? f.text("flip", true) : kFlips[0];
    const auto flip = static_cast<std::size_t>(std::ranges::find(kFlips, name) - std::begin(kFlips));
    if (flip == std::size(kFlips)) f.fail("flip", "\"none\", \"horizontal\", \"vertical\" or \"both\"");
    if (!f.ok()) return source;
    const map::Op op =
        map::copy_op(source.layer, source.rect, layer, *to, map::Turn::of(static_cast<map::Flip>(flip), quarters));
    if (!sane(op.rect)) f.fail("to", "a place where all that is copied fits into the plane");
    return op;
  }
  static map::Op flood(JsonFields& f, map::LayerId layer) {
    constexpr std::int64_t kFirst = map::kPlane.x0, kLast = map::kPlane.x1 - 1;
    const map::CellPos from{static_cast<std::int32_t>(f.integer("x", kFirst, kLast, std::nullopt)),
                            static_cast<std::int32_t>(f.integer("y", kFirst, kLast, std::nullopt))};
    const map::Cell cell = f.cell("cell");
    const map::Op op = map::flood_op(layer, from, cell, f.rect("bounds", false));
    if (f.ok() && !op.rect.contains(from)) f.fail("bounds", "a rectangle that holds x,y");
    return op;
  }
  std::span<const map::Condition> conditions(JsonFields& f) {
    const std::span<map::Condition> out = arena_.allocate_array<map::Condition>(size_of(f, "if"));
    const bool good = each_object(f, "if", [&](std::size_t i, object o) {
      const std::string where = fmt::format("condition {}", i);
      JsonFields inner(o, where, arena_);
      map::Condition c;
      c.layer = static_cast<map::LayerId>(inner.integer("layer", 0, kLayerMax, std::nullopt));
      c.rect = inner.rect("rect", true);
      if (inner.has("cells")) {
        c.cells = inner.cells("cells");
        if (inner.ok() && c.cells.size() != c.rect.area())
          inner.fail("cells", fmt::format("{} numbers, one per position of the rectangle, row by row", c.rect.area()));
      } else {
        c.cell = inner.cell("cell");
      }
      if (i < out.size()) out[i] = c;
      if (!inner.ok()) f.adopt(inner);
      return inner.ok();
    });
    return good ? std::span<const map::Condition>(out) : std::span<const map::Condition>();
  }

  Ack ack(JsonFields& f) {
    Ack m{EditId{f.big("id", std::nullopt)}, marks(f), f.boolean("durable", false)};
    object o;
    if (const auto value = f.find("undone"); value && value->get(o) == simdjson::SUCCESS) {
      JsonFields u(o, "undone", arena_);
      m.undone = Undone{SessionId{u.big("author", std::nullopt)}, EditId{u.big("edit", std::nullopt)},
                        u.big("restored", 0), u.big("skipped", 0)};
      f.adopt(u);
    }
    return m;
  }
  Welcome welcome(JsonFields& f) {
    Welcome m;
    m.session = SessionId{f.big("session", std::nullopt)};
    m.resume = f.text("resume", false);
    m.incarnation = Incarnation{f.big("incarnation", std::nullopt)};
    m.user = f.text("user", false);
    m.role = f.text("role", false);
    m.resumed = f.boolean("resumed", false);
    object o;
    if (const auto value = f.find("limits"); value && value->get(o) == simdjson::SUCCESS) {
      JsonFields l(o, "limits", arena_);
      m.limits = {l.number32("message_bytes_max", 0),
                  l.number32("cells_per_edit_max", 0),
                  l.number32("ops_per_edit_max", 0),
                  l.number32("edits_in_flight_max", 0),
                  l.number32("chunks_per_subscription_max", 0),
                  l.number32("subscriptions_max", 0),
                  l.number32("derived_cells_per_edit_max", 0)};
      f.adopt(l);
    }
    return m;
  }
  Chunk chunk(JsonFields& f) {
    Chunk m;
    m.layer = static_cast<map::LayerId>(f.integer("layer", 0, kLayerMax, std::nullopt));
    m.chunk = {static_cast<std::int32_t>(f.integer("cx", -kChunkEdge, kChunkEdge - 1, std::nullopt)),
               static_cast<std::int32_t>(f.integer("cy", -kChunkEdge, kChunkEdge - 1, std::nullopt))};
    m.revision = Lsn{f.big("revision", std::nullopt)};
    if (f.has("fill")) {
      m.fill = f.cell("fill");
    } else {
      m.cells = f.cells("cells");
      if (m.cells.size() != map::kChunkCells) f.fail("cells", "1024 numbers");
    }
    return m;
  }
  std::span<const ShardMark> marks(JsonFields& f) {
    const std::span<const std::int64_t> rows = f.rows("shards", 3, kKnownMax);
    const std::span<ShardMark> out = arena_.allocate_array<ShardMark>(rows.size() / 3);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::int64_t x = rows[i * 3], y = rows[i * 3 + 1];
      if (x < -kShardEdge || x >= kShardEdge || y < -kShardEdge || y >= kShardEdge)
        f.fail("shards", "rows of [shard x, shard y, lsn]");
      out[i] = {{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)},
                Lsn{static_cast<std::uint64_t>(rows[i * 3 + 2])}};
    }
    return out;
  }
  map::ShardPos shard_of(JsonFields& f) {
    const auto position = f.position("shard");
    const map::ShardPos shard{position.value_or(map::CellPos{}).x, position.value_or(map::CellPos{}).y};
    if (!position || !sane(shard)) f.fail("shard", "[x,y]");
    return shard;
  }
  ClaimOf claim_of(JsonFields& f) {
    ClaimOf m;
    m.session = SessionId{f.big("session", std::nullopt)};
    m.claim = ClaimId{f.number32("claim", std::nullopt)};
    m.name = f.text("name", false, kAnyBytes);
    m.rect = f.rect("rect", false);
    m.layers = layers(f);
    return m;
  }
  Reject reject(JsonFields& f) {
    Reject m;
    m.claim = ClaimId{f.number32("claim", 0)};
    m.edit = EditId{f.big("id", m.claim.value != 0 ? std::optional<std::uint64_t>(0) : std::nullopt)};
    m.code = code(f);
    m.message = f.text("message", false, kAnyBytes);
    const std::span<ClaimOf> out = arena_.allocate_array<ClaimOf>(size_of(f, "conflicts"));
    each_object(f, "conflicts", [&](std::size_t i, object o) {
      JsonFields inner(o, "conflict", arena_);
      if (i < out.size()) out[i] = claim_of(inner);
      if (!inner.ok()) f.adopt(inner);
      return inner.ok();
    });
    m.conflicts = out;
    return m;
  }
  static ReleaseReason reason(JsonFields& f) {
    const std::string_view name = f.text("reason", true);
    for (std::size_t i = 0; i < kReleaseReasonNames.size(); ++i)
      if (kReleaseReasonNames[i] == name) return static_cast<ReleaseReason>(i);
    f.fail("reason", "\"released\", \"expired\", \"left\" or \"broken\"");
    return ReleaseReason::released;
  }
  ErrorCode code(JsonFields& f) {
    const std::string_view name = f.text("code", true);
    for (std::size_t i = 0; i < kErrorCodeNames.size(); ++i)
      if (kErrorCodeNames[i] == name) return static_cast<ErrorCode>(i);
    return ErrorCode::internal;  // of a newer server
  }

  Arena& arena_;
};

// The objects of a payload: one, or an array of them.
Result<std::span<const object>> parse(std::span<const std::byte> bytes, Arena& arena) {
  const auto fail = [](std::string why) { return Error{ErrorCode::bad_message, "JSON message: " + std::move(why)}; };
  if (bytes.empty()) return fail("it is empty");
  // Texts of messages point into the parser, so it lives as long as the arena's content.
  auto* parser = arena.create<simdjson::dom::parser>();
  if (parser->allocate(bytes.size() + 1, kDepthMax) != simdjson::SUCCESS)
    return Error{ErrorCode::too_large, "no memory for this message"};
  element root;
  const auto error = parser->parse(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), true).get(root);
  if (error != simdjson::SUCCESS) return fail(simdjson::error_message(error));
  std::vector<object> objects;
  object one;
  simdjson::dom::array many;
  if (root.get(one) == simdjson::SUCCESS) {
    objects.push_back(one);
  } else if (root.get(many) == simdjson::SUCCESS) {
    for (const element e : many) {
      if (e.get(one) != simdjson::SUCCESS) return fail("an array holds message objects only");
      objects.push_back(one);
      if (objects.size() > kMessagesMax) return fail(fmt::format("more than {} messages in one", kMessagesMax));
    }
  } else {
    return fail("a message is an object {\"type\": …}, or an array of such");
  }
  return std::span<const object>(arena.copy(std::span<const object>(objects)));
}

}  // namespace

Result<std::span<const ClientMessage>> decode_client_json(std::span<const std::byte> bytes, Arena& arena) {
  const auto objects = parse(bytes, arena);
  if (!objects) return objects.error();
  const std::span<ClientMessage> messages = arena.allocate_array<ClientMessage>(objects->size());
  Reader reader(arena);
  for (std::size_t i = 0; i < objects->size(); ++i) messages[i] = reader.client((*objects)[i]);
  return std::span<const ClientMessage>(messages);
}

Result<std::span<const ServerMessage>> decode_server_json(std::span<const std::byte> bytes, Arena& arena) {
  const auto objects = parse(bytes, arena);
  if (!objects) return objects.error();
  const std::span<ServerMessage> messages = arena.allocate_array<ServerMessage>(objects->size());
  Reader reader(arena);
  std::size_t count = 0;
  for (std::size_t i = 0; i < objects->size(); ++i) {
    const Reader::Taken taken = reader.server((*objects)[i], messages[count]);
    if (taken == Reader::Taken::senseless)
      return Error{ErrorCode::bad_message, fmt::format("JSON message {} is no message of a server", i)};
    if (taken == Reader::Taken::message) ++count;
  }
  return std::span<const ServerMessage>(messages.first(count));
}

}  // namespace terrazzo::proto
