#pragma once

#include <cstdint>
#include <filesystem>

// What work cost beside time: memory and writing, as the kernel counts them; and files that are on the disk only.
namespace terrazzo::bench {

struct Memory {
  double resident_mib = 0;
  double own_mib = 0;  // of that not pages of files, which the kernel can take back
};
Memory memory_of_this_process();

// Bytes of files that this process has made the kernel write so far, without the file system's own (journal, inodes):
// each page counts when it becomes dirty, so once between two syncs.
double bytes_written();

// Syncs the file and has the kernel forget its pages; true: none is in memory any more.
bool make_cold(const std::filesystem::path& path);
std::uint64_t pages_in_memory(const std::filesystem::path& path);

}  // namespace terrazzo::bench
