#include "tests/sim/checks/atomicity.h"

#include <fmt/format.h>

#include <optional>

#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

template <class CellAt>
void compare(CellAt cell_at, const std::string& where, Verdict& verdict) {
  for (int group = 0; group < kTwinGroups; ++group) {
    const std::optional<std::uint32_t> first = cell_at(twin_cell(group, 0));
    for (int cell = 1; cell < twins_of(group); ++cell) {
      const std::optional<std::uint32_t> other = cell_at(twin_cell(group, cell));
      if (!first || !other || *first == *other) continue;
      const map::CellPos a = twin_cell(group, 0), b = twin_cell(group, cell);
      return verdict.fail(
          "an edit over several shards is there whole or not at all",
          fmt::format("twins differ in {}: {} at {},{} and {} at {},{}", where, *first, a.x, a.y, *other, b.x, b.y));
    }
  }
}

}  // namespace

void check_twins(const char* world, Truth& truth, Verdict& verdict) {
  compare([&](map::CellPos at) { return truth.cell(world, kLayers[0], at); },
          fmt::format("the present state of \"{}\"", world), verdict);
}

void check_twins_of_versions(const char* world, std::span<const std::uint64_t> versions, Truth& truth,
                             Verdict& verdict) {
  for (const std::uint64_t version : versions)
    compare([&](map::CellPos at) { return truth.cell_of_version(world, version, kLayers[0], at); },
            fmt::format("version {} of \"{}\"", version, world), verdict);
}

}  // namespace terrazzo::sim
