#pragma once

#include <span>
#include <vector>

#include "server/storage/residency.h"

// Pages of a shard's file between disk and memory, through the file and not through a mapping of it, which may move
// meanwhile. On a thread that may wait.
namespace terrazzo::io {

// Reads the pages, which the kernel then has in memory for every mapping, and proves those whose checksum is known.
// `pages` comes back sorted. Returns those that are damaged or cannot be read.
std::vector<storage::PageNo> bring_in(int fd, std::span<storage::ColdPage> pages);
// The kernel may forget these pages of an extent (a bit for each), if nobody maps them. Those that are not on disk yet
// stay.
void let_go(int fd, storage::PageNo extent, std::uint64_t pages);

}  // namespace terrazzo::io
