#include "server/catalog/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/branch_world.h"

namespace terrazzo::catalog {
namespace {

Error in_file(const std::string& file, const Error& error) {
  return {error.code, file + ": " + error.message};
}

}  // namespace

std::string list_of_versions(WorldId line) {
  return line_of(line) == 0 ? fmt::format("worlds/{}/versions.json", line.value)
                            : fmt::format("worlds/{}/versions-{}.json", main_world(line).value, line_of(line));
}

std::string list_of_branches(WorldId main) {
  return fmt::format("worlds/{}/branches.json", main.value);
}

namespace {

Status load_versions(const io::DataDirectory& data, WorldId line, VersionRegistry& versions,
                     const BranchRegistry& branches) {
  const Result<std::string> text = data.read_versions(line);
  if (!text && text.error().code == ErrorCode::not_found) return {};
  const Status loaded =
      text ? versions.load(line, *text, [&](std::uint64_t version) { return branches.is_needed(line, version); })
           : Status(text.error());
  return loaded ? loaded : Status(in_file(list_of_versions(line), loaded.error()));
}

Error too_old(const std::string& list, const char* what, std::uint64_t number, std::uint64_t last) {
  return {
      ErrorCode::internal,
      fmt::format("the shard's file has {} {}, and {} never heard of one after {}: it is older than the shard. Restore "
                  "the newest {} there is; to give up what it does not name, write \"last\": {} in it",
                  what, number, list, last, list, number)};
}

}  // namespace

Status load_lists(const io::DataDirectory& data, WorldId main, VersionRegistry& versions, BranchRegistry& branches) {
  const Result<std::string> text = data.read_branches(main);
  if (text || text.error().code != ErrorCode::not_found) {
    const Status loaded = text ? branches.load(main, *text) : Status(text.error());
    if (!loaded) return in_file(list_of_branches(main), loaded.error());
  }
  if (Status loaded = load_versions(data, main, versions, branches); !loaded) return loaded;
  for (const NamedBranch& branch : branches.list(main))
    if (Status loaded = load_versions(data, branch.world, versions, branches); !loaded) return loaded;
  return {};
}

Status agrees_with_lists(const storage::ShardStore& store, WorldId main, const VersionRegistry& versions,
                         const BranchRegistry& branches) {
  const storage::HeadId last = branches.last(main);
  for (const storage::HeadId head : store.branches())
    if (head > last) return too_old(list_of_branches(main), "branch", head, last);
  const std::vector<NamedBranch> listed = branches.list(main);
  const auto line_of_head = [&](storage::HeadId head) -> std::optional<WorldId> {
    if (head == storage::kMainHead) return main;
    const auto found = std::ranges::find(listed, head, &NamedBranch::number);
    return found == listed.end() ? std::nullopt : std::optional(found->world);
  };
  for (const storage::PinInfo& pin : store.pins()) {
    const std::optional<WorldId> line = line_of_head(pin.head);
    if (pin.kind != storage::PinKind::version || pin.dropping || !line) continue;
    if (const std::uint64_t given = versions.last(*line); pin.id > given)
      return too_old(list_of_versions(*line), "version", pin.id, given);
  }
  return {};
}

}  // namespace terrazzo::catalog
