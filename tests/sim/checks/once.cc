#include "tests/sim/checks/once.h"

#include <fmt/format.h>

#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "an edit is applied once or not at all";

}  // namespace

void AppliedOnce::heard(Incarnation incarnation, const proto::ServerMessage& message) {
  const auto* const applied = std::get_if<proto::Applied>(&message);
  if (applied == nullptr) return;
  const auto [place, is_new] = places_.try_emplace(
      {incarnation.value, applied->author.value, applied->edit.value, applied->shard.x, applied->shard.y},
      applied->lsn.value);
  if (!is_new && place->second != applied->lsn.value)
    verdict_.fail(kClaim,
                  fmt::format("edit {} of session {} was applied to shard {},{} twice in run {}: as {} and as {}",
                              applied->edit.value, applied->author.value, applied->shard.x, applied->shard.y,
                              incarnation.value, place->second, applied->lsn.value));
}

void AppliedOnce::check(const Diary& diary, Truth& truth) {
  for (const auto& [client, page] : diary.pages()) {
    for (const map::CellPos at : page.cells(client)) {
      const auto value = truth.cell(kDiary, kLayers[0], at);
      if (!value) continue;
      if (*value > page.drawn)
        verdict_.fail(kClaim, fmt::format("the register of client {} holds {}, which it never wrote", client, *value));
      if (page.rejected.contains(*value))
        verdict_.fail(kClaim, fmt::format("the register of client {} holds {}, which was rejected", client, *value));
    }
  }
}

}  // namespace terrazzo::sim
