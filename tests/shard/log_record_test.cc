#include "server/shard/log_record.h"

#include <gtest/gtest.h>

#include <array>

#include "server/shard/coordinator.h"
#include "server/shard/shard_router.h"

namespace terrazzo::shard {
namespace {

void expect_same_ops(std::span<const map::Op> a, std::span<const map::Op> b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].kind, b[i].kind);
    EXPECT_EQ(a[i].layer, b[i].layer);
    EXPECT_EQ(a[i].rect, b[i].rect);
    EXPECT_EQ(a[i].cell, b[i].cell);
    EXPECT_EQ(a[i].from, b[i].from);
    EXPECT_TRUE(std::ranges::equal(a[i].cells, b[i].cells));
  }
}

std::vector<std::unique_ptr<EditRequest>> parts_of(const map::Rect& fill) {
  static const std::array<map::Cell, 3> cells{map::Cell{1}, map::Cell{2}, map::Cell{3}};
  const map::Op ops[] = {{map::OpKind::fill, 2, fill, map::Cell{9}, {}, {}},
                         {map::OpKind::set, 0, map::Rect::of_size(-2, -1, 3, 1), {}, {}, cells},
                         {map::OpKind::replace, 1, fill, map::Cell{4}, map::Cell{5}, {}}};
  const map::Edit edit{EditId{77}, map::AckMode::durable, ops, {}};
  auto parts = split_edit(WorldId{5}, {SessionId{1234}, 0, 0, 0}, edit);
  EXPECT_TRUE(parts.ok());
  return *std::move(parts);
}

TEST(LogRecord, AnEditComesBack) {
  auto parts = parts_of(map::Rect::of_size(-100, -100, 50, 60));
  ASSERT_FALSE(parts.empty());
  for (const auto& part : parts) {
    part->coordinated = 3;
    part->parts = 9;
    std::vector<std::byte> bytes;
    const std::array<std::byte, 3> before{std::byte{1}, std::byte{2}, std::byte{3}};
    encode_edit(*part, 12, {PreImageKind::cells, before}, bytes);
    Arena arena;
    const auto logged = decode_edit(bytes, arena);
    ASSERT_TRUE(logged.ok()) << logged.error().message;
    EXPECT_EQ(logged->author, SessionId{1234});
    EXPECT_EQ(logged->edit.id, EditId{77});
    EXPECT_EQ(logged->coordinated, 3u);
    EXPECT_EQ(logged->parts, 9u);
    EXPECT_EQ(logged->version, 12u);
    EXPECT_EQ(logged->pre_image_kind, PreImageKind::cells);
    EXPECT_TRUE(std::ranges::equal(logged->pre_image, before));
    expect_same_ops(logged->edit.ops, part->edit.ops);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(decode_edit(std::span(bytes).first(size), arena).ok()) << size;
  }
}

TEST(LogRecord, ARestoreComesBack) {
  EditRequest request;
  request.origin.session = SessionId{1234};
  request.edit.id = EditId{78};
  request.restore = Restore{storage::PinKind::undo_point,
                            0x1234567890ull,
                            {{3, map::Rect::of_size(-5, 7, 1000, 1)}, {255, map::Rect::of_size(0, 0, 8192, 8192)}}};
  std::vector<std::byte> bytes;
  encode_edit(request, 2, {PreImageKind::pinned, {}}, bytes);
  Arena arena;
  const auto logged = decode_edit(bytes, arena);
  ASSERT_TRUE(logged.ok()) << logged.error().message;
  ASSERT_TRUE(logged->restore);
  EXPECT_EQ(logged->restore->from, storage::PinKind::undo_point);
  EXPECT_EQ(logged->restore->id, 0x1234567890ull);
  EXPECT_EQ(logged->restore->areas, request.restore->areas);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_edit(std::span(bytes).first(size), arena).ok()) << size;
}

TEST(LogRecord, ACoordinatedEditComesBackWithAllItsParts) {
  CoordinatedRequest request;
  request.world = WorldId{5};
  request.origin.session = SessionId{1234};
  request.id = EditId{77};
  request.version = 4;
  request.parts = parts_of(map::Rect::of_size(-9000, -100, 20000, 60));
  ASSERT_GT(request.parts.size(), 3u);
  std::vector<std::byte> bytes;
  encode_coordinated(request, bytes);
  const auto back = decode_coordinated(bytes);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ((*back)->origin.session, SessionId{1234});
  EXPECT_EQ((*back)->version, 4u);
  ASSERT_EQ((*back)->parts.size(), request.parts.size());
  for (std::size_t i = 0; i < request.parts.size(); ++i) {
    EXPECT_EQ((*back)->parts[i]->shard, request.parts[i]->shard);
    EXPECT_EQ((*back)->parts[i]->edit.id, EditId{77});
    EXPECT_EQ((*back)->parts[i]->parts, request.parts.size());
    expect_same_ops((*back)->parts[i]->edit.ops, request.parts[i]->edit.ops);
  }
  EXPECT_FALSE(decode_coordinated(std::span(bytes).first(bytes.size() - 1)).ok());
}

}  // namespace
}  // namespace terrazzo::shard
