#include "tests/sim/checks/diary.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tests/sim/playground.h"

namespace terrazzo::sim {

std::vector<map::CellPos> Diary::Page::cells(std::uint32_t client) const {
  std::vector<map::CellPos> cells{register_cell(client)};
  if (in_pairs) cells.push_back(pair_cell(client));
  return cells;
}

void Diary::wrote(std::uint32_t client, EditId edit, std::uint32_t value, bool in_pairs) {
  Page& page = pages_[client];
  page.in_pairs = in_pairs;
  page.values[edit.value] = value;
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
    std::optional<std::uint32_t> first;
    for (const map::CellPos at : page.cells(client)) {
      const auto value = truth.cell(kDiary, kLayers[0], at);
      if (!value) continue;
      if (*value < page.durable)
        verdict.fail("an edit acknowledged as durable is never lost",
                     fmt::format("client {} was told that value {} of its register at {},{}{} is durable; it holds {}",
                                 client, page.durable, at.x, at.y, page.in_pairs ? " (one of two)" : "", *value));
      if (first && *first != *value)
        verdict.fail("an edit over several shards is there whole or not at all",
                     fmt::format("the registers of client {} hold {} and {}", client, *first, *value));
      first = value;
    }
  }
}

}  // namespace terrazzo::sim
