#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/http_client.h"
#include "cli/json_answers.h"

namespace terrazzo::cli {
namespace {

nlohmann::json wish(const CommandLine& line) {
  nlohmann::json wanted{{"name", line.name}, {"choices", nlohmann::json::array()}};
  const auto choose = [&](const std::vector<std::int64_t>& rects, const char* take) {
    for (std::size_t at = 0; at + 4 <= rects.size(); at += 4)
      wanted["choices"].push_back({{"rect", {rects[at], rects[at + 1], rects[at + 2], rects[at + 3]}}, {"take", take}});
  };
  choose(line.ours, "ours");
  choose(line.theirs, "theirs");
  if (!line.take.empty()) wanted["conflicts"] = line.take;
  if (line.rect) wanted["area"] = {line.rect->x0, line.rect->y0, line.rect->width(), line.rect->height()};
  return wanted;
}

void print_conflicts(const nlohmann::json& answer) {
  const std::uint64_t conflicts = count_of(answer, "conflicts");
  if (conflicts == 0) return;
  fmt::print("{} cells were changed in both, and not to the same:\n", conflicts);
  const auto areas = answer.find("areas");
  if (areas == answer.end() || !areas->is_array()) return;
  std::uint64_t listed = 0;
  for (const nlohmann::json& area : *areas) {
    const auto rect = area.is_object() ? area.find("rect") : area.end();
    if (!area.is_object() || rect == area.end() || !rect->is_array() || rect->size() != 4) continue;
    std::string at;
    for (const nlohmann::json& each : *rect) at += (at.empty() ? "" : ",") + each.dump();
    fmt::print("  layer {}: {} cells in {}\n", text_of(area, "layer"), count_of(area, "cells"), at);
    listed += count_of(area, "cells");
  }
  if (listed < conflicts) fmt::print("  and {} cells elsewhere\n", conflicts - listed);
}

}  // namespace

Status merge_branch(const CommandLine& line) {
  const std::string address =
      "/v1/worlds/" + percent_encode(line.world) + "/branches/" + percent_encode(line.branch) + "/merge";
  nlohmann::json wanted = wish(line);
  wanted["preview"] = true;
  const Result<nlohmann::json> preview = ask(line, "POST", address, wanted.dump());
  if (!preview) return preview.error();
  print_conflicts(*preview);
  if (line.preview) {
    fmt::print("{} cells would become what they are in {}, {} are already\n", count_of(*preview, "cells"), line.branch,
               count_of(*preview, "same"));
    return {};
  }
  if (const std::uint64_t undecided = count_of(*preview, "undecided"); undecided != 0)
    return Error{
        ErrorCode::conflict,
        fmt::format("nothing was merged: say what becomes of {} of these cells, all with --take ours or --take "
                    "theirs, or here and there with --ours X,Y,W,H and --theirs X,Y,W,H",
                    undecided)};
  wanted["preview"] = false;
  const Result<nlohmann::json> merged = ask(line, "POST", address, wanted.dump());
  if (!merged) return merged.error();
  fmt::print("{} cells are now what they are in {}\n", count_of(*merged, "cells"), line.branch);
  if (const std::uint64_t left = count_of(*merged, "left"); left != 0)
    fmt::print("{} cells were painted on meanwhile and left as they are; merge again to look at them\n", left);
  return {};
}

}  // namespace terrazzo::cli
