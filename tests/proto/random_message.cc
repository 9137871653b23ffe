#include "tests/proto/random_message.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "map/chunk_codec.h"
#include "proto/wire/limits.h"

namespace terrazzo::proto {

std::uint64_t RandomMessage::big() {
  constexpr std::array<std::uint64_t, 6> kEdges = {
      0, 1, kJsonNumberMax, kJsonNumberMax + 1, std::uint64_t{1} << 63, std::numeric_limits<std::uint64_t>::max()};
  return coin() ? kEdges[below(kEdges.size())] : random_() >> below(64);
}

std::uint32_t RandomMessage::number() {
  return below(8) == 0 ? std::numeric_limits<std::uint32_t>::max()
                       : static_cast<std::uint32_t>(random_() >> (32 + below(32)));
}

std::string_view RandomMessage::text() {
  constexpr std::array<std::string_view, 7> kPieces = {"island", "\"quoted\"", "\\",  "\n\t\x01",
                                                       "größer", "地図",       "🗺"};
  std::string out;
  for (std::uint64_t i = below(4); i > 0; --i) out += kPieces[below(kPieces.size())];
  return arena_.copy(std::string_view(out));
}

map::Rect RandomMessage::rect(std::int64_t side_max) {
  const auto side = [&] { return 1 + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(side_max))); };
  const std::int64_t w = side(), h = side();
  const auto start = [&](std::int64_t length) {
    const std::int64_t first = map::kPlane.x0, last = map::kPlane.x1 - length;
    switch (below(4)) {
      case 0:
        return first;
      case 1:
        return last;
      case 2:
        return std::clamp(-length / 2, first, last);
      default:
        return first + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(last - first) + 1));
    }
  };
  const std::int64_t x = start(w), y = start(h);
  return map::Rect::of_size(x, y, w, h);
}

map::Rect RandomMessage::rect_or_none() {
  return below(4) == 0 ? map::Rect{} : rect(kSideMax);
}

map::ChunkPos RandomMessage::chunk() {
  const auto one = [&] {
    return static_cast<std::int32_t>(static_cast<std::int64_t>(below(2 * kChunkEdge)) - kChunkEdge);
  };
  return {one(), one()};
}

map::ShardPos RandomMessage::shard() {
  const auto one = [&] {
    return static_cast<std::int32_t>(static_cast<std::int64_t>(below(2 * kShardEdge)) - kShardEdge);
  };
  return {one(), one()};
}

std::span<const map::Cell> RandomMessage::cells(std::uint64_t count) {
  const std::span<map::Cell> out = arena_.allocate_array<map::Cell>(count);
  const std::uint64_t kinds = 1 + below(300);
  for (map::Cell& cell : out) cell.bits = static_cast<std::uint32_t>(below(kinds) * 0x9E3779B9u);
  return out;
}

std::span<const map::Op> RandomMessage::ops(std::uint64_t count) {
  const std::span<map::Op> out = arena_.allocate_array<map::Op>(count);
  for (map::Op& op : out) {
    op = {};
    op.layer = static_cast<map::LayerId>(below(256));
    op.kind = static_cast<map::OpKind>(below(3));
    op.rect = rect(op.kind == map::OpKind::set ? 12 : kSideMax);
    if (op.kind == map::OpKind::set) {
      op.cells = cells(op.rect.area());
    } else {
      op.cell.bits = number();
    }
    if (op.kind == map::OpKind::replace) op.from.bits = number();
  }
  return out;
}

std::span<const map::Op> RandomMessage::derived_ops(std::uint64_t count) {
  const std::span<map::Op> out = arena_.allocate_array<map::Op>(count);
  for (map::Op& op : out) {
    const auto layer = [&] { return static_cast<map::LayerId>(below(256)); };
    const auto corner = [](const map::Rect& r) {
      return map::CellPos{static_cast<std::int32_t>(r.x0), static_cast<std::int32_t>(r.y0)};
    };
    const map::Rect area = rect(1000);
    if (coin()) {
      op = map::flood_op(layer(), corner(area), map::Cell{number()}, area);
      continue;
    }
    const map::Turn turn = map::Turn::of(static_cast<map::Flip>(below(4)), static_cast<unsigned>(below(4)));
    op = map::copy_op(layer(), area, layer(), {}, turn);
    const map::Rect target = rect(1);
    // Wherever it fits.
    op.rect =
        map::Rect::of_size(std::min(target.x0, map::kPlane.x1 - op.rect.width()),
                           std::min(target.y0, map::kPlane.y1 - op.rect.height()), op.rect.width(), op.rect.height());
  }
  return out;
}

std::span<const map::Condition> RandomMessage::conditions(std::uint64_t count) {
  const std::span<map::Condition> out = arena_.allocate_array<map::Condition>(count);
  for (map::Condition& condition : out) {
    condition = {};
    condition.layer = static_cast<map::LayerId>(below(256));
    const bool exact = coin();
    condition.rect = rect(exact ? 8 : kSideMax);
    if (exact) {
      condition.cells = cells(condition.rect.area());
    } else {
      condition.cell.bits = number();
    }
  }
  return out;
}

std::span<const ShardMark> RandomMessage::marks(std::uint64_t count) {
  const std::span<ShardMark> out = arena_.allocate_array<ShardMark>(count);
  for (ShardMark& mark : out) mark = {shard(), Lsn{big()}};
  return out;
}

std::span<const KnownChunk> RandomMessage::known(std::uint64_t count) {
  const std::span<KnownChunk> out = arena_.allocate_array<KnownChunk>(count);
  for (KnownChunk& k : out) k = {static_cast<map::LayerId>(below(256)), chunk(), Lsn{big()}};
  return out;
}

Presence RandomMessage::presence() {
  Presence out;
  if (coin()) {
    const map::Rect at = rect(1);
    out.cursor = map::CellPos{static_cast<std::int32_t>(at.x0), static_cast<std::int32_t>(at.y0)};
  }
  if (coin()) out.viewport = rect_or_none();
  if (coin()) out.selection = rect_or_none();
  if (coin()) out.tool = text();
  return out;
}

std::span<const map::LayerId> RandomMessage::layers() {
  const std::span<map::LayerId> out = arena_.allocate_array<map::LayerId>(below(5));
  for (map::LayerId& layer : out) layer = static_cast<map::LayerId>(below(256));
  return out;
}

ClaimOf RandomMessage::claim_of() {
  return {SessionId{big()}, ClaimId{1 + number() / 2}, text(), rect(kSideMax), layers()};
}

Chunk RandomMessage::chunk_state(Form form) {
  Chunk out;
  out.layer = static_cast<map::LayerId>(below(256));
  out.chunk = chunk();
  out.revision = Lsn{big()};
  if (coin()) {
    out.fill = map::Cell{number()};
    return out;
  }
  const std::span<const map::Cell> all = cells(map::kChunkCells);
  if (form == Form::json) {
    out.cells = all;
  } else {
    std::vector<std::byte> coded;
    map::encode_chunk(all.first<map::kChunkCells>(), coded);
    out.coded = arena_.copy(std::span<const std::byte>(coded));
  }
  return out;
}

Reject RandomMessage::reject(ErrorCode code) {
  const std::span<ClaimOf> conflicts = arena_.allocate_array<ClaimOf>(below(3));
  for (ClaimOf& conflict : conflicts) conflict = claim_of();
  const std::string_view message = text();
  if (coin()) return {EditId{big()}, code, message, {}, conflicts};
  return {{}, code, message, ClaimId{1 + number() / 2}, conflicts};
}

ClientMessage RandomMessage::client() {
  switch (below(13)) {
    case 0: {
      Hello out{number(), text(), text(), text(), static_cast<std::uint32_t>(below(1 << 24)), {}};
      if (coin()) out.resume = Resume{text(), Incarnation{big()}};
      return out;
    }
    case 1:
      return Open{below(2) == 0 ? std::string_view("17") : std::string_view("an \"island\"")};
    case 2:
      return Subscribe{number(), rect(kSideMax), layers(), known(below(5)), Incarnation{big()}};
    case 3:
      return Unsubscribe{number()};
    case 4: {
      const map::AckMode ack = coin() ? map::AckMode::durable : map::AckMode::applied;
      return map::Edit{EditId{big()}, ack, coin() ? ops(below(6)) : derived_ops(below(6)), conditions(below(4))};
    }
    case 5:
      return presence();
    case 6:
      return Follow{SessionId{big()}};
    case 7:
      return Claim{ClaimId{number()}, rect(kSideMax), layers(), number()};
    case 8:
      return Release{ClaimId{number()}, SessionId{big()}};
    case 9:
      return Undo{EditId{big()}, coin(), EditId{big()}, SessionId{big()}};
    case 10: {
      const std::string_view line = text();
      return Chat{line.empty() ? std::string_view("hi") : line};
    }
    case 11:
      return Token{text()};
    default:
      return Ping{big()};
  }
}

ServerMessage RandomMessage::server(Form form) {
  const auto code = [&] { return static_cast<ErrorCode>(below(kErrorCodeNames.size())); };
  switch (below(19)) {
    case 0:
      return Welcome{SessionId{big()},
                     text(),
                     Incarnation{big()},
                     text(),
                     text(),
                     {number(), number(), number(), number(), number(), number(), number()},
                     coin()};
    case 1:
      return WorldInfo{R"({"id":"17","name":"an \"island\"","bounds":[0,0,64,-1],"opacity":0.5,"layers":[]})", text()};
    case 2:
      return chunk_state(form);
    case 3:
      return Subscribed{number(), marks(below(5))};
    case 4:
      return Applied{shard(), Lsn{big()}, SessionId{big()}, EditId{big()}, ops(below(6))};
    case 5:
      return Ack{EditId{big()}, marks(below(5)), coin(),
                 coin() ? std::optional(Undone{SessionId{big()}, EditId{big()}, big(), big()}) : std::nullopt};
    case 6:
      return Durable{shard(), Lsn{big()}};
    case 7:
      return reject(code());
    case 8:
      return ErrorMessage{code(), text(), coin() ? std::optional(static_cast<std::uint32_t>(big())) : std::nullopt};
    case 9:
      return PresenceOf{SessionId{big()}, text(), static_cast<std::uint32_t>(below(1 << 24)), presence()};
    case 10:
      return Left{SessionId{big()}};
    case 11:
      return Pong{big()};
    case 12:
      return Stale{shard(), Lsn{big()}};
    case 13:
      return Refreshed{shard(), Lsn{big()}};
    case 14:
      return Claimed{claim_of(), number()};
    case 15:
      return Released{SessionId{big()}, ClaimId{number()}, static_cast<ReleaseReason>(below(4))};
    case 16:
      return ChatOf{SessionId{big()}, text(), text()};
    case 17:
      return Expires{coin() ? std::optional(big()) : std::nullopt};
    default:
      return GoingAway{number()};
  }
}

}  // namespace terrazzo::proto
