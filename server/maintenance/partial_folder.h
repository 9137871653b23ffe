#pragma once

#include <string>

#include "base/error.h"

namespace terrazzo::maintenance {

// A folder that is there whole or not at all: it is filled under another name beside its own, <name>.partial, which is
// locked meanwhile, and gets its own name at the end. One that was not finished goes with the object; what a crash left
// of one goes when the same is begun anew, or with remove_partial_folders(). One thread at a time; blocking.
class PartialFolder {
 public:
  // `folder`: its own name; an empty one may be there. already_exists: there is something else; conflict: somebody is
  // filling it right now.
  static Result<PartialFolder> begin(const std::string& folder);
  PartialFolder(PartialFolder&& other) noexcept;
  PartialFolder& operator=(PartialFolder&& other) noexcept;
  ~PartialFolder();

  // Where to put what shall be in it.
  const std::string& path() const { return partial_; }
  // Makes the names of all files and folders in it durable; the files' content is their writers' matter.
  Status sync();
  // sync(), and gives it its name.
  Status finish();

 private:
  PartialFolder(std::string path, std::string partial, int lock)
      : path_(std::move(path)), partial_(std::move(partial)), lock_(lock) {}
  void discard();

  std::string path_, partial_;
  int lock_ = -1;  // -1: finished or moved from
};

// Removes what is left of unfinished ones in `folder`; those that are being filled stay. Nothing happens where there is
// no such folder.
Status remove_partial_folders(const std::string& folder);

// A folder's name, absolute and without a slash at the end, so that a name beside it can be made.
std::string whole_name(const std::string& folder);

// Whether a folder may not have this name because unfinished ones have such.
bool is_partial_name(const std::string& name);

}  // namespace terrazzo::maintenance
