#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

// Small files that are replaced whole and survive a crash whole. Blocking; any thread.
namespace terrazzo::io {

// Writes beside `path`, syncs, renames over it, syncs the folder: afterwards the file is the old or the new one, never a mix.
Status replace_file(const std::string& path, std::string_view bytes, unsigned mode = 0600);
Result<std::string> read_file(const std::string& path);
// Makes the names in a folder durable.
Status sync_folder(const std::string& path);
Status make_folder(const std::string& path);

}  // namespace terrazzo::io
