#include "server/io/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/branch_world.h"
#include "server/io/durable_file.h"

namespace terrazzo::io {
namespace {

namespace fs = std::filesystem;
constexpr int kFormatVersion = 1;

Error failed(const std::string& path, const char* what) {
  return file_error(path, what, errno);
}

template <class Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Status random_bytes(void* to, std::size_t size) {
  return ::getrandom(to, size, 0) == static_cast<ssize_t>(size)
             ? Status()
             : Error{ErrorCode::internal,
                     fmt::format(
                         "getrandom: the kernel gives no random numbers: {}; check that the container allows that call",
                         std::strerror(errno))};
}

// Names in a folder; none where there is no folder.
Result<std::vector<std::string>> list(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return file_error(path, "cannot be listed", error.value());
  std::ranges::sort(names);
  return names;
}

// <x>_<y>.shard
bool parse_shard(std::string_view name, ShardFile& shard) {
  const std::size_t bar = name.find('_');
  return name.ends_with(".shard") && bar != std::string_view::npos && parse(name.substr(0, bar), shard.x) &&
         parse(name.substr(bar + 1, name.size() - bar - 7), shard.y);
}

// <incarnation>-<number>.wal
bool parse_segment(std::string_view name, std::string_view ending, SegmentName& segment) {
  const std::size_t dash = name.find('-');
  return name.ends_with(ending) && dash != std::string_view::npos &&
         parse(name.substr(0, dash), segment.incarnation.value) &&
         parse(name.substr(dash + 1, name.size() - dash - 1 - ending.size()), segment.number);
}

}  // namespace

std::string file_of(const SegmentName& segment) {
  return fmt::format("wal/core-{:02}/{}-{}.wal", segment.core, segment.incarnation.value, segment.number);
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const std::string& path) {
  if (Status made = make_folder(path); !made) return made.error();
  std::error_code error;
  const fs::path absolute = fs::canonical(path, error);
  if (error) return file_error(path, "cannot be found", error.value());
  std::unique_ptr<DataDirectory> data(new DataDirectory(absolute.string()));
  for (const auto step : {&DataDirectory::lock, &DataDirectory::load_node, &DataDirectory::load_secret})
    if (Status done = (data.get()->*step)(); !done) return done.error();
  for (const char* folder : {"/wal", "/worlds", "/assets"})
    if (Status made = make_folder(data->path_ + folder); !made) return made.error();
  return data;
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::look_at(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::canonical(path, error);
  if (error) return file_error(path, "cannot be found", error.value());
  std::unique_ptr<DataDirectory> data(new DataDirectory(absolute.string()));
  const Result<bool> there = data->exists(data->path_ + "/node.json");
  if (!there) return there.error();
  if (!*there) return Error{ErrorCode::not_found, path + " is no data folder of a server: it has no node.json"};
  const Result<NodeFile> node = data->read_node();
  if (!node) return node.error();
  data->incarnation_ = Incarnation{node->incarnation};
  data->stamped_us_ = node->stamped_us;
  return data;
}

std::string DataDirectory::holder() const {
  const int fd = ::open((path_ + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string name;
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0) {
    char text[32] = {};
    name = ::pread(fd, text, sizeof text - 1, 0) > 0 ? text : "unknown";
  }
  ::close(fd);
  return name;
}

Status DataDirectory::keep_servers_out() {
  const std::string file = path_ + "/LOCK";
  lock_fd_ = ::open(file.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return failed(file, "cannot be opened");
  if (::flock(lock_fd_, LOCK_SH | LOCK_NB) == 0) return {};
  return Error{ErrorCode::conflict, path_ + " is in use by a server (process " + holder() + ")"};
}

DataDirectory::~DataDirectory() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Status DataDirectory::lock() {
  const std::string file = path_ + "/LOCK";
  lock_fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return failed(file, "cannot be opened");
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t size = ::pread(lock_fd_, holder, sizeof holder - 1, 0);
    return Error{
        ErrorCode::conflict,
        fmt::format("{} is in use by another server (process {}): stop it, or give this one another --data folder",
                    path_, size > 0 ? holder : "unknown")};
  }
  const std::string own = std::to_string(::getpid());
  if (::ftruncate(lock_fd_, 0) != 0 || ::pwrite(lock_fd_, own.data(), own.size(), 0) < 0)
    return failed(file, "cannot be written");
  return {};
}

// Of the last run.
Result<DataDirectory::NodeFile> DataDirectory::read_node() const {
  const std::string file = path_ + "/node.json";
  const Result<std::string> text = read_file(file);
  if (!text) return text.error();
  const nlohmann::json node = nlohmann::json::parse(*text, nullptr, false);
  if (!node.is_object() || !node.value("format", nlohmann::json()).is_number_unsigned() ||
      !node.value("incarnation", nlohmann::json()).is_number_unsigned()) {
    return Error{ErrorCode::internal,
                 file + " is damaged: restore it from a backup, it must hold \"format\" and \"incarnation\""};
  }
  if (node["format"] != kFormatVersion) {
    return Error{ErrorCode::unsupported,
                 fmt::format("{} says format {}, this server knows {}: use the version that wrote it", file,
                             node["format"].dump(), kFormatVersion)};
  }
  const nlohmann::json stamped = node.value("stamped_us", nlohmann::json(0u));
  if (!stamped.is_number_unsigned())
    return Error{ErrorCode::internal, file + " is damaged: restore it from a backup, \"stamped_us\" is no number"};
  return NodeFile{node["incarnation"].get<std::uint64_t>(), stamped.get<std::uint64_t>()};
}

Status DataDirectory::write_node() const {
  const nlohmann::json node{
      {"format", kFormatVersion}, {"incarnation", incarnation_.value}, {"stamped_us", stamped_us_}};
  return replace_file(path_ + "/node.json", node.dump(2) + "\n");
}

Status DataDirectory::note_stamp(std::uint64_t stamped_us) {
  if (stamped_us <= stamped_us_) return {};
  stamped_us_ = stamped_us;
  return write_node();
}

// Without node.json: counting from 1 again would give new log segments and edits over several shards the names of old
// ones.
Status DataDirectory::expect_nothing_yet() const {
  const Result<std::vector<std::string>> worlds = list(path_ + "/worlds");
  if (!worlds) return worlds.error();
  const Result<std::vector<SegmentName>> segments = list_segments();
  if (!segments) return segments.error();
  if (worlds->empty() && segments->empty()) return {};
  return Error{ErrorCode::internal,
               path_ +
                   " holds worlds or logs, but its node.json is missing: restore it from a backup, and set its "
                   "\"incarnation\" to more than any number that a name in wal/ or history/ begins with"};
}

Status DataDirectory::load_node() {
  const std::string file = path_ + "/node.json";
  NodeFile before;
  const Result<bool> there = exists(file);
  if (!there) return there.error();
  if (*there) {
    const Result<NodeFile> read = read_node();
    if (!read) return read.error();
    before = *read;
  } else if (Status fresh = expect_nothing_yet(); !fresh) {
    return fresh;
  }
  incarnation_ = Incarnation{before.incarnation + 1};
  stamped_us_ = before.stamped_us;
  return write_node();
}

Status DataDirectory::load_secret() {
  const std::string file = path_ + "/node.secret";
  const Result<bool> there = exists(file);
  if (!there) return there.error();
  if (!*there) {
    if (Status made = random_bytes(secret_.data(), secret_.size()); !made) return made;
    return replace_file(file, {reinterpret_cast<const char*>(secret_.data()), secret_.size()});
  }
  const Result<std::string> bytes = read_file(file);
  if (!bytes) return bytes.error();
  if (bytes->size() != secret_.size())
    return Error{ErrorCode::internal,
                 file + " is damaged: remove it, and clients start new sessions instead of resuming theirs"};
  std::memcpy(secret_.data(), bytes->data(), secret_.size());
  return {};
}

// Only "no such file" means that there is none: what cannot be looked at may be full of a world.
Result<bool> DataDirectory::exists(const std::string& file) const {
  if (::access(file.c_str(), F_OK) == 0) return true;
  if (errno == ENOENT) return false;
  return failed(file, "cannot be looked for");
}

// ---- worlds ----

std::string DataDirectory::world_folder(WorldId world) const {
  return fmt::format("{}/worlds/{}", path_, main_world(world).value);
}

std::string DataDirectory::shard_path(WorldId world, std::int32_t x, std::int32_t y) const {
  return fmt::format("{}/{}_{}.shard", world_folder(world), x, y);
}

Status DataDirectory::make_shard_folder(WorldId world) {
  return have_folder(world_folder(world));
}

// That it exists is not enough: its name may never have got to disk, and all that is in it is lost with that.
Status DataDirectory::have_folder(const std::string& path) const {
  {
    const std::lock_guard lock(mutex_);
    if (durable_folders_.contains(path)) return {};
  }
  if (Status made = make_folder(path); !made) return made;
  const std::lock_guard lock(mutex_);
  durable_folders_.insert(path);
  return {};
}

Status DataDirectory::sync_worlds() const {
  if (Status synced = sync_folder(path_ + "/worlds"); !synced) return synced;
  const Result<std::vector<WorldId>> worlds = list_worlds();
  if (!worlds) return worlds.error();
  for (const WorldId world : *worlds)
    if (Status synced = sync_folder(world_folder(world)); !synced) return synced;
  return {};
}

Result<std::vector<WorldId>> DataDirectory::list_worlds() const {
  const Result<std::vector<std::string>> names = list(path_ + "/worlds");
  if (!names) return names.error();
  std::vector<WorldId> worlds;
  for (const std::string& name : *names) {
    WorldId id;
    if (!parse(name, id.value) || line_of(id) != 0) continue;
    const Result<bool> there = exists(world_folder(id) + "/world.json");
    if (!there) return there.error();
    // A folder without metadata is what a crash left of a world that nobody was told of.
    if (*there) worlds.push_back(id);
  }
  return worlds;
}

Result<std::string> DataDirectory::read_world(WorldId world) const {
  return read_file(world_folder(world) + "/world.json");
}

Status DataDirectory::write_world(WorldId world, std::string_view json) {
  if (Status made = make_shard_folder(world); !made) return made;
  const std::string file = world_folder(world) + "/world.json";
  Status written = replace_file(file, json);
  // It may be there under its name, and only not for certain. Left so, a world that nobody was told of would meet the
  // one that is made when it is tried again, and the next start refuses two of one name.
  if (!written) ::unlink(file.c_str());
  return written;
}

Status DataDirectory::replace_world(WorldId world, std::string_view json) {
  return replace_file(world_folder(world) + "/world.json", json);
}

std::string DataDirectory::versions_file(WorldId world) const {
  const unsigned line = line_of(world);
  return line == 0 ? world_folder(world) + "/versions.json"
                   : fmt::format("{}/versions-{}.json", world_folder(world), line);
}

Result<std::string> DataDirectory::read_versions(WorldId world) const {
  return read_file(versions_file(world));
}

Status DataDirectory::write_versions(WorldId world, std::string_view json) {
  return replace_file(versions_file(world), json);
}

Status DataDirectory::remove_versions(WorldId branch) {
  TZ_ASSERT(line_of(branch) != 0);
  const std::string file = versions_file(branch);
  return ::unlink(file.c_str()) == 0 || errno == ENOENT ? Status() : Status(failed(file, "cannot be removed"));
}

Result<std::string> DataDirectory::read_branches(WorldId world) const {
  return read_file(world_folder(world) + "/branches.json");
}

Status DataDirectory::write_branches(WorldId world, std::string_view json) {
  return replace_file(world_folder(world) + "/branches.json", json);
}

Result<WorldId> DataDirectory::new_world_id() const {
  for (;;) {
    std::uint64_t id = 0;
    if (Status made = random_bytes(&id, sizeof id); !made) return made.error();
    id = main_world(WorldId{id}).value;
    if (id == 0) continue;
    const Result<bool> there = exists(world_folder(WorldId{id}));
    if (!there) return there.error();
    if (!*there) return WorldId{id};
  }
}

Result<std::vector<ShardFile>> DataDirectory::list_shards(WorldId world) const {
  const Result<std::vector<std::string>> names = list(world_folder(world));
  if (!names) return names.error();
  std::vector<ShardFile> shards;
  ShardFile shard;
  for (const std::string& name : *names)
    if (parse_shard(name, shard)) shards.push_back(shard);
  return shards;
}

// ---- assets ----

std::string DataDirectory::asset_path(const std::string& hash) const {
  return fmt::format("{}/assets/{}/{}", path_, hash.substr(0, 2), hash.substr(2));
}

Status DataDirectory::write_asset(const std::string& hash, std::string_view bytes) {
  TZ_ASSERT(hash.size() == 64);
  const std::string file = asset_path(hash);
  const Result<bool> there = exists(file);
  if (!there) return there.error();
  const std::string folder = fs::path(file).parent_path().string();
  if (Status made = have_folder(folder); !made) return made;
  if (*there) return sync_folder(folder);  // the name says what is in it, and may not have got to disk
  return replace_file(file, bytes);
}

Result<std::string> DataDirectory::read_asset(const std::string& hash) const {
  TZ_ASSERT(hash.size() == 64);
  const std::string file = asset_path(hash);
  const Result<bool> there = exists(file);
  if (!there) return there.error();
  if (!*there) return Error{ErrorCode::not_found, "there is no asset " + hash + "; upload it first"};
  return read_file(file);
}

Result<std::vector<std::string>> DataDirectory::list_assets() const {
  const Result<std::vector<std::string>> folders = list(path_ + "/assets");
  if (!folders) return folders.error();
  std::vector<std::string> hashes;
  for (const std::string& folder : *folders) {
    const Result<std::vector<std::string>> names = list(path_ + "/assets/" + folder);
    if (!names) return names.error();
    for (const std::string& name : *names)
      if (folder.size() + name.size() == 64) hashes.push_back(folder + name);
  }
  return hashes;
}

// ---- log segments ----

std::string DataDirectory::segment_path(std::uint32_t core, Incarnation incarnation, std::uint32_t number) const {
  return path_ + "/" + file_of({core, incarnation, number});
}

Result<int> DataDirectory::create_segment(std::uint32_t core, Incarnation incarnation, std::uint32_t number,
                                          std::uint64_t bytes) {
  const std::string file = segment_path(core, incarnation, number);
  const std::string folder = fs::path(file).parent_path().string();
  if (Status made = have_folder(folder); !made) return made.error();
  // Never over another: it may hold edits that are nowhere else.
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed(file, "cannot be made");
  const auto give_up = [&](const char* what) {
    const Error error = failed(file, what);
    ::close(fd);
    ::unlink(file.c_str());
    return error;
  };
  const std::vector<char> zeros(std::size_t{1} << 20, '\0');
  for (std::uint64_t at = 0; at < bytes;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), bytes - at));
    const ssize_t written = ::pwrite(fd, zeros.data(), count, static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return give_up("cannot be filled with zeros");
    at += static_cast<std::uint64_t>(written);
  }
  if (::fsync(fd) != 0) return give_up("cannot be synced");
  if (Status synced = sync_folder(folder); !synced) {
    ::close(fd);
    ::unlink(file.c_str());
    return synced.error();
  }
  return fd;
}

Status DataDirectory::remove_segment(std::uint32_t core, Incarnation incarnation, std::uint32_t number) {
  const std::string file = segment_path(core, incarnation, number);
  return ::unlink(file.c_str()) == 0 || errno == ENOENT ? Status() : Status(failed(file, "cannot be removed"));
}

Status DataDirectory::set_aside_segment(const SegmentName& segment) {
  const std::string file = segment_path(segment.core, segment.incarnation, segment.number);
  if (::rename(file.c_str(), (file + ".damaged").c_str()) != 0) return failed(file, "cannot be renamed");
  return sync_folder(fs::path(file).parent_path().string());
}

Result<std::vector<SegmentName>> DataDirectory::list_segments() const {
  const Result<std::vector<std::string>> folders = list(path_ + "/wal");
  if (!folders) return folders.error();
  std::vector<SegmentName> segments;
  for (const std::string& folder : *folders) {
    SegmentName segment;
    if (!folder.starts_with("core-") || !parse(std::string_view(folder).substr(5), segment.core)) continue;
    const Result<std::vector<std::string>> names = list(path_ + "/wal/" + folder);
    if (!names) return names.error();
    for (const std::string& name : *names)
      if (parse_segment(name, ".wal", segment)) segments.push_back(segment);
  }
  return segments;
}

Status DataDirectory::sync_log_folders() const {
  const Result<std::vector<std::string>> folders = list(path_ + "/wal");
  if (!folders) return folders.error();
  for (const std::string& folder : *folders)
    if (folder.starts_with("core-"))
      if (Status synced = sync_folder(path_ + "/wal/" + folder); !synced) return synced;
  return {};
}

Status DataDirectory::write_history(const SegmentName& segment, std::span<const std::byte> bytes) {
  const std::string folder = fmt::format("{}/history/core-{:02}", path_, segment.core);
  if (Status made = have_folder(folder); !made) return made;
  return replace_file(fmt::format("{}/{}-{}.hist", folder, segment.incarnation.value, segment.number),
                      {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<std::vector<DataDirectory::HistoryFile>> DataDirectory::list_history() const {
  const Result<std::vector<std::string>> folders = list(path_ + "/history");
  if (!folders) return folders.error();
  std::vector<HistoryFile> files;
  const auto now = fs::file_time_type::clock::now();
  for (const std::string& folder : *folders) {
    HistoryFile file;
    if (!folder.starts_with("core-") || !parse(std::string_view(folder).substr(5), file.name.core)) continue;
    const Result<std::vector<std::string>> names = list(path_ + "/history/" + folder);
    if (!names) return names.error();
    for (const std::string& name : *names) {
      if (!parse_segment(name, ".hist", file.name)) continue;
      file.path = path_ + "/history/" + folder + "/" + name;
      std::error_code error;
      file.bytes = fs::file_size(file.path, error);
      const auto written = error ? fs::file_time_type() : fs::last_write_time(file.path, error);
      if (error == std::errc::no_such_file_or_directory) continue;  // gone meanwhile
      if (error) return file_error(file.path, "cannot be looked at", error.value());
      file.age_s = std::chrono::duration_cast<std::chrono::seconds>(now - written).count();
      files.push_back(file);
    }
  }
  std::ranges::sort(files, {}, [](const HistoryFile& f) {
    return std::tuple(-f.age_s, f.name.incarnation.value, f.name.number, f.name.core);
  });
  return files;
}

Status DataDirectory::remove_history(const HistoryFile& file) {
  return ::unlink(file.path.c_str()) == 0 || errno == ENOENT ? Status()
                                                             : Status(failed(file.path, "cannot be removed"));
}

Result<std::string> DataDirectory::read_history_start() const {
  const std::string file = path_ + "/history/complete-since.json";
  const Result<bool> there = exists(file);
  if (!there) return there.error();
  if (!*there) return Error{ErrorCode::not_found, file + " is not there"};
  if (Status looked = io::look_at_disk(file); !looked) return looked.error();
  return read_file(file);
}

Status DataDirectory::write_history_start(std::string_view json) {
  if (Status made = have_folder(path_ + "/history"); !made) return made;
  return replace_file(path_ + "/history/complete-since.json", json);
}

// ---- names of users ----

Result<std::string> DataDirectory::read_user_names() const {
  const std::string file = path_ + "/users.names";
  const Result<bool> there = exists(file);
  if (!there) return there.error();
  if (!*there) return Error{ErrorCode::not_found, file + " is not there"};
  if (Status looked = io::look_at_disk(file); !looked) return looked.error();
  return read_file(file);
}

Status DataDirectory::append_user_names(std::string_view bytes) {
  return append_file(path_ + "/users.names", bytes);
}

Status DataDirectory::write_user_names(std::string_view bytes) {
  return replace_file(path_ + "/users.names", bytes);
}

std::uint64_t DataDirectory::segment_size(const SegmentName& segment) const {
  std::error_code error;
  const auto size = fs::file_size(segment_path(segment.core, segment.incarnation, segment.number), error);
  return error ? 0 : size;
}

Result<std::vector<std::byte>> DataDirectory::read_segment(std::uint32_t core, Incarnation incarnation,
                                                           std::uint32_t number, std::size_t bytes_max) const {
  return read_bytes(segment_path(core, incarnation, number), bytes_max);
}

Status DataDirectory::look_at_disk(const SegmentName& segment) const {
  return io::look_at_disk(segment_path(segment.core, segment.incarnation, segment.number));
}

}  // namespace terrazzo::io
