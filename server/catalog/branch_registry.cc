#include "server/catalog/branch_registry.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/catalog/registry_json.h"

namespace terrazzo::catalog {

const BranchRegistry::World* BranchRegistry::of(WorldId world) const {
  const auto found = worlds_.find(main_world(world));
  return found == worlds_.end() ? nullptr : &found->second;
}

BranchRegistry::Entry* BranchRegistry::entry(const NamedBranch& branch) {
  for (Entry& each : worlds_[main_world(branch.world)].entries)
    if (each.branch.number == branch.number) return &each;
  return nullptr;
}

Status BranchRegistry::load(WorldId main, std::string_view json) {
  const auto damaged = [&] {
    return Error{ErrorCode::internal, "the branches of world " + std::to_string(main.value) +
                                          " are damaged: restore its branches.json from a backup"};
  };
  const nlohmann::json text = nlohmann::json::parse(json, nullptr, false);
  World loaded;
  if (!text.is_object() || !take(text, "last", loaded.last) || !take(text, "last_line", loaded.last_line) ||
      !text.contains("branches") || !text["branches"].is_array())
    return damaged();
  if (loaded.last_line >= kLinesMax) return damaged();
  // Of a branch that is there, the one it began in is listed before it: parents are older.
  const auto is_listed = [&](unsigned line) {
    return line == 0 || std::ranges::any_of(loaded.entries, [&](const Entry& each) {
             return line_of(each.branch.world) == line && !each.branch.deleted;
           });
  };
  for (const nlohmann::json& item : text["branches"]) {
    NamedBranch branch;
    unsigned line = 0, parent = 0;
    if (!item.is_object() || !take(item, "number", branch.number) || !take(item, "line", line) ||
        !take(item, "name", branch.name) || !take(item, "author", branch.author) ||
        !take(item, "created_ms", branch.created_ms) || !take(item, "parent_line", parent) ||
        !take(item, "origin", branch.origin) || !take(item, "own_origin", branch.own_origin) ||
        !take(item, "deleted", branch.deleted) || (item.contains("merged") && !take(item, "merged", branch.merged)))
      return damaged();
    if (branch.number == 0 || branch.number > loaded.last || line == 0 || line >= kLinesMax || parent >= kLinesMax ||
        (!loaded.entries.empty() && branch.number <= loaded.entries.back().branch.number))
      return damaged();
    if (!branch.deleted && (is_listed(line) || !is_listed(parent))) return damaged();
    branch.world = world_of_line(main, line);
    branch.parent = world_of_line(main, parent);
    loaded.entries.push_back({std::move(branch), true, false});
  }
  const std::lock_guard lock(mutex_);
  worlds_[main] = std::move(loaded);
  return {};
}

std::string BranchRegistry::to_json(WorldId world) const {
  const std::lock_guard lock(mutex_);
  nlohmann::json text{{"last", 0}, {"last_line", 0}, {"branches", nlohmann::json::array()}};
  if (const World* const known = of(world)) {
    text["last"] = known->last;
    text["last_line"] = known->last_line;
    for (const auto& [branch, committed, going] : known->entries)
      text["branches"].push_back({{"number", branch.number},
                                  {"line", line_of(branch.world)},
                                  {"name", branch.name},
                                  {"author", branch.author},
                                  {"created_ms", branch.created_ms},
                                  {"parent_line", line_of(branch.parent)},
                                  {"origin", branch.origin},
                                  {"own_origin", branch.own_origin},
                                  {"merged", branch.merged},
                                  {"deleted", branch.deleted || going}});
  }
  return to_file(text);
}

Status BranchRegistry::check_name(const std::string& name) {
  if (!name.empty() && name.size() <= kNameBytesMax && name.find_first_of("@/") == std::string::npos) return {};
  return Error{ErrorCode::bad_message, "a branch has a name of 1 to " + std::to_string(kNameBytesMax) +
                                           " bytes without @ and /: {\"name\": \"…\"}"};
}

Result<unsigned> BranchRegistry::free_line(const World& known, const std::string& name) {
  if (Status fits = check_name(name); !fits) return fits.error();
  for (const Entry& each : known.entries)
    if (!each.branch.deleted && each.branch.name == name)
      return Error{ErrorCode::already_exists,
                   "there is a branch \"" + name + "\" already: choose another name, or drop that one first"};
  std::vector<bool> taken(kLinesMax);
  for (const Entry& each : known.entries) taken[line_of(each.branch.world)] = true;
  // Round and round, so that an id comes again as late as possible.
  unsigned line = known.last_line;
  for (unsigned tries = 1; tries < kLinesMax; ++tries) {
    line = line + 1 == kLinesMax ? 1 : line + 1;
    if (!taken[line]) return line;
  }
  return Error{ErrorCode::overloaded, "a world has at most " + std::to_string(kLinesMax - 1) +
                                          " branches. Those that were dropped count until the log has no edits of them "
                                          "any more: drop some, and restart the server, twice if they were edited"};
}

Status BranchRegistry::check_free(WorldId world, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const World* const known = of(world);
  const Result<unsigned> line = free_line(known == nullptr ? World() : *known, name);
  return line ? Status() : Status(line.error());
}

Result<NamedBranch> BranchRegistry::decide(WorldId parent, const std::string& name, const std::string& author,
                                           std::int64_t now_ms, std::uint64_t origin, bool own_origin) {
  const std::lock_guard lock(mutex_);
  World& known = worlds_[main_world(parent)];
  const Result<unsigned> line = free_line(known, name);
  if (!line) return line.error();
  known.last_line = *line;
  known.entries.push_back({{++known.last, world_of_line(main_world(parent), *line), name, author, now_ms, parent,
                            origin, own_origin, false},
                           false,
                           false});
  return known.entries.back().branch;
}

void BranchRegistry::commit(const NamedBranch& branch) {
  const std::lock_guard lock(mutex_);
  if (Entry* const known = entry(branch)) known->committed = true;
}

void BranchRegistry::withdraw(const NamedBranch& branch) {
  const std::lock_guard lock(mutex_);
  std::erase_if(worlds_[main_world(branch.world)].entries,
                [&](const Entry& each) { return each.branch.number == branch.number; });
}

Status BranchRegistry::remove(const NamedBranch& branch) {
  const std::lock_guard lock(mutex_);
  Entry* const known = entry(branch);
  if (known == nullptr || !known->there() || known->going)
    return Error{ErrorCode::not_found, "there is no branch \"" + branch.name + "\""};
  for (const Entry& each : worlds_[main_world(branch.world)].entries)
    if (!each.branch.deleted && each.branch.parent == branch.world)
      return Error{ErrorCode::conflict,
                   "the branch \"" + each.branch.name + "\" began in \"" + branch.name + "\": drop that one first"};
  known->going = true;
  return {};
}

void BranchRegistry::removed(const NamedBranch& branch) {
  const std::lock_guard lock(mutex_);
  if (Entry* const known = entry(branch)) known->branch.deleted = std::exchange(known->going, false);
}

void BranchRegistry::bring_back(const NamedBranch& branch) {
  const std::lock_guard lock(mutex_);
  if (Entry* const known = entry(branch)) known->going = false;
}

std::vector<NamedBranch> BranchRegistry::list(WorldId world) const {
  const std::lock_guard lock(mutex_);
  std::vector<NamedBranch> all;
  if (const World* const known = of(world))
    for (const Entry& each : known->entries)
      if (each.there() && !each.going) all.push_back(each.branch);
  return all;
}

Result<NamedBranch> BranchRegistry::find(WorldId world, std::string_view name) const {
  for (const NamedBranch& branch : list(world))
    if (branch.name == name) return branch;
  return Error{ErrorCode::not_found, "there is no branch \"" + std::string(name) +
                                         "\": GET /v1/worlds/{world}/branches lists those there are"};
}

std::optional<NamedBranch> BranchRegistry::get(WorldId branch) const {
  const std::lock_guard lock(mutex_);
  if (const World* const known = of(branch))
    for (const Entry& each : known->entries)
      if (each.there() && each.branch.world == branch) return each.branch;
  return std::nullopt;
}

bool BranchRegistry::was_dropped(WorldId branch) const {
  const std::lock_guard lock(mutex_);
  const World* const known = of(branch);
  return known != nullptr && std::ranges::any_of(known->entries, [&](const Entry& each) {
           return each.branch.world == branch && each.branch.deleted;
         });
}

std::vector<storage::HeadId> BranchRegistry::numbers(WorldId world) const {
  const std::lock_guard lock(mutex_);
  std::vector<storage::HeadId> all;
  if (const World* const known = of(world))
    for (const Entry& each : known->entries)
      if (each.there()) all.push_back(each.branch.number);
  return all;
}

storage::HeadId BranchRegistry::last(WorldId world) const {
  const std::lock_guard lock(mutex_);
  const World* const known = of(world);
  return known == nullptr ? 0 : known->last;
}

std::optional<NamedBranch> BranchRegistry::began_at(WorldId line, std::uint64_t version) const {
  const std::lock_guard lock(mutex_);
  if (const World* const known = of(line))
    for (const Entry& each : known->entries)
      if (!each.branch.deleted && each.branch.parent == line && each.branch.origin == version) return each.branch;
  return std::nullopt;
}

void BranchRegistry::set_merged(WorldId branch, std::uint64_t version) {
  const std::lock_guard lock(mutex_);
  const auto known = worlds_.find(main_world(branch));
  if (known == worlds_.end()) return;
  for (Entry& each : known->second.entries)
    if (each.there() && each.branch.world == branch) each.branch.merged = version;
}

bool BranchRegistry::is_needed(WorldId line, std::uint64_t version) const {
  const std::optional<NamedBranch> own = get(line);
  return (own && own->merged == version) || began_at(line, version).has_value();
}

void BranchRegistry::forget_deleted(const std::unordered_set<WorldId>& seen) {
  const std::lock_guard lock(mutex_);
  for (auto& [main, known] : worlds_)
    std::erase_if(known.entries,
                  [&](const Entry& each) { return each.branch.deleted && !seen.contains(each.branch.world); });
}

}  // namespace terrazzo::catalog
