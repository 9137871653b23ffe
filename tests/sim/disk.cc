#include "tests/sim/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/assert.h"

namespace terrazzo::sim {
namespace {

constexpr std::size_t kPage = 4096, kSector = 512;

std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::uint64_t size_of(int fd) {
  struct stat about {};
  return ::fstat(fd, &about) == 0 ? static_cast<std::uint64_t>(about.st_size) : 0;
}

}  // namespace

Disk::Disk(Machine& machine, std::string folder)
    : machine_(machine), folder_(std::move(folder)), random_(machine.random.split()) {
  const Aside aside(*this);
  clear();
  std::filesystem::create_directories(folder_);
  durable_names_[folder_] = names_[folder_] = {0, true};
  machine_.disk = this;
}

Disk::~Disk() {
  const Aside aside(*this);
  machine_.disk = nullptr;
  for (auto& [id, file] : files_) ::close(file.keep_fd);
  clear();
}

void Disk::clear() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool Disk::has(const char* path) const {
  const std::string_view text(path);
  return aside_ == 0 && !dead_ && text.starts_with(folder_) &&
         (text.size() == folder_.size() || text[folder_.size()] == '/');
}

// ---- faults ----

int Disk::fault(Does does) {
  ++operations_;
  if (does != Does::read && cut_in_ >= 0 && cut_in_-- == 0) {
    cut();
    return 0;
  }
  Fault kind = Fault::read_fail;
  if (does == Does::sync) kind = Fault::sync_fail;
  if (does == Does::write || does == Does::allocate || does == Does::change) kind = Fault::write_fail;
  if (!machine_.faults.strikes(kind, random_)) return 0;
  failed_once_ = true;
  return EIO;
}

int Disk::before(Does does, const char*) {
  if (does == Does::allocate && full_) return ENOSPC;
  return fault(does);
}

int Disk::before(Does does, int fd) {
  if (does == Does::allocate && full_) return ENOSPC;
  const int error = fault(does);
  if (error != 0 && does == Does::sync && machine_.faults.strikes(Fault::stranded, random_)) strand(fd);
  return error;
}

std::size_t Disk::taken(std::size_t bytes) {
  if (bytes < 2 || !machine_.faults.strikes(Fault::short_write, random_)) return bytes;
  return 1 + random_.below(bytes - 1);
}

bool Disk::would_grow(int fd, std::uint64_t end) const {
  return end > size_of(fd);
}

// ---- what the program does ----

void Disk::change(const std::string& path, Name name) {
  const Change change{path, name};
  pending_[parent_of(path)].push_back(change);
  apply(names_, change);
}

void Disk::apply(std::map<std::string, Name>& names, const Change& change) {
  if (change.name.file == 0 && !change.name.is_folder) {
    names.erase(change.path);
  } else {
    names[change.path] = change.name;
  }
}

Disk::FileId Disk::id_of(const char* path) {
  const auto found = names_.find(path);
  return found == names_.end() ? 0 : found->second.file;
}

void Disk::opened(const char* path, int fd, bool made, bool emptied) {
  const Aside aside(*this);
  if (const auto found = names_.find(path); found != names_.end() && found->second.is_folder) {
    folders_by_fd_[fd] = path;
    return;
  }
  FileId id = id_of(path);
  if (made) {
    id = ++last_id_;
    files_[id].keep_fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 512);
    change(path, {id, false});
  }
  if (id == 0) return;
  files_by_fd_[fd] = id;
  File& file = files_[id];
  // A descriptor that may only write cannot be read from: ours must.
  if (made) {
    const int readable = ::open(path, O_RDWR | O_CLOEXEC);
    if (readable >= 0) {
      ::close(file.keep_fd);
      file.keep_fd = readable;
    }
  }
  if (emptied) file.dirty.push_back({0, ~std::uint64_t{0}});
}

void Disk::closed(int fd) {
  files_by_fd_.erase(fd);
  folders_by_fd_.erase(fd);
}

void Disk::wrote(int fd, std::uint64_t offset, std::uint64_t bytes) {
  const auto found = files_by_fd_.find(fd);
  if (found == files_by_fd_.end() || bytes == 0) return;
  File& file = files_[found->second];
  // Whole pages are written.
  for (std::uint64_t page = offset / kPage; page <= (offset + bytes - 1) / kPage && !file.stranded.empty(); ++page)
    if (file.stranded.erase(page) != 0) file.dirty.push_back({page * kPage, (page + 1) * kPage});
  auto& dirty = file.dirty;
  if (!dirty.empty() && dirty.back().second == offset) {
    dirty.back().second += bytes;
  } else {
    dirty.push_back({offset, offset + bytes});
  }
}

void Disk::resized(int fd) {
  const auto found = files_by_fd_.find(fd);
  if (found != files_by_fd_.end()) files_[found->second].dirty.push_back({0, ~std::uint64_t{0}});
}

void Disk::mapped(int fd) {
  const auto found = files_by_fd_.find(fd);
  if (found != files_by_fd_.end()) files_[found->second].is_mapped = true;
}

void Disk::synced(int fd) {
  if (const auto folder = folders_by_fd_.find(fd); folder != folders_by_fd_.end()) {
    const auto changes = pending_.extract(folder->second);
    if (!changes.empty())
      for (const Change& each : changes.mapped()) apply(durable_names_, each);
    return forget_unused();
  }
  const auto found = files_by_fd_.find(fd);
  if (found == files_by_fd_.end()) return;
  write_out(files_[found->second]);
}

std::string Disk::durable_page(const File& file, std::uint64_t page) {
  std::string bytes = page * kPage < file.durable.size() ? file.durable.substr(page * kPage, kPage) : std::string();
  bytes.resize(kPage);
  return bytes;
}

// Linux (and others) mark the pages of a write that failed clean: they can be read, and nobody writes them any more. Of
// mapped files these are the two roots only: whether a mapping has written a page again cannot be seen where it wrote
// what was there, as a shard that replays the same edits into the same pages does; roots always differ.
void Disk::strand(int fd) {
  const auto found = files_by_fd_.find(fd);
  if (found == files_by_fd_.end()) return;
  File& file = files_[found->second];
  const bool all = random_.chance(0.5);
  const std::uint64_t pages = file.is_mapped ? 2 : (size_of(file.keep_fd) + kPage - 1) / kPage;
  for (std::uint64_t page = 0; page < pages; ++page) {
    std::string now = page_of(file, page);
    now.resize(kPage);
    if (now != durable_page(file, page) && (all || random_.chance(0.5))) file.stranded.emplace(page, std::move(now));
  }
  // The others were written before the write that failed.
  if (!file.is_mapped) write_out(file);
}

void Disk::forgotten(int fd, std::uint64_t offset, std::uint64_t bytes) {
  const auto found = files_by_fd_.find(fd);
  if (found == files_by_fd_.end()) return;
  const Aside aside(*this);
  File& file = files_[found->second];
  std::erase_if(file.stranded, [&](const auto& entry) {
    const auto& [page, was] = entry;
    if (page * kPage < offset || (bytes != 0 && page * kPage >= offset + bytes)) return false;
    std::string now = page_of(file, page);
    now.resize(kPage);
    if (now != was) return true;  // written again
    const std::uint64_t size = size_of(file.keep_fd);
    if (page * kPage >= size) return true;
    const std::size_t count = std::min<std::size_t>(kPage, size - page * kPage);
    const auto at = static_cast<off_t>(page * kPage);
    TZ_ASSERT(::pwrite(file.keep_fd, durable_page(file, page).data(), count, at) == static_cast<ssize_t>(count));
    return true;
  });
}

void Disk::write_out(File& file) {
  const Aside aside(*this);
  std::map<std::uint64_t, std::string> left;
  for (const auto& [page, was] : file.stranded) {
    std::string now = page_of(file, page);
    now.resize(kPage);
    if (now == was) left.emplace(page, durable_page(file, page));
  }
  std::erase_if(file.stranded, [&](const auto& entry) { return !left.contains(entry.first); });
  if (file.is_mapped) file.dirty = {{0, ~std::uint64_t{0}}};
  const std::uint64_t size = size_of(file.keep_fd);
  file.durable.resize(size);
  for (const auto& [from, to] : file.dirty) {
    const std::uint64_t end = std::min(to, size);
    if (from >= end) continue;
    const ssize_t got = ::pread(file.keep_fd, file.durable.data() + from, end - from, static_cast<off_t>(from));
    TZ_ASSERT(got == static_cast<ssize_t>(end - from));
  }
  file.dirty.clear();
  for (const auto& [page, bytes] : left)
    if (page * kPage < size)
      file.durable.replace(page * kPage, std::min<std::size_t>(kPage, size - page * kPage), bytes, 0,
                           std::min<std::size_t>(kPage, size - page * kPage));
}

void Disk::made_folder(const char* path) {
  change(path, {0, true});
}

void Disk::renamed(const char* from, const char* to) {
  const Name moved = names_[from];
  // The new name before the old one goes: of a move whose folder is not synced, a prefix may be there.
  change(to, moved);
  change(from, {});
}

void Disk::removed(const char* path) {
  change(path, {});
}

// Files that no name leads to any more, on disk or not.
void Disk::forget_unused() {
  std::map<FileId, bool> used;
  for (const auto& [path, name] : names_) used[name.file] = true;
  for (const auto& [path, name] : durable_names_) used[name.file] = true;
  for (const auto& [folder, changes] : pending_)
    for (const Change& each : changes) used[each.name.file] = true;
  for (const auto& [fd, id] : files_by_fd_) used[id] = true;
  std::erase_if(files_, [&](auto& entry) {
    if (used.contains(entry.first)) return false;
    ::close(entry.second.keep_fd);
    return true;
  });
}

// ---- power ----

std::string Disk::written(const File& file) const {
  std::string bytes(size_of(file.keep_fd), '\0');
  const ssize_t got = bytes.empty() ? 0 : ::pread(file.keep_fd, bytes.data(), bytes.size(), 0);
  TZ_ASSERT(got == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// `fate`: 0 everything unsynced is kept, 1 lost, 2 each page by itself.
std::string Disk::content(const File& file, int fate) {
  if (file.dirty.empty() && !file.is_mapped) return file.durable;
  if (fate == 1) return file.durable;
  std::string now = written(file);
  for (const auto& [page, was] : file.stranded)
    if (now.compare(page * kPage, kPage, was, 0, std::min<std::size_t>(kPage, now.size() - page * kPage)) == 0)
      now.replace(page * kPage, kPage, durable_page(file, page), 0,
                  std::min<std::size_t>(kPage, now.size() - page * kPage));
  if (fate == 0) return now;
  std::string after = file.durable;
  after.resize(random_.chance(0.5) ? after.size() : now.size());
  for (std::size_t page = 0; page < after.size(); page += kPage) {
    const std::size_t end = std::min(page + kPage, after.size());
    const std::size_t common = std::min(end, now.size());
    if (page >= common || std::memcmp(after.data() + page, now.data() + page, common - page) == 0) continue;
    const auto own = random_.below(3);  // old, new, torn
    for (std::size_t at = page; at < common; at += kSector) {
      if (own == 0 || (own == 2 && random_.chance(0.5))) continue;
      const std::size_t count = std::min(kSector, common - at);
      std::memcpy(after.data() + at, now.data() + at, count);
    }
  }
  return after;
}

void Disk::make_image() {
  image_ = {};
  std::map<std::string, Name> names = durable_names_;
  const int fate = static_cast<int>(random_.below(3));
  for (const auto& [folder, changes] : pending_) {
    const std::size_t there = fate == 0 ? changes.size() : fate == 1 ? 0 : random_.below(changes.size() + 1);
    for (std::size_t i = 0; i < there; ++i) apply(names, changes[i]);
  }
  for (const auto& [path, name] : names) {
    const bool in_something = path == folder_ || image_.is_folder.contains(parent_of(path));
    if (!in_something) continue;  // its folder is lost
    if (name.is_folder) {
      image_.is_folder[path] = true;
    } else {
      image_.bytes[path] = content(files_.at(name.file), fate);
    }
  }
}

void Disk::cut() {
  if (dead_) return;
  const Aside aside(*this);
  make_image();
  dead_ = true;
  cut_in_ = -1;
}

void Disk::power_on() {
  TZ_ASSERT(dead_);
  const Aside aside(*this);
  for (auto& [id, file] : files_) ::close(file.keep_fd);
  files_.clear();
  names_.clear();
  durable_names_.clear();
  pending_.clear();
  files_by_fd_.clear();
  folders_by_fd_.clear();
  clear();
  for (const auto& [path, is_folder] : image_.is_folder) {
    std::filesystem::create_directories(path);
    names_[path] = {0, true};
  }
  for (auto& [path, bytes] : image_.bytes) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    TZ_ASSERT(fd >= 0);
    TZ_ASSERT(bytes.empty() || ::pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    const FileId id = ++last_id_;
    files_[id] = {fd, std::move(bytes), {}, false, {}};
    names_[path] = {id, false};
  }
  durable_names_ = names_;
  image_ = {};
  dead_ = false;
  failed_once_ = false;
}

// ---- bits that flip ----

std::vector<std::string> Disk::files(std::string_view ending) const {
  std::vector<std::string> found;
  for (const auto& [path, name] : names_)
    if (name.file != 0 && path.ends_with(ending)) found.push_back(path);
  return found;
}

std::uint64_t Disk::pages(const std::string& path) {
  const auto found = files_.find(id_of(path.c_str()));
  return found == files_.end() ? 0 : found->second.durable.size() / kPage;
}

bool Disk::is_clean(const std::string& path, std::uint64_t page) {
  const auto found = files_.find(id_of(path.c_str()));
  const std::uint64_t at = page * kPage;
  if (found == files_.end() || at + kPage > found->second.durable.size()) return false;
  const std::string now = page_of(found->second, page);
  return now.size() == kPage && found->second.durable.compare(at, kPage, now) == 0 &&
         now.find_first_not_of('\0') != std::string::npos;
}

std::string Disk::page_of(const File& file, std::uint64_t page) {
  const Aside aside(*this);
  std::string bytes(kPage, '\0');
  const ssize_t got = ::pread(file.keep_fd, bytes.data(), kPage, static_cast<off_t>(page * kPage));
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

void Disk::put_page(File& file, std::uint64_t page, const std::string& bytes) {
  const Aside aside(*this);
  TZ_ASSERT(::pwrite(file.keep_fd, bytes.data(), kPage, static_cast<off_t>(page * kPage)) == kPage);
  file.durable.replace(page * kPage, kPage, bytes);
}

void Disk::say(const char* what, const std::string& path, std::uint64_t page) const {
  if (!machine_.verbose) return;
  fmt::print("{:.6f} page {} of {} {}\n", static_cast<double>(machine_.schedule.now()) * 1e-9, page, path, what);
}

void Disk::rot(const std::string& path, std::uint64_t page, std::uint64_t bit) {
  TZ_ASSERT(is_clean(path, page));
  File& file = files_.at(id_of(path.c_str()));
  Rot rot{path, page, page_of(file, page), {}};
  rot.after = rot.before;
  rot.after[bit / 8] = static_cast<char>(rot.after[bit / 8] ^ (1 << bit % 8));
  put_page(file, page, rot.after);
  say("rots", path, page);
  rotten_files_.insert(path);
  rot_.push_back(std::move(rot));
}

void Disk::mend() {
  // The newest first: a page may have rotted twice.
  for (; !rot_.empty(); rot_.pop_back()) {
    const Rot& rot = rot_.back();
    const auto found = files_.find(id_of(rot.path.c_str()));
    const bool is_there = found != files_.end() && page_of(found->second, rot.page) == rot.after;
    if (is_there) put_page(found->second, rot.page, rot.before);
    say(is_there ? "is put back" : "was written since", rot.path, rot.page);
  }
  rotten_files_.clear();
}

}  // namespace terrazzo::sim
