#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

// Small files that are replaced whole and survive a crash whole. Blocking; any thread.
namespace terrazzo::io {

// What went wrong with which file and what to do about it, from a system call's errno. not_found: it is not there;
// overloaded: the disk (or a quota, or a limit on file size) is full; else internal.
Error file_error(const std::string& path, std::string_view what, int error_number);

// Writes beside `path`, syncs, renames over it, syncs the folder: afterwards the file is the old or the new one, never
// a mix.
Status replace_file(const std::string& path, std::string_view bytes, unsigned mode = 0600);
// Writes behind what is there, and syncs; makes the file where it is missing. After a crash or an error some of it may be
// there.
Status append_file(const std::string& path, std::string_view bytes, unsigned mode = 0600);
Result<std::string> read_file(const std::string& path);
// At most the first `bytes_max` bytes.
Result<std::vector<std::byte>> read_bytes(const std::string& path, std::size_t bytes_max = SIZE_MAX);
// Before a file of an earlier run is believed: the next look at its first bytes (0: at all of it) is a look at the
// disk. After a sync that failed the kernel takes pages for written that are not: every process reads them, later syncs
// leave them out, and they are gone when the power is. Writes out what waits to be written and has the rest forgotten,
// which the file systems of disks do for pages that nobody has mapped.
Status look_at_disk(const std::string& path, std::size_t bytes = 0);
// Makes the names in a folder durable.
Status sync_folder(const std::string& path);
// Makes the folder and those above it that are missing, and their names durable.
Status make_folder(const std::string& path);

}  // namespace terrazzo::io
