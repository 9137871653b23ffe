#include "server/maintenance/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "server/io/durable_file.h"
#include "server/io/read_only_mapping.h"
#include "server/maintenance/packed_file.h"

namespace terrazzo::maintenance {
namespace {

namespace fs = std::filesystem;
constexpr int kFormat = 1;
constexpr std::string_view kManifest = "/manifest.json";

// Where a file of a data folder may be. A manifest comes from outside.
bool is_inside(const std::string& path) {
  const fs::path parts(path);
  return !path.empty() && parts.is_relative() &&
         std::ranges::none_of(parts, [](const fs::path& part) { return part == ".." || part == "."; });
}

struct Listed {
  std::string path;
  PackedFile file;
};

Result<std::vector<Listed>> read_manifest(const std::string& folder) {
  const std::string file = folder + std::string(kManifest);
  const auto damaged = [&] { return Error{ErrorCode::internal, file + " is damaged; take another backup"}; };
  const Result<std::string> text = io::read_file(file);
  if (!text && text.error().code == ErrorCode::not_found)
    return Error{ErrorCode::not_found, folder + " is no backup: it has no manifest.json, or was never finished"};
  if (!text) return text.error();
  const nlohmann::json manifest = nlohmann::json::parse(*text, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("format") || !manifest.contains("files") ||
      !manifest["files"].is_array())
    return damaged();
  if (manifest["format"] != kFormat)
    return Error{ErrorCode::unsupported,
                 fmt::format("{} has format {}, this program knows {}", file, manifest["format"].dump(), kFormat)};
  std::vector<Listed> all;
  for (const nlohmann::json& item : manifest["files"]) {
    if (!item.is_object() || !item.contains("path") || !item["path"].is_string() || !item.contains("bytes") ||
        !item["bytes"].is_number_unsigned() || !item.contains("sha256") || !item["sha256"].is_string())
      return damaged();
    Listed listed{item["path"].get<std::string>(),
                  {item["bytes"].get<std::uint64_t>(), item["sha256"].get<std::string>()}};
    if (!is_inside(listed.path)) return damaged();
    all.push_back(std::move(listed));
  }
  return all;
}

// Adds the files below `root`/`top`. Links are followed: `worlds` may be on another disk. What cannot be copied is an
// error, since a backup with a hole in it would only be noticed when it is needed.
Status add_below(const std::string& root, const std::string& top, std::vector<std::string>& files) {
  const std::string folder = root + "/" + top;
  std::error_code error;
  if (fs::symlink_status(folder, error).type() == fs::file_type::not_found) return {};
  fs::recursive_directory_iterator it(folder, fs::directory_options::follow_directory_symlink, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) continue;
    if (error || !it->is_regular_file(error))
      return Error{ErrorCode::internal, it->path().string() +
                                            " is neither a file nor a folder that can be read, so a backup would lack "
                                            "it; remove it, or mend the link"};
    // What programs on the same host tell each other while a server runs is nobody's content.
    if (it->path().extension() == ".readers") continue;
    files.push_back(it->path().lexically_relative(root).string());
  }
  if (error) return io::file_error(folder, "cannot be listed", error.value());
  return {};
}

// Files of a data folder that a backup holds: not the lock, and no secrets.
Result<std::vector<std::string>> files_of(const std::string& root) {
  std::vector<std::string> files{"node.json"};
  for (const char* top : {"worlds", "assets", "wal", "history"})
    if (Status added = add_below(root, top, files); !added) return added.error();
  std::ranges::sort(files);
  return files;
}

}  // namespace

// ---- writing ----

Result<BackupWriter> BackupWriter::create(const std::string& folder) {
  Result<PartialFolder> partial = PartialFolder::begin(folder);
  if (!partial) return partial.error();
  return BackupWriter(*std::move(partial));
}

Status BackupWriter::add_file(const std::string& path, const std::string& from) {
  Result<PackedFile> packed = pack_file(from, folder_.path() + "/" + path + ".zst");
  if (!packed) return packed.error();
  entries_.push_back({path, packed->sha256, packed->bytes});
  bytes_ += packed->bytes;
  return {};
}

Status BackupWriter::add_text(const std::string& path, std::string_view text) {
  const std::string plain = folder_.path() + "/text";
  if (Status written = io::replace_file(plain, text); !written) return written;
  Status added = add_file(path, plain);
  std::error_code error;
  fs::remove(plain, error);
  return added;
}

Status BackupWriter::add_shard(const std::string& path, const std::string& from, const ShardImage& image) {
  const Result<std::unique_ptr<io::ReadOnlyMapping>> file = io::ReadOnlyMapping::open(from);
  if (!file) return file.error();
  const std::string plain = folder_.path() + "/shard";
  if (Status written = write_shard_image((*file)->bytes(), image, plain); !written)
    return Error{written.error().code, from + ": " + written.error().message};
  Status added = add_file(path, plain);
  std::error_code error;
  fs::remove(plain, error);
  return added;
}

Status BackupWriter::finish() {
  nlohmann::json files = nlohmann::json::array();
  for (const Entry& entry : entries_)
    files.push_back({{"path", entry.path}, {"bytes", entry.bytes}, {"sha256", entry.sha256}});
  const nlohmann::json manifest{{"format", kFormat}, {"files", std::move(files)}};
  // What it lists is on disk before it says so.
  if (Status synced = folder_.sync(); !synced) return synced;
  const std::string file = folder_.path() + std::string(kManifest);
  if (Status written = io::replace_file(file, manifest.dump(1) + "\n"); !written) return written;
  return folder_.finish();
}

Status backup_directory(io::DataDirectory& data, const std::string& folder, const BackupProgress& progress) {
  if (Status alone = data.keep_servers_out(); !alone) return alone;
  const Result<std::vector<std::string>> files = files_of(data.path());
  if (!files) return files.error();
  Result<BackupWriter> writer = BackupWriter::create(folder);
  if (!writer) return writer.error();
  std::uint64_t total = 0;
  std::error_code error;
  for (const std::string& path : *files) total += fs::file_size(data.path() + "/" + path, error);
  for (const std::string& path : *files) {
    if (progress) progress(path, writer->bytes(), total);
    if (Status added = writer->add_file(path, data.path() + "/" + path); !added) return added;
  }
  if (progress) progress("manifest.json", total, total);
  return writer->finish();
}

// ---- restoring ----

Status restore_backup(const std::string& folder, const std::string& target, const BackupProgress& progress) {
  const Result<std::vector<Listed>> files = read_manifest(folder);
  if (!files) return files.error();
  Result<PartialFolder> into = PartialFolder::begin(target);
  if (!into) return into.error();
  std::uint64_t done = 0, total = 0;
  for (const Listed& listed : *files) total += listed.file.bytes;
  for (const Listed& listed : *files) {
    const auto within = [&](std::uint64_t bytes) {
      if (progress) progress(listed.path, done + bytes, total);
    };
    const Status unpacked =
        unpack_file(folder + "/" + listed.path + ".zst", into->path() + "/" + listed.path, listed.file, within);
    if (!unpacked) return unpacked;
    done += listed.file.bytes;
  }
  return into->finish();
}

}  // namespace terrazzo::maintenance
