#include "tests/sim/checks/diary.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/playground.h"

namespace terrazzo::sim {

void Diary::wrote(std::uint32_t client, EditId edit) {
  Page& page = pages_[client];
  page.values[edit.value] = ++page.written;
}

void Diary::told_durable(std::uint32_t client, EditId edit) {
  Page& page = pages_[client];
  const auto found = page.values.find(edit.value);
  if (found != page.values.end()) page.durable = std::max(page.durable, found->second);
}

void Diary::told_rejected(std::uint32_t client, EditId edit) {
  Page& page = pages_[client];
  const auto found = page.values.find(edit.value);
  if (found != page.values.end()) page.rejected.insert(found->second);
}

void check_durable_edits(const Diary& diary, Truth& truth, Verdict& verdict) {
  for (const auto& [client, page] : diary.pages()) {
    const map::CellPos at = register_cell(client);
    const auto value = truth.cell(kDiary, kLayers[0], at);
    if (!value || *value >= page.durable) continue;
    verdict.fail("an edit acknowledged as durable is never lost",
                 fmt::format("client {} was told that value {} of its register at {},{} is durable; it holds {}",
                             client, page.durable, at.x, at.y, *value));
  }
}

}  // namespace terrazzo::sim
