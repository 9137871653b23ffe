#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "map/formats/tiled.h"

namespace terrazzo::formats {

// The example maps that the tiled package installs (some packed by dpkg), as paths; empty where it is not installed.
std::vector<std::filesystem::path> example_maps();
std::string file_bytes(const std::filesystem::path& path);
// Reads files beside `map`.
FileReader reader_beside(const std::filesystem::path& map);

}  // namespace terrazzo::formats
