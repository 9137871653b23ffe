#include "server/catalog/version_registry.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/branch_world.h"
#include "server/catalog/registry_json.h"

namespace terrazzo::catalog {

Status VersionRegistry::load(WorldId world, std::string_view json,
                             const std::function<bool(std::uint64_t version)>& needed) {
  const auto damaged = [&] {
    return Error{ErrorCode::internal,
                 "the versions of " + name_of_line(world) + " are damaged: restore its list of them from a backup"};
  };
  const nlohmann::json text = nlohmann::json::parse(json, nullptr, false);
  World loaded;
  if (!text.is_object() || !take(text, "last", loaded.last) || !text.contains("versions") ||
      !text["versions"].is_array())
    return damaged();
  for (const nlohmann::json& item : text["versions"]) {
    Entry entry;
    NamedVersion& version = entry.version;
    if (!item.is_object() || !take(item, "id", version.id) || !take(item, "name", version.name) ||
        !take(item, "author", version.author) || !take(item, "created_ms", version.created_ms) ||
        !take(item, "deleted", version.deleted) || !item.value("temporary", nlohmann::json(false)).is_boolean())
      return damaged();
    version.temporary = item.value("temporary", false);
    version.deleted = version.deleted || (version.temporary && !(needed && needed(version.id)));
    entry.committed = true;
    if (version.id == 0 || version.id > loaded.last ||
        (!loaded.entries.empty() && version.id <= loaded.entries.back().version.id))
      return damaged();
    loaded.entries.push_back(std::move(entry));
  }
  const std::lock_guard lock(mutex_);
  worlds_[world] = std::move(loaded);
  return {};
}

std::string VersionRegistry::to_json(WorldId world) const {
  return to_json_before(world, std::numeric_limits<std::uint64_t>::max());
}

std::string VersionRegistry::to_json_before(WorldId world, std::uint64_t before) const {
  const std::lock_guard lock(mutex_);
  nlohmann::json text{{"last", 0}, {"versions", nlohmann::json::array()}};
  if (const auto found = worlds_.find(world); found != worlds_.end()) {
    text["last"] = found->second.last;
    for (const auto& [version, committed, going] : found->second.entries)
      if (version.id < before)
        text["versions"].push_back({{"id", version.id},
                                    {"name", version.name},
                                    {"author", version.author},
                                    {"created_ms", version.created_ms},
                                    {"deleted", version.deleted || going},
                                    {"temporary", version.temporary}});
  }
  return to_file(text);
}

Result<NamedVersion> VersionRegistry::decide(WorldId world, const std::string& name, const std::string& author,
                                             std::int64_t now_ms, bool temporary) {
  if (name.empty() || name.size() > kNameBytesMax)
    return Error{ErrorCode::bad_message,
                 "a version has a name of 1 to " + std::to_string(kNameBytesMax) + " bytes: {\"name\": \"…\"}"};
  const std::lock_guard lock(mutex_);
  World& known = worlds_[world];
  for (const Entry& entry : known.entries)
    if (!temporary && !entry.version.deleted && !entry.version.temporary && entry.version.name == name)
      return Error{ErrorCode::already_exists,
                   "there is a version \"" + name + "\" already: choose another name, or delete that one first"};
  known.entries.push_back({{++known.last, name, author, now_ms, false, temporary}, false});
  return known.entries.back().version;
}

void VersionRegistry::commit(WorldId world, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : worlds_[world].entries)
    if (entry.version.id == id) entry.committed = true;
}

void VersionRegistry::withdraw(WorldId world, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(worlds_[world].entries, [&](const Entry& entry) { return entry.version.id == id; });
}

Status VersionRegistry::remove(WorldId world, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : worlds_[world].entries) {
    if (entry.version.id != id || entry.version.deleted || entry.going || !entry.committed) continue;
    entry.going = true;
    return {};
  }
  return Error{ErrorCode::not_found, "there is no version " + std::to_string(id)};
}

void VersionRegistry::removed(WorldId world, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : worlds_[world].entries)
    if (entry.version.id == id) entry.version.deleted = std::exchange(entry.going, false);
}

void VersionRegistry::bring_back(WorldId world, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : worlds_[world].entries)
    if (entry.version.id == id) entry.going = false;
}

std::vector<NamedVersion> VersionRegistry::list(WorldId world) const {
  const std::lock_guard lock(mutex_);
  std::vector<NamedVersion> all;
  if (const auto found = worlds_.find(world); found != worlds_.end())
    for (const auto& [version, committed, going] : found->second.entries)
      if (committed && !going && !version.deleted && !version.temporary) all.push_back(version);
  return all;
}

Result<NamedVersion> VersionRegistry::find(WorldId world, std::string_view id_or_name) const {
  std::uint64_t id = 0;
  const auto parsed = std::from_chars(id_or_name.data(), id_or_name.data() + id_or_name.size(), id);
  const bool number = parsed.ec == std::errc() && parsed.ptr == id_or_name.data() + id_or_name.size();
  const std::vector<NamedVersion> all = list(world);
  // A name counts before a number, because people give names.
  for (const NamedVersion& version : all)
    if (version.name == id_or_name) return version;
  for (const NamedVersion& version : all)
    if (number && version.id == id) return version;
  return Error{ErrorCode::not_found,
               "there is no version \"" + std::string(id_or_name) + "\": GET /v1/worlds/{world}/versions lists them"};
}

Result<NamedVersion> VersionRegistry::get(WorldId world, std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  if (const auto found = worlds_.find(world); found != worlds_.end())
    for (const auto& [version, committed, going] : found->second.entries)
      if (version.id == id && committed && !version.deleted) return version;
  return Error{ErrorCode::not_found, "there is no version " + std::to_string(id)};
}

void VersionRegistry::numbers(WorldId world, std::vector<std::uint64_t>& all,
                              std::vector<std::uint64_t>& deleted) const {
  const std::lock_guard lock(mutex_);
  const auto found = worlds_.find(world);
  if (found == worlds_.end()) return;
  for (const auto& [version, committed, going] : found->second.entries) {
    if (!committed) continue;
    all.push_back(version.id);
    if (version.deleted) deleted.push_back(version.id);
  }
}

std::uint64_t VersionRegistry::newest(WorldId world) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t newest = 0;
  if (const auto found = worlds_.find(world); found != worlds_.end())
    for (const Entry& entry : found->second.entries)
      if (entry.committed) newest = entry.version.id;
  return newest;
}

std::uint64_t VersionRegistry::last(WorldId world) const {
  const std::lock_guard lock(mutex_);
  const auto found = worlds_.find(world);
  return found == worlds_.end() ? 0 : found->second.last;
}

void VersionRegistry::forget(WorldId branch) {
  const std::lock_guard lock(mutex_);
  worlds_.erase(branch);
}

void VersionRegistry::forget_deleted() {
  const std::lock_guard lock(mutex_);
  for (auto& [world, known] : worlds_)
    std::erase_if(known.entries, [](const Entry& entry) { return entry.version.deleted; });
}

}  // namespace terrazzo::catalog
