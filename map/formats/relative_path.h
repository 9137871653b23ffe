#pragma once

#include <string>
#include <string_view>

// Paths inside map files: '/' separates on every system.
namespace terrazzo::formats {

// "art/../a.png" → "a.png"; leading ".." stay. Backslashes count as '/'.
std::string normal_path(std::string_view path);

// `path`, which a file in the folder `folder` ("" for the map's own) names, relative to the map; absolute ones
// unchanged.
std::string join_path(std::string_view folder, std::string_view path);

// "a/b.tsx" → "a"; "b.tsx" → "".
std::string folder_of(std::string_view path);

// "a/b.tmx.gz" → "b": without folders, ".gz" and one extension.
std::string stem_of(std::string_view path);

// The path without whatever would leave the folder: drive letters, roots, ".." and characters no file name has.
// Never empty: "image" where nothing is left.
std::string inside_path(std::string_view path);

// "C:/x" and "/x" name a place of their own; so does "http://…".
bool is_absolute(std::string_view path);

}  // namespace terrazzo::formats
