#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/machine.h"

namespace terrazzo::sim {

// What a folder's files are and what of them is on disk for certain. The files themselves are real, in memory
// (/dev/shm), so that they can be mapped; libc.cc tells of every operation. After a power cut, as
// tests/faults/power_cut.h has it:
//  1. What a file held when it was last synced is there.
//  2. Of what was written since, each page is as it was then, as it was written, or torn between sectors; so is the
//  size.
//  3. Names are there when their folder was synced after them; of later ones in a folder, those up to some moment are.
class Disk {
 public:
  // `folder`: emptied, and all that counts.
  Disk(Machine& machine, std::string folder);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  const std::string& folder() const { return folder_; }

  // ---- power ----
  // The power fails right before the operation that changes something after so many others (0: the next one). What the
  // program does afterwards changes nothing, and nobody hears of it: see dead().
  void cut_after(std::uint64_t changes) { cut_in_ = static_cast<std::int64_t>(changes); }
  // Now.
  void cut();
  bool dead() const { return dead_; }
  // The folder becomes what the cut left of it, which then is on disk. Nobody has its files open.
  void power_on();

  // ---- what fails ----
  void set_full(bool full) { full_ = full; }
  bool full() const { return full_; }
  bool failed_once() const { return failed_once_; }  // since power_on() or the start
  void forget_failures() { failed_once_ = false; }

  // ---- for libc.cc: before and after an operation ----
  enum class Does : std::uint8_t { read, write, allocate, sync, change };
  bool has(const char* path) const;
  // Absolute or not.
  bool is_folder_itself(std::string_view path) const { return path == folder_ || path.ends_with("/" + folder_); }
  bool has(int fd) const { return files_by_fd_.contains(fd) || folders_by_fd_.contains(fd); }
  // 0, or the errno the operation fails with.
  int before(Does does, const char* path);
  int before(Does does, int fd);
  // Of a write: how many of the bytes are taken.
  std::size_t taken(std::size_t bytes);
  void opened(const char* path, int fd, bool made, bool emptied);
  void closed(int fd);
  void wrote(int fd, std::uint64_t offset, std::uint64_t bytes);
  void resized(int fd);
  void mapped(int fd);
  void synced(int fd);
  void forgotten(int fd, std::uint64_t offset, std::uint64_t bytes);  // bytes 0: up to the end
  void made_folder(const char* path);
  void renamed(const char* from, const char* to);
  void removed(const char* path);
  bool would_grow(int fd, std::uint64_t end) const;

  std::uint64_t operations() const { return operations_; }

  // For what the simulator itself does with files: nothing fails, nothing is counted.
  class Aside {
   public:
    explicit Aside(Disk& disk) : disk_(disk) { ++disk_.aside_; }
    ~Aside() { --disk_.aside_; }
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

   private:
    Disk& disk_;
  };
  bool aside() const { return aside_ != 0; }

  // ---- bits that flip on the platter ----
  // The names that end so.
  std::vector<std::string> files(std::string_view ending) const;
  std::uint64_t pages(const std::string& path);
  // Whether the page is on disk as the program sees it, and not all zeros.
  bool is_clean(const std::string& path, std::uint64_t page);
  // Of a clean page that nobody has in memory: both what is on disk and what the next look shows.
  void rot(const std::string& path, std::uint64_t page, std::uint64_t bit);
  // Files that have such a page and were not mended.
  const std::set<std::string>& rotten() const { return rotten_files_; }
  // The operator has a copy of the disk and puts back pages that rotted. One that was written since is another page
  // now and stays. Nobody has the files open.
  void mend();

 private:
  using FileId = std::uint64_t;  // counts up; 0: none
  struct File {
    int keep_fd = -1;  // ours, so that its bytes stay as long as somebody may need them
    std::string durable;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> dirty;  // [from, to)
    bool is_mapped = false;                                      // anything may be dirty
    // Pages that a failed sync left in memory, as they were: the kernel takes them for written, so no later sync writes
    // them, unless they are written again, and they are what they were on disk once they have left memory.
    std::map<std::uint64_t, std::string> stranded;
  };
  struct Name {
    FileId file = 0;
    bool is_folder = false;
  };
  struct Change {  // a name becomes something, or goes (neither file nor folder)
    std::string path;
    Name name;
  };
  struct Rot {
    std::string path;
    std::uint64_t page = 0;
    std::string before, after;  // what it held, and with what had flipped
  };
  struct Image {
    std::map<std::string, bool> is_folder;  // parents first
    std::map<std::string, std::string> bytes;
  };

  FileId id_of(const char* path);
  int fault(Does does);
  void change(const std::string& path, Name name);
  static void apply(std::map<std::string, Name>& names, const Change& change);
  void strand(int fd);
  void write_out(File& file);
  static std::string durable_page(const File& file, std::uint64_t page);
  std::string written(const File& file) const;
  std::string content(const File& file, int fate);
  void say(const char* what, const std::string& path, std::uint64_t page) const;
  std::string page_of(const File& file, std::uint64_t page);
  void put_page(File& file, std::uint64_t page, const std::string& bytes);
  void make_image();
  void forget_unused();
  void clear();

  Machine& machine_;
  const std::string folder_;
  Random random_;
  std::map<FileId, File> files_;
  std::map<std::string, Name> names_;                   // as the program sees them
  std::map<std::string, Name> durable_names_;           // on disk for certain
  std::map<std::string, std::vector<Change>> pending_;  // by folder
  std::map<int, FileId> files_by_fd_;
  std::map<int, std::string> folders_by_fd_;
  Image image_;
  std::vector<Rot> rot_;
  std::set<std::string> rotten_files_;
  FileId last_id_ = 0;
  std::int64_t cut_in_ = -1;
  bool dead_ = false, full_ = false, failed_once_ = false;
  int aside_ = 0;
  std::uint64_t operations_ = 0;
};

}  // namespace terrazzo::sim
