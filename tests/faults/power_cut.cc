#include "power_cut.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace terrazzo::integration {
namespace {

namespace fs = std::filesystem;

ino_t inode_of(const fs::path& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 ? about.st_ino : 0;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A change of a folder: a name becomes an inode (0: goes). Folders have the inode of themselves.
struct Change {
  fs::path name;
  ino_t inode = 0;
  bool is_folder = false;
};

class Disk {
 public:
  Disk(const fs::path& folder, const fs::path& disk) : folder_(folder), disk_(disk) {
    std::ifstream journal(disk / "journal");
    // A line that a kill cut short is of a change that nobody relied on: nothing was synced after it.
    for (std::string line; std::getline(journal, line) && !journal.eof();) read(line);
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) live_[inode_of(entry.path())] = entry.path();
  }

  void restore(const fs::path& after, Unsynced unsynced, std::mt19937& random) {
    for (auto& [folder, changes] : pending_) {
      const std::size_t there = unsynced == Unsynced::kept   ? changes.size()
                                : unsynced == Unsynced::lost ? 0
                                                             : random() % (changes.size() + 1);
      for (std::size_t i = 0; i < there; ++i) apply(changes[i]);
    }
    fs::create_directory(after);
    // Parents sort before what is in them; what is in a folder that is lost is lost.
    for (const auto& [name, is] : names_) {
      const fs::path to = after / fs::relative(name, folder_);
      if (!fs::is_directory(to.parent_path())) continue;
      if (is.is_folder) {
        fs::create_directory(to);
      } else {
        std::ofstream(to, std::ios::binary) << content(is.inode, unsynced, random);
      }
    }
  }

 private:
  void read(const std::string& line) {
    std::istringstream journal(line);
    std::string what, name, to;
    Change change;
    journal >> what >> name;
    if (what == "synced-folder") {
      auto changes = pending_.extract(fs::path(name));
      if (!changes.empty())
        for (const Change& each : changes.mapped()) apply(each);
      return;
    }
    change.name = name;
    if (what == "moved") {
      journal >> to >> change.inode;
      pending_[fs::path(name).parent_path()].push_back({name, 0, false});
      change.name = to;
    } else if (what != "gone") {  // was, made, folder
      journal >> change.inode;
      change.is_folder = what == "folder" || what == "was-folder";
    }
    if (what.starts_with("was")) return apply(change);
    pending_[change.name.parent_path()].push_back(change);
  }
  void apply(const Change& change) {
    if (change.inode == 0) {
      names_.erase(change.name);
    } else {
      names_[change.name] = change;
    }
  }
  std::string content(ino_t inode, Unsynced unsynced, std::mt19937& random) {
    const std::string synced = bytes_of(disk_ / std::to_string(inode));
    const auto live = live_.find(inode);
    const std::string written =
        live != live_.end() ? bytes_of(live->second) : bytes_of(disk_ / (std::to_string(inode) + ".gone"));
    if (unsynced == Unsynced::kept) return written;
    if (unsynced == Unsynced::lost) return synced;
    constexpr std::size_t kPage = 4096, kSector = 512;
    std::string after = synced;
    after.resize(random() % 2 == 0 ? synced.size() : written.size());
    for (std::size_t page = 0; page < after.size(); page += kPage) {
      const auto fate = random() % 3;  // old, new, torn
      for (std::size_t at = page; at < std::min(page + kPage, after.size()); at += kSector) {
        if (fate == 0 || (fate == 2 && random() % 2 == 0) || at >= written.size()) continue;
        const std::size_t count = std::min({kSector, after.size() - at, written.size() - at});
        after.replace(at, count, written, at, count);
      }
    }
    return after;
  }

  fs::path folder_, disk_;
  std::map<fs::path, Change> names_;
  std::map<fs::path, std::vector<Change>> pending_;  // by folder
  std::map<ino_t, fs::path> live_;
};

}  // namespace

void begin_disk(const fs::path& folder, const fs::path& disk) {
  fs::create_directory(disk);
  std::ofstream journal(disk / "journal");
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const ino_t inode = inode_of(entry.path());
    journal << (entry.is_directory() ? "was-folder " : "was ") << entry.path().string() << " " << inode << "\n";
    if (!entry.is_directory()) fs::copy_file(entry.path(), disk / std::to_string(inode));
  }
}

void restore_disk(const fs::path& folder, const fs::path& disk, const fs::path& after, Unsynced unsynced,
                  std::mt19937& random) {
  Disk(folder, disk).restore(after, unsynced, random);
}

}  // namespace terrazzo::integration
