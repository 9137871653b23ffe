#include "tests/proto/golden_messages.h"

#include <array>

#include "map/chunk_codec.h"

namespace terrazzo::proto {
namespace {

using map::Cell;
using map::Rect;

constexpr std::array<Cell, 6> kSixCells = {Cell{0},          Cell{1},          Cell{2},
                                           Cell{0x80000003}, Cell{0xF0000004}, Cell{0xFFFFFFFF}};
constexpr std::array<Cell, 2> kTwoCells = {Cell{5}, Cell{6}};
const std::array<map::Op, 3> kOps = {
    map::Op{map::OpKind::set, 1, Rect::of_size(-2, 7, 3, 2), {}, {}, kSixCells},
    map::Op{map::OpKind::fill, 2, Rect::of_size(-2147483648, -2147483648, 4294967295, 4294967295), Cell{42}, {}, {}},
    map::Op{map::OpKind::replace, 255, Rect::of_size(2147483647, 2147483647, 1, 1), Cell{43}, Cell{42}, {}}};
const std::array<map::Condition, 2> kConditions = {map::Condition{1, Rect::of_size(0, 0, 10, 10), Cell{9}, {}},
                                                   map::Condition{3, Rect::of_size(4, -4, 2, 1), {}, kTwoCells}};
const std::array<map::Op, 4> kDerivedOps = {
    map::copy_op(1, Rect::of_size(-2, 7, 3, 2), 1, {10, -20}, {}),
    map::copy_op(1, Rect::of_size(0, 0, 100, 50), 255, {2147483547, -2147483648}, map::Turn::of(map::Flip::both, 0)),
    map::copy_op(2, Rect::of_size(0, 0, 100, 50), 3, {5, 6}, map::Turn::of(map::Flip::horizontal, 3)),
    map::flood_op(1, {-1, 5}, Cell{0x80000003}, Rect::of_size(-100, -100, 200, 200))};
constexpr std::array<map::LayerId, 3> kLayers = {1, 2, 255};
constexpr std::array<KnownChunk, 2> kKnown = {KnownChunk{1, {-1, 0}, Lsn{12}},
                                              KnownChunk{2, {67108863, -67108864}, Lsn{9007199254740993}}};
constexpr std::array<ShardMark, 2> kMarks = {ShardMark{{0, -1}, Lsn{7}},
                                             ShardMark{{262143, -262144}, Lsn{9007199254740993}}};
const std::array<ClaimOf, 2> kClaims = {
    ClaimOf{SessionId{77}, ClaimId{1}, "Ada", Rect::of_size(-2, 7, 30, 20), kLayers},
    ClaimOf{SessionId{18446744073709551615u}, ClaimId{4294967295u}, "", Rect::of_size(0, 0, 1, 1), {}}};
constexpr Presence kPresence{map::CellPos{-3, 4}, Rect{-100, -50, 100, 50}, Rect{}, std::string_view("brush")};

// Chunks that need each width of the chunk coding: `colors` different cells.
std::array<Cell, map::kChunkCells> chunk_cells(std::uint32_t colors) {
  std::array<Cell, map::kChunkCells> out{};
  for (std::uint32_t i = 0; i < map::kChunkCells; ++i) out[i].bits = 1000 + i * 7 % colors;
  return out;
}

Golden<ServerMessage> golden_chunk(std::uint32_t colors) {
  static std::array<std::array<Cell, map::kChunkCells>, 1025> cells;
  static std::array<std::vector<std::byte>, 1025> coded;
  cells[colors] = chunk_cells(colors);
  coded[colors].clear();
  map::encode_chunk(cells[colors], coded[colors]);
  Chunk binary{.layer = 1, .chunk = {-1, 2}, .revision = Lsn{99}, .fill = {}, .coded = coded[colors], .cells = {}};
  Chunk json = binary;
  json.coded = {};
  json.cells = cells[colors];
  return {"server_chunk_of_" + std::to_string(colors), binary, json};
}

template <class Message>
Golden<Message> same(std::string name, Message message) {
  return {std::move(name), message, message};
}

}  // namespace

std::vector<Golden<ClientMessage>> golden_client_messages() {
  using M = ClientMessage;
  return {
      same<M>("client_hello", Hello{1, "terrazzo-studio 0.1", "secret", "Ada \"A\" Größe 🗺", 0x3CB44B, {}}),
      same<M>("client_hello_resume", Hello{1, "studio", "", "", 0, Resume{"s3cr3t", Incarnation{4}}}),
      same<M>("client_open", Open{"island"}),
      same<M>("client_token", Token{"eyJhbGciOi"}),
      same<M>("client_subscribe", Subscribe{1, Rect::of_size(-100, -100, 200, 200), {}, {}, {}}),
      same<M>("client_subscribe_known", Subscribe{2, Rect::of_size(0, 0, 64, 64), kLayers, kKnown, Incarnation{4}}),
      same<M>("client_unsubscribe", Unsubscribe{1}),
      same<M>("client_edit", map::Edit{EditId{1}, map::AckMode::durable, kOps, {}}),
      same<M>("client_edit_if",
              map::Edit{EditId{9007199254740993}, map::AckMode::applied, std::span(kOps).first(1), kConditions}),
      same<M>("client_edit_derived", map::Edit{EditId{3}, map::AckMode::durable, kDerivedOps, {}}),
      same<M>("client_presence", kPresence),
      same<M>("client_chat", Chat{"Who has \"the bridge\"? Größe 🗺"}),
      same<M>("client_ping", Ping{1234567890123}),
      same<M>("client_claim", Claim{ClaimId{1}, Rect::of_size(-2, 7, 30, 20), kLayers, 30000}),
      same<M>("client_claim_all", Claim{ClaimId{2}, Rect::of_size(0, 0, 1, 1), {}, 0}),
      same<M>("client_release", Release{ClaimId{1}, {}}),
      same<M>("client_release_of", Release{ClaimId{1}, SessionId{77}}),
      same<M>("client_follow", Follow{SessionId{77}}),
      same<M>("client_undo", Undo{EditId{4}, false, {}, {}}),
      same<M>("client_undo_edit", Undo{EditId{9007199254740993}, false, EditId{3}, SessionId{18446744073709551615u}}),
      same<M>("client_redo", Undo{EditId{5}, true, EditId{3}, {}}),
  };
}

std::vector<Golden<ServerMessage>> golden_server_messages() {
  using M = ServerMessage;
  return {
      same<M>("server_welcome", Welcome{SessionId{18446744073709551615u},
                                        "s3cr3t",
                                        Incarnation{4},
                                        "ada",
                                        "editor",
                                        {1048576, 65536, 256, 512, 16384, 64, 262144},
                                        true}),
      same<M>("server_world",
              WorldInfo{R"({"id":"17","name":"island","tile_width":16,"tile_height":16,"layers":[]})", "editor"}),
      same<M>("server_chunk_fill",
              Chunk{.layer = 1, .chunk = {0, -1}, .revision = Lsn{3}, .fill = Cell{8}, .coded = {}, .cells = {}}),
      golden_chunk(2),
      golden_chunk(4),
      golden_chunk(16),
      golden_chunk(256),
      golden_chunk(1024),
      same<M>("server_subscribed", Subscribed{1, kMarks}),
      same<M>("server_applied", Applied{{0, -1}, Lsn{8}, SessionId{77}, EditId{1}, kOps}),
      same<M>("server_ack", Ack{EditId{1}, kMarks, true}),
      same<M>("server_ack_undone",
              Ack{EditId{4}, kMarks, true, Undone{SessionId{18446744073709551615u}, EditId{1}, 9007199254740993, 7}}),
      same<M>("server_durable", Durable{{0, -1}, Lsn{8}}),
      same<M>("server_reject",
              Reject{EditId{1}, ErrorCode::condition_failed, "condition 0: layer 1 holds other cells", {}, {}}),
      same<M>("server_reject_claimed", Reject{EditId{2}, ErrorCode::claimed, "Ada has claimed it", {}, kClaims}),
      same<M>("server_reject_claim", Reject{{}, ErrorCode::claimed, "Ada has claimed it", ClaimId{3}, kClaims}),
      same<M>("server_claimed", Claimed{kClaims[0], 30000}),
      same<M>("server_released", Released{SessionId{77}, ClaimId{1}, ReleaseReason::expired}),
      same<M>("server_error", ErrorMessage{ErrorCode::not_found, "there is no world \"atlantis\"", {}}),
      same<M>("server_error_of_subscription",
              ErrorMessage{ErrorCode::read_only, "subscription 3: the shard cannot be read", 3}),
      same<M>("server_presence", PresenceOf{SessionId{77}, "Ada", 0x3CB44B, kPresence}),
      same<M>("server_left", Left{SessionId{77}}),
      same<M>("server_chat", ChatOf{SessionId{18446744073709551615u}, "Ada", "Größe 🗺"}),
      same<M>("server_pong", Pong{1234567890123}),
      same<M>("server_going_away", GoingAway{2500}),
      same<M>("server_expires", Expires{60000}),
      same<M>("server_expires_never", Expires{}),
      same<M>("server_stale", Stale{{0, -1}, Lsn{9}}),
      same<M>("server_refreshed", Refreshed{{0, -1}, Lsn{9007199254740993}}),
  };
}

}  // namespace terrazzo::proto
