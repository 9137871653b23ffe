#include "server/maintenance/backup_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "server/io/durable_file.h"
#include "server/maintenance/partial_folder.h"
#include "server/maintenance/sha256.h"
#include "shardfile/page_layout.h"

namespace terrazzo::maintenance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Where a file of a data folder may be. A manifest comes from outside.
bool is_inside(const std::string& path) {
  const fs::path parts(path);
  return !path.empty() && parts.is_relative() &&
         std::ranges::none_of(parts, [](const fs::path& part) { return part == ".." || part == "."; });
}

bool take(const Json& object, const char* member, std::string& to) {
  const auto found = object.find(member);
  if (found == object.end() || !found->is_string()) return false;
  to = found->get<std::string>();
  return true;
}

bool take(const Json& object, PackedFile& to) {
  if (!object.is_object() || !object.contains("bytes") || !object["bytes"].is_number_unsigned()) return false;
  to.bytes = object["bytes"].get<std::uint64_t>();
  return take(object, "sha256", to.sha256);
}

// Where a file or a shard belongs, and whether the base has it, which a backup that builds on none cannot say.
bool take_place(const Json& object, bool has_base, std::string& path, bool& in_base) {
  if (!object.is_object() || !take(object, "path", path) || !is_inside(path)) return false;
  const auto found = object.find("in_base");
  if (found == object.end()) return true;
  if (!found->is_boolean()) return false;
  in_base = found->get<bool>();
  return !in_base || has_base;
}

bool parse(const Json& text, BackupManifest& manifest) {
  if (const auto base = text.find("base"); base != text.end()) {
    manifest.base.emplace();
    // A folder beside the backup, and no other.
    if (!base->is_object() || !take(*base, "name", manifest.base->name) ||
        !take(*base, "sha256", manifest.base->sha256) || !is_inside(manifest.base->name) ||
        fs::path(manifest.base->name).filename() != manifest.base->name)
      return false;
  }
  const auto files = text.find("files"), shards = text.find("shards");
  if (files == text.end() || !files->is_array() || shards == text.end() || !shards->is_array()) return false;
  const bool has_base = manifest.base.has_value();
  std::string path;
  for (const Json& item : *files) {
    BackupManifest::File file;
    if (!take_place(item, has_base, path, file.in_base) || !take(item, file.packed) ||
        !manifest.files.emplace(path, std::move(file)).second)
      return false;
  }
  for (const Json& item : *shards) {
    BackupManifest::Shard shard;
    if (!take_place(item, has_base, path, shard.in_base) || !item.contains("trees") ||
        !take(item["trees"], shard.trees) || !item.contains("cells") || !take(item["cells"], shard.cells) ||
        shard.cells.bytes % shardfile::kPageBytes != 0 || !manifest.shards.emplace(path, std::move(shard)).second)
      return false;
  }
  return true;
}

Json to_json(const PackedFile& packed) {
  return {{"bytes", packed.bytes}, {"sha256", packed.sha256}};
}

Result<BackupLink> open_link(const std::string& folder) {
  const std::string file = folder + "/" + kManifestName;
  const Result<std::string> text = io::read_file(file);
  if (!text && text.error().code == ErrorCode::not_found)
    return Error{ErrorCode::not_found, folder + " is no backup: it has no manifest.json, or was never finished"};
  if (!text) return text.error();
  Result<BackupManifest> manifest = BackupManifest::from_json(*text, file);
  if (!manifest) return manifest.error();
  return BackupLink{folder, *std::move(manifest), sha256_hex(*text)};
}

}  // namespace

std::string BackupManifest::to_json() const {
  Json text{{"format", kFormat}, {"files", Json::array()}, {"shards", Json::array()}};
  if (base) text["base"] = {{"name", base->name}, {"sha256", base->sha256}};
  for (const auto& [path, file] : files) {
    Json item = maintenance::to_json(file.packed);
    item["path"] = path;
    if (file.in_base) item["in_base"] = true;
    text["files"].push_back(std::move(item));
  }
  for (const auto& [path, shard] : shards) {
    Json item{
        {"path", path}, {"trees", maintenance::to_json(shard.trees)}, {"cells", maintenance::to_json(shard.cells)}};
    if (shard.in_base) item["in_base"] = true;
    text["shards"].push_back(std::move(item));
  }
  return text.dump(1) + "\n";
}

Result<BackupManifest> BackupManifest::from_json(const std::string& text, const std::string& what) {
  const Json parsed = Json::parse(text, nullptr, false);
  const auto damaged = [&] { return Error{ErrorCode::internal, what + " is damaged; take another backup"}; };
  if (!parsed.is_object() || !parsed.contains("format")) return damaged();
  if (parsed["format"] != kFormat)
    return Error{ErrorCode::unsupported,
                 fmt::format("{} has format {}, this program knows {}: use the version that wrote it", what,
                             parsed["format"].dump(), kFormat)};
  BackupManifest manifest;
  if (!parse(parsed, manifest)) return damaged();
  return manifest;
}

Result<BackupChain> open_backup_chain(const std::string& folder) {
  Result<BackupLink> link = open_link(whole_name(folder));
  if (!link) return link.error();
  BackupChain chain;
  chain.push_back(*std::move(link));
  while (const auto& base = chain.back().manifest.base) {
    const BackupLink& above = chain.back();
    const std::string place = (fs::path(above.folder).parent_path() / base->name).string();
    link = open_link(place);
    if (!link && link.error().code == ErrorCode::not_found)
      return Error{
          ErrorCode::not_found,
          fmt::format("{} holds only what changed since the backup \"{}\", which is missing: put it back as {}",
                      above.folder, base->name, place)};
    if (!link) return link.error();
    if (link->sha256 != base->sha256)
      return Error{ErrorCode::conflict,
                   fmt::format("{} holds what changed since another backup than {}: that one's manifest.json had the "
                               "SHA-256 {}, this one's has {}; put the right one in its place",
                               above.folder, place, base->sha256, link->sha256)};
    chain.push_back(*std::move(link));
  }
  return chain;
}

}  // namespace terrazzo::maintenance
