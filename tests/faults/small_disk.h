#pragma once

#include <cstdint>
#include <filesystem>

namespace terrazzo::integration {

// A file system of so many bytes, in memory, mounted on a folder for this thread and the processes that it starts
// later; nobody else sees it. It goes with the object. For a thread that has no others beside it yet.
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path folder, std::uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // False: the kernel or the container denies mounting.
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return folder_; }
  // A file takes all that is left; or gives it back.
  void fill() const;
  void empty() const;

 private:
  std::filesystem::path folder_;
  bool mounted_ = false;
};

}  // namespace terrazzo::integration
