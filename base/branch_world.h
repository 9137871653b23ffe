#pragma once

#include <string>

#include "base/strong_id.h"

// A world's id has 53 bits; those above number its lines: 0 is the main one, the others are its branches. So whatever
// carries the id of a world (sessions, edits, log records) can be of a branch, and whoever must know where its cells
// are kept and which core orders them needs to ask nobody.
namespace terrazzo {

inline constexpr int kWorldIdBits = 53;
inline constexpr unsigned kLinesMax = 1u << (64 - kWorldIdBits);

// The world whose files it lives in.
constexpr WorldId main_world(WorldId world) {
  return WorldId{world.value & ((std::uint64_t{1} << kWorldIdBits) - 1)};
}
constexpr unsigned line_of(WorldId world) {
  return static_cast<unsigned>(world.value >> kWorldIdBits);
}
constexpr WorldId world_of_line(WorldId main, unsigned line) {
  return WorldId{main.value | static_cast<std::uint64_t>(line) << kWorldIdBits};
}

// For messages: "world 7", "line 3 of world 7", where branches.json tells which branch that is.
inline std::string name_of_line(WorldId world) {
  const std::string main = "world " + std::to_string(main_world(world).value);
  return line_of(world) == 0 ? main : "line " + std::to_string(line_of(world)) + " of " + main;
}

}  // namespace terrazzo
