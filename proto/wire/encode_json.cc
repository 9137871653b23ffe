#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "proto/wire/limits.h"
#include "proto/wire/wire.h"

namespace terrazzo::proto {
namespace {

// Appends to the message's bytes; fmt writes numbers, nlohmann escapes texts.
class Writer {
 public:
  explicit Writer(ByteBuffer& out) : out_(out) {}

  void write(const Hello& m) {
    begin("hello");
    put(R"(,"protocol":{})", m.protocol);
    text("client", m.client);
    text("token", m.token);
    text("name", m.name);
    color(m.color);
    if (m.resume) {
      put(R"(,"resume":{{"session":{})", quoted(m.resume->session));
      big("incarnation", m.resume->incarnation.value);
      put("}}");
    }
    end();
  }
  void write(const Open& m) {
    begin("open");
    text("world", m.world);
    end();
  }
  void write(const Token& m) {
    begin("token");
    text("token", m.token);
    end();
  }
  void write(const Subscribe& m) {
    begin("subscribe");
    put(R"(,"sub":{})", m.sub);
    rect("rect", m.rect);
    layers(m.layers);
    if (!m.known.empty()) {
      list("known", m.known, [&](const KnownChunk& k) {
        put("[{},{},{},", k.layer, k.chunk.x, k.chunk.y);
        put(Big{k.revision.value});
        put("]");
      });
    }
    if (m.incarnation.value != 0) big("incarnation", m.incarnation.value);
    end();
  }
  void write(const Unsubscribe& m) {
    begin("unsubscribe");
    put(R"(,"sub":{})", m.sub);
    end();
  }
  void write(const Follow& m) {
    begin("follow");
    put(R"(,"session":"{}")", m.session.value);
    end();
  }
  void write(const Claim& m) {
    begin("claim");
    put(R"(,"claim":{})", m.claim.value);
    rect("rect", m.rect);
    layers(m.layers);
    if (m.ttl_ms != 0) put(R"(,"ttl_ms":{})", m.ttl_ms);
    end();
  }
  void write(const Release& m) {
    begin("release");
    put(R"(,"claim":{})", m.claim.value);
    if (m.session.value != 0) put(R"(,"session":"{}")", m.session.value);
    end();
  }
  void write(const map::Edit& m) {
    begin("edit");
    big("id", m.id.value);
    if (m.ack == map::AckMode::applied) put(R"(,"ack":"applied")");
    ops(m.ops);
    if (!m.conditions.empty()) {
      list("if", m.conditions, [&](const map::Condition& c) {
        put(R"({{"layer":{})", c.layer);
        rect("rect", c.rect);
        if (c.cells.empty()) {
          put(R"(,"cell":{})", c.cell.bits);
        } else {
          cells(c.cells);
        }
        put("}}");
      });
    }
    end();
  }
  void write(const Undo& m) {
    begin(m.redo ? "redo" : "undo");
    big("id", m.id.value);
    if (m.edit.value != 0) big("edit", m.edit.value);
    if (m.author.value != 0) put(R"(,"author":"{}")", m.author.value);
    end();
  }
  void write(const Presence& m) {
    begin("presence");
    presence(m);
    end();
  }
  void write(const Ping& m) {
    begin("ping");
    big("t", m.t);
    end();
  }
  void write(const Chat& m) {
    begin("chat");
    put(R"(,"text":{})", quoted(m.text));
    end();
  }
  void write(const Invalid&) { TZ_ASSERT(false); }

  void write(const Welcome& m) {
    begin("welcome");
    // A string: JavaScript's numbers end at 2^53.
    put(R"(,"session":"{}")", m.session.value);
    text("resume", m.resume);
    big("incarnation", m.incarnation.value);
    text("user", m.user);
    text("role", m.role);
    put(R"(,"limits":{{"message_bytes_max":{},"cells_per_edit_max":{},"ops_per_edit_max":{},"edits_in_flight_max":{},)"
        R"("chunks_per_subscription_max":{},"subscriptions_max":{},"derived_cells_per_edit_max":{}}},"resumed":{})",
        m.limits.message_bytes_max, m.limits.cells_per_edit_max, m.limits.ops_per_edit_max,
        m.limits.edits_in_flight_max, m.limits.chunks_per_subscription_max, m.limits.subscriptions_max,
        m.limits.derived_cells_per_edit_max, m.resumed);
    end();
  }
  void write(const WorldInfo& m) {
    begin("world");
    TZ_ASSERT(!m.json.empty());
    put(R"(,"world":{})", m.json);
    text("role", m.role);
    end();
  }
  void write(const Chunk& m) {
    begin("chunk");
    put(R"(,"layer":{},"cx":{},"cy":{})", m.layer, m.chunk.x, m.chunk.y);
    big("revision", m.revision.value);
    if (m.fill) {
      put(R"(,"fill":{})", m.fill->bits);
    } else {
      TZ_ASSERT(m.cells.size() == map::kChunkCells);
      cells(m.cells);
    }
    end();
  }
  void write(const Subscribed& m) {
    begin("subscribed");
    put(R"(,"sub":{})", m.sub);
    marks(m.shards);
    end();
  }
  void write(const Applied& m) {
    begin("applied");
    put(R"(,"shard":[{},{}])", m.shard.x, m.shard.y);
    big("lsn", m.lsn.value);
    put(R"(,"author":"{}")", m.author.value);
    big("edit", m.edit.value);
    ops(m.ops);
    end();
  }
  void write(const Ack& m) {
    begin("ack");
    big("id", m.edit.value);
    marks(m.shards);
    put(R"(,"durable":{})", m.durable);
    if (const auto& u = m.undone) {
      put(R"(,"undone":{{"author":"{}")", u->author.value);
      big("edit", u->edit.value);
      big("restored", u->restored);
      big("skipped", u->skipped);
      put("}}");
    }
    end();
  }
  void write(const Durable& m) { mark("durable", m.shard, m.lsn); }
  void write(const Reject& m) {
    begin("reject");
    if (m.edit.value != 0 || m.claim.value == 0) big("id", m.edit.value);
    if (m.claim.value != 0) put(R"(,"claim":{})", m.claim.value);
    put(R"(,"code":"{}")", error_code_name(m.code));
    text("message", m.message);
    if (!m.conflicts.empty()) {
      list("conflicts", m.conflicts, [&](const ClaimOf& of) {
        put(R"({{"session":"{}")", of.session.value);
        claim(of);
        put("}}");
      });
    }
    end();
  }
  void write(const Claimed& m) {
    begin("claimed");
    put(R"(,"session":"{}")", m.of.session.value);
    claim(m.of);
    put(R"(,"ttl_ms":{})", m.ttl_ms);
    end();
  }
  void write(const Released& m) {
    begin("released");
    put(R"(,"session":"{}","claim":{},"reason":"{}")", m.session.value, m.claim.value,
        kReleaseReasonNames[static_cast<std::size_t>(m.reason)]);
    end();
  }
  void write(const ErrorMessage& m) {
    begin("error");
    put(R"(,"code":"{}")", error_code_name(m.code));
    text("message", m.message);
    if (m.sub) put(R"(,"sub":{})", *m.sub);
    end();
  }
  void write(const PresenceOf& m) {
    begin("presence");
    put(R"(,"session":"{}")", m.session.value);
    text("name", m.name);
    color(m.color);
    presence(m.presence);
    end();
  }
  void write(const Left& m) {
    begin("left");
    put(R"(,"session":"{}")", m.session.value);
    end();
  }
  void write(const ChatOf& m) {
    begin("chat");
    put(R"(,"session":"{}")", m.session.value);
    text("name", m.name);
    put(R"(,"text":{})", quoted(m.text));
    end();
  }
  void write(const Pong& m) {
    begin("pong");
    big("t", m.t);
    end();
  }
  void write(const GoingAway& m) {
    begin("going_away");
    put(R"(,"retry_after_ms":{})", m.retry_after_ms);
    end();
  }
  void write(const Expires& m) {
    begin("expires");
    if (m.in_ms) big("in_ms", *m.in_ms);
    end();
  }
  void write(const Stale& m) { mark("stale", m.shard, m.lsn); }
  void write(const Refreshed& m) { mark("refreshed", m.shard, m.lsn); }

 private:
  // Bytes as an output iterator of chars.
  struct Sink {
    using iterator_category = std::output_iterator_tag;
    using value_type = void;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = void;
    Sink& operator*() { return *this; }
    Sink& operator++() { return *this; }
    Sink operator++(int) { return *this; }
    Sink& operator=(char c) {
      out->push_back(static_cast<std::byte>(c));
      return *this;
    }
    ByteBuffer* out;
  };

  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(Sink{&out_}, format, std::forward<Args>(args)...);
  }
  // A number where every reader keeps it exactly, else a string.
  struct Big {
    std::uint64_t value;
  };
  void put(Big big) {
    if (big.value <= kJsonNumberMax) {
      put("{}", big.value);
    } else {
      put("\"{}\"", big.value);
    }
  }
  void big(std::string_view name, std::uint64_t value) {
    put(",\"{}\":", name);
    put(Big{value});
  }
  void begin(std::string_view type) { put(R"({{"type":"{}")", type); }
  void end() { put("}}"); }
  static std::string quoted(std::string_view value) {
    return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) put(R"(,"{}":{})", name, quoted(value));
  }
  void color(std::uint32_t value) {
    if (value != 0) put(R"(,"color":"#{:06x}")", value & 0xFFFFFF);
  }
  void rect(std::string_view name, const map::Rect& r) {
    put(R"(,"{}":[{},{},{},{}])", name, r.x0, r.y0, r.width(), r.height());
  }
  template <class T, class Write>
  void list(std::string_view name, std::span<const T> values, Write&& one) {
    put(R"(,"{}":[)", name);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i != 0) out_.push_back(std::byte{','});
      one(values[i]);
    }
    out_.push_back(std::byte{']'});
  }
  void cells(std::span<const map::Cell> values) {
    list("cells", values, [&](map::Cell c) {
      const fmt::format_int digits(c.bits);
      const auto* first = reinterpret_cast<const std::byte*>(digits.data());
      out_.insert(out_.end(), first, first + digits.size());
    });
  }
  void ops(std::span<const map::Op> values) {
    list("ops", values, [&](const map::Op& op) {
      if (!map::is_plain(op.kind)) return derived(op);
      constexpr std::string_view kNames[] = {"set", "fill", "replace"};
      put(R"({{"op":"{}","layer":{})", kNames[static_cast<std::size_t>(op.kind)], op.layer);
      rect("rect", op.rect);
      switch (op.kind) {
        case map::OpKind::set:
          cells(op.cells);
          break;
        case map::OpKind::fill:
          put(R"(,"cell":{})", op.cell.bits);
          break;
        case map::OpKind::replace:
          put(R"(,"from":{},"to":{})", op.from.bits, op.cell.bits);
          break;
        case map::OpKind::copy:
        case map::OpKind::flood:
          TZ_ASSERT(false);
      }
      put("}}");
    });
  }
  void derived(const map::Op& op) {
    if (op.kind == map::OpKind::flood) {
      put(R"({{"op":"flood","layer":{},"x":{},"y":{},"cell":{})", op.layer, op.source.x, op.source.y, op.cell.bits);
      rect("bounds", op.rect);
      return put("}}");
    }
    constexpr std::string_view kFlips[] = {"none", "horizontal", "vertical", "both"};
    put(R"({{"op":"copy","layer":{})", op.source_layer);
    rect("rect", map::source_of(op));
    put(R"(,"to":[{},{}])", op.rect.x0, op.rect.y0);
    if (op.layer != op.source_layer) put(R"(,"to_layer":{})", op.layer);
    if (op.turn.flip() != map::Flip::none) put(R"(,"flip":"{}")", kFlips[static_cast<std::size_t>(op.turn.flip())]);
    if (op.turn.quarters() != 0) put(R"(,"turns":{})", op.turn.quarters());
    put("}}");
  }
  void layers(std::span<const map::LayerId> values) {
    if (!values.empty()) list("layers", values, [&](map::LayerId layer) { put("{}", layer); });
  }
  void claim(const ClaimOf& of) {
    put(R"(,"claim":{})", of.claim.value);
    text("name", of.name);
    rect("rect", of.rect);
    layers(of.layers);
  }
  void mark(std::string_view type, map::ShardPos shard, Lsn lsn) {
    begin(type);
    put(R"(,"shard":[{},{}])", shard.x, shard.y);
    big("lsn", lsn.value);
    end();
  }
  void marks(std::span<const ShardMark> values) {
    list("shards", values, [&](const ShardMark& m) {
      put("[{},{},", m.shard.x, m.shard.y);
      put(Big{m.lsn.value});
      put("]");
    });
  }
  void presence(const Presence& m) {
    if (m.cursor) put(R"(,"cursor":[{},{}])", m.cursor->x, m.cursor->y);
    if (m.viewport) rect("viewport", *m.viewport);
    if (m.selection) rect("selection", *m.selection);
    if (m.tool) put(R"(,"tool":{})", quoted(*m.tool));
  }

  ByteBuffer& out_;
};

}  // namespace

void append_json(const ClientMessage& message, ByteBuffer& out) {
  std::visit([writer = Writer(out)](const auto& m) mutable { writer.write(m); }, message);
}

void append_json(const ServerMessage& message, ByteBuffer& out) {
  std::visit([writer = Writer(out)](const auto& m) mutable { writer.write(m); }, message);
}

}  // namespace terrazzo::proto
