#pragma once

#include <cstdint>
#include <filesystem>
#include <random>

// What a disk holds after a power cut, for certain or perhaps, from what the shim wrote down of a server's file
// operations. The model is the one that applications may count on, not what a particular file system does:
//  1. What a file held when it was last synced is there.
//  2. Of pages written since, each is as it was then, as it was written, or torn between sectors; so is the file's
//  size.
//  3. Names (made, replaced, removed) are there when their folder was synced after them; of later ones in a folder,
//  those
//     up to some moment are.
namespace terrazzo::integration {

// Everything in the folder counts as synced from now on; `disk` gets what the shim needs to go on from there.
void begin_disk(const std::filesystem::path& folder, const std::filesystem::path& disk);

enum class Unsynced : std::uint8_t { kept, lost, torn };

// Makes `after` what `folder` may be after the cut.
void restore_disk(const std::filesystem::path& folder, const std::filesystem::path& disk,
                  const std::filesystem::path& after, Unsynced unsynced, std::mt19937& random);

}  // namespace terrazzo::integration
