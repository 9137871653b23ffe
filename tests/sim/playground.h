#pragma once

#include <cstdint>

#include "map/coords.h"
#include "map/world.h"

// Where what is painted. Both worlds have their corner of four shards at 0,0.
namespace terrazzo::sim {

inline constexpr const char *kPainting = "painting", *kDiary = "diary";
inline constexpr map::LayerId kLayers[] = {1, 2};
inline constexpr std::uint32_t kTiles = 1'000'000;

// Anybody paints anything here; what comes out is for the convergence check.
inline constexpr map::Rect kFree{-96, -96, 96, 96};

// Twins (in the painting): the cells of a group are in different shards and only ever written together, by one edit
// with a value of its own.
inline constexpr int kTwinGroups = 6;
constexpr map::CellPos twin_cell(int group, int cell) {
  const int x = 200 + 3 * group, y = 200 + (cell & 2) * 40;
  return {cell % 2 == 0 ? x : -x, cell / 2 == 0 ? y : -y};
}
// How many of the group's cells are used: 2 to 4.
constexpr int twins_of(int group) {
  return 2 + group % 3;
}

// Registers (in the diary): a cell that only one client ever writes, 1, 2, 3, … in this order.
constexpr map::CellPos register_cell(std::uint32_t client) {
  const auto at = static_cast<std::int32_t>(client);
  const std::int32_t x = 200 + at / 4, y = 300;
  return {at % 2 == 0 ? x : -x, at / 2 % 2 == 0 ? y : -y};
}
inline constexpr std::uint32_t kRegisterClientsMax = 512;
// A pair: every third client writes the same value, with the same edit, into this cell of another shard, too.
constexpr bool has_pair(std::uint32_t client) {
  return client % 3 == 0;
}
constexpr map::CellPos pair_cell(std::uint32_t client) {
  const map::CellPos own = register_cell(client);
  return {-own.x, own.y > 0 ? -301 : 301};
}
// All registers with their pairs, and all twins.
inline constexpr map::Rect kRegisterAreas[] = {
    {200, 300, 328, 302}, {-328, 300, -199, 302}, {200, -301, 328, -299}, {-328, -301, -199, -299}};
inline constexpr map::Rect kTwinAreas[] = {
    {192, 192, 256, 320}, {-256, 192, -192, 320}, {192, -320, 256, -192}, {-256, -320, -192, -192}};

// Slates (in the diary): eight cells, two in each shard, that one author writes, takes back and does again, and that
// one other may write in between.
inline constexpr int kSlatesMax = 40, kSlateCellsPerShard = 2;
inline constexpr map::Rect kSlateAreas[] = {
    {200, 400, 320, 401}, {-320, 400, -199, 401}, {200, -400, 320, -399}, {-320, -400, -199, -399}};
constexpr map::CellPos slate_cell(int slate, int cell) {
  const int shard = cell / kSlateCellsPerShard, x = 200 + 3 * slate + cell % kSlateCellsPerShard, y = 400;
  return {shard % 2 == 0 ? x : -x, shard / 2 == 0 ? y : -y};
}
// Murals (likewise): so large that undo goes back to a state that is kept, and so many chunks that who watches is sent
// states. One for each slate.
inline constexpr std::int64_t kMuralSize = 9 * 32;
constexpr map::Rect mural(int slate) {
  return map::Rect::of_size(1024 + slate % 8 * 2 * kMuralSize, 1024 + slate / 8 * 2 * kMuralSize, kMuralSize,
                            kMuralSize);
}

map::World playground(const char* name);

}  // namespace terrazzo::sim
