#include "server/maintenance/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "server/io/durable_file.h"
#include "server/io/read_only_mapping.h"
#include "server/io/read_only_page_file.h"
#include "server/maintenance/backup_shards.h"
#include "server/maintenance/packed_file.h"
#include "server/maintenance/sha256.h"

namespace terrazzo::maintenance {
namespace {

namespace fs = std::filesystem;

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
  std::error_code error;
  if (fs::exists(root + "/users.names", error)) files.emplace_back("users.names");
  for (const char* top : {"worlds", "assets", "wal", "history"})
    if (Status added = add_below(root, top, files); !added) return added.error();
  std::ranges::sort(files);
  return files;
}

// Shards of known worlds, by their files' paths in the data folder.
Result<std::map<std::string, storage::ShardIdentity>> shards_of(const io::DataDirectory& data) {
  std::map<std::string, storage::ShardIdentity> shards;
  const Result<std::vector<WorldId>> worlds = data.list_worlds();
  if (!worlds) return worlds.error();
  for (const WorldId world : *worlds) {
    const Result<std::vector<io::ShardFile>> files = data.list_shards(world);
    if (!files) return files.error();
    for (const io::ShardFile& at : *files)
      shards[fs::path(data.shard_path(world, at.x, at.y)).lexically_relative(data.path()).string()] = {world, at.x,
                                                                                                       at.y};
  }
  return shards;
}

Error in_file(const std::string& file, const Error& error) {
  return {error.code, file + ": " + error.message};
}

}  // namespace

// ---- writing ----

Result<BackupWriter> BackupWriter::create(const std::string& folder, const std::string& since) {
  BackupChain chain;
  if (!since.empty()) {
    if (fs::path(whole_name(since)).parent_path() != fs::path(whole_name(folder)).parent_path())
      return Error{
          ErrorCode::bad_message,
          fmt::format("{} is not beside {}: backups that build on each other stay in one folder", since, folder)};
    Result<BackupChain> found = open_backup_chain(since);
    if (!found) return found.error();
    chain = *std::move(found);
  }
  Result<PartialFolder> partial = PartialFolder::begin(folder);
  if (!partial) return partial.error();
  BackupWriter writer(*std::move(partial), std::move(chain));
  if (!writer.chain_.empty()) {
    const BackupLink& base = writer.chain_.front();
    writer.manifest_.base = {fs::path(base.folder).filename().string(), base.sha256};
  }
  return writer;
}

bool BackupWriter::base_has(const std::string& path, const PackedFile& packed) const {
  if (chain_.empty()) return false;
  const auto& files = chain_.front().manifest.files;
  const auto found = files.find(path);
  return found != files.end() && found->second.packed == packed;
}

Status BackupWriter::add_file(const std::string& path, const std::string& from) {
  if (!chain_.empty() && chain_.front().manifest.files.contains(path)) {
    const Result<PackedFile> now = hash_file(from);
    if (!now) return now.error();
    if (base_has(path, *now)) {
      manifest_.files[path] = {*now, true};
      return {};
    }
  }
  Result<PackedFile> packed = pack_file(from, folder_.path() + "/" + path + ".zst");
  if (!packed) return packed.error();
  manifest_.files[path] = {*std::move(packed), false};
  return {};
}

Status BackupWriter::add_text(const std::string& path, std::string_view text) {
  const PackedFile now{text.size(), sha256_hex(text)};
  const bool in_base = base_has(path, now);
  if (!in_base) {
    Result<PackWriter> out = PackWriter::create(folder_.path() + "/" + path + ".zst");
    if (!out) return out.error();
    if (Status written = out->write(std::as_bytes(std::span(text))); !written) return written;
    if (const Result<PackedFile> packed = out->finish(); !packed) return packed.error();
  }
  manifest_.files[path] = {now, in_base};
  return {};
}

// Where the base has the shard, one page in 257 is looked at, and what changed.
io::Reads BackupWriter::reads(const std::string& path) const {
  const bool in_base = !chain_.empty() && chain_.front().manifest.shards.contains(path);
  return in_base ? io::Reads::here_and_there : io::Reads::all;
}

Status BackupWriter::add_shard(const std::string& path, const std::string& from, const ShardImage& image) {
  const Result<std::unique_ptr<io::ReadOnlyMapping>> file = io::ReadOnlyMapping::open(from, reads(path));
  if (!file) return file.error();
  if (Status added = add_trees(path, (*file)->bytes(), image); !added) return in_file(from, added.error());
  if (!(*file)->faulted()) return {};
  return Error{ErrorCode::internal, from + " was cut off while it was copied; stop the server and restore the file"};
}

Status BackupWriter::add_closed_shard(const std::string& path, const std::string& from,
                                      const storage::ShardIdentity& identity) {
  const Result<std::unique_ptr<io::ReadOnlyPageFile>> file = io::ReadOnlyPageFile::open(from, reads(path));
  if (!file) return file.error();
  const Result<std::unique_ptr<storage::ShardStore>> opened = storage::ShardStore::open(**file, identity);
  if (!opened) return in_file(from, opened.error());
  const storage::ShardStore& store = **opened;
  ShardImage image{identity, store.lsn(), store.top(), store.branch_states(), {}, store.aux()};
  for (const storage::PinInfo& pin : store.pins())
    if (!pin.dropping && pin.kind != storage::PinKind::snapshot) image.pins.push_back(pin);
  const std::span<const std::byte> bytes((*file)->base(), std::size_t{(*file)->page_count()} * storage::kPageBytes);
  const Status added = add_trees(path, bytes, image);
  return added ? added : in_file(from, added.error());
}

Status BackupWriter::add_trees(const std::string& path, std::span<const std::byte> file, const ShardImage& image) {
  std::optional<ShardTrees> base;
  if (reads(path) == io::Reads::here_and_there) {
    Result<ShardTrees> known = read_trees(chain_, path);
    if (!known) return known.error();
    if (known->roots.identity == image.identity) base = *std::move(known);
  }
  Result<BackupManifest::Shard> written =
      write_shard(folder_.path() + "/" + path, file, image, base ? &*base : nullptr);
  if (!written) return written.error();
  manifest_.shards[path] = *std::move(written);
  return {};
}

Status BackupWriter::finish() {
  // What it lists is on disk before it says so.
  if (Status synced = folder_.sync(); !synced) return synced;
  const std::string file = folder_.path() + "/" + kManifestName;
  if (Status written = io::replace_file(file, manifest_.to_json()); !written) return written;
  return folder_.finish();
}

Status backup_directory(io::DataDirectory& data, const std::string& folder, const std::string& since,
                        const BackupProgress& progress) {
  if (Status alone = data.keep_servers_out(); !alone) return alone;
  const Result<std::vector<std::string>> files = files_of(data.path());
  if (!files) return files.error();
  const Result<std::map<std::string, storage::ShardIdentity>> shards = shards_of(data);
  if (!shards) return shards.error();
  Result<BackupWriter> writer = BackupWriter::create(folder, since);
  if (!writer) return writer.error();
  std::uint64_t done = 0, total = 0;
  std::error_code error;
  for (const std::string& path : *files) total += fs::file_size(data.path() + "/" + path, error);
  for (const std::string& path : *files) {
    if (progress) progress(path, done, total);
    const std::string from = data.path() + "/" + path;
    const auto shard = shards->find(path);
    const Status added =
        shard == shards->end() ? writer->add_file(path, from) : writer->add_closed_shard(path, from, shard->second);
    if (!added) return added;
    done += fs::file_size(from, error);
  }
  if (progress) progress(kManifestName, total, total);
  return writer->finish();
}

// ---- restoring ----

namespace {

// The backup of a chain that has a file's bytes.
Result<const BackupLink*> holder_of(const BackupChain& chain, const std::string& path) {
  const BackupManifest::File* wanted = nullptr;
  for (const BackupLink& link : chain) {
    const auto found = link.manifest.files.find(path);
    if (found == link.manifest.files.end() || (wanted != nullptr && found->second.packed != wanted->packed)) break;
    wanted = &found->second;
    if (!wanted->in_base) return &link;
  }
  return Error{ErrorCode::internal, path + " is in none of the backups that should have it; take another backup"};
}

std::uint64_t bytes_of(const BackupManifest& manifest) {
  std::uint64_t total = 0;
  for (const auto& [path, file] : manifest.files) total += file.packed.bytes;
  for (const auto& [path, shard] : manifest.shards) total += shard.trees.bytes + shard.cells.bytes;
  return total;
}

}  // namespace

Status restore_backup(const std::string& folder, const std::string& target, const BackupProgress& progress) {
  const Result<BackupChain> chain = open_backup_chain(folder);
  if (!chain) return chain.error();
  Result<PartialFolder> into = PartialFolder::begin(target);
  if (!into) return into.error();
  const BackupManifest& manifest = chain->front().manifest;
  std::uint64_t done = 0, total = bytes_of(manifest);
  for (const auto& [path, file] : manifest.files) {
    const auto within = [&](std::uint64_t bytes) {
      if (progress) progress(path, done + bytes, total);
    };
    const Result<const BackupLink*> link = holder_of(*chain, path);
    if (!link) return link.error();
    const Status unpacked = unpack_file((*link)->packed(path), into->path() + "/" + path, file.packed, within);
    if (!unpacked) return unpacked;
    done += file.packed.bytes;
  }
  for (const auto& [path, shard] : manifest.shards) {
    if (progress) progress(path, done, total);
    if (Status restored = restore_shard(*chain, path, into->path() + "/" + path); !restored) return restored;
    done += shard.trees.bytes + shard.cells.bytes;
  }
  return into->finish();
}

}  // namespace terrazzo::maintenance
