#include "map/formats/relative_path.h"

#include <algorithm>
#include <vector>

namespace terrazzo::formats {
namespace {

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts(1);
  for (const char c : path) {
    if (c == '/' || c == '\\') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string path;
  for (const std::string& part : parts) {
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

}  // namespace

std::string normal_path(std::string_view path) {
  std::vector<std::string> kept;
  for (std::string& part : parts_of(path)) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else {
      kept.push_back(std::move(part));
    }
  }
  return joined(kept);
}

bool is_absolute(std::string_view path) {
  return path.starts_with('/') || path.starts_with('\\') || path.find(':') != path.npos;
}

std::string join_path(std::string_view folder, std::string_view path) {
  if (is_absolute(path)) return std::string(path);
  return normal_path(std::string(folder) + "/" + std::string(path));
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.find_last_of("/\\");
  return slash == path.npos ? std::string() : std::string(path.substr(0, slash));
}

std::string stem_of(std::string_view path) {
  const std::size_t slash = path.find_last_of("/\\");
  std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
  if (name.size() > 3 && name.ends_with(".gz")) name.remove_suffix(3);
  const std::size_t dot = name.rfind('.');
  return std::string(dot == name.npos || dot == 0 ? name : name.substr(0, dot));
}

std::string inside_path(std::string_view path) {
  std::vector<std::string> kept;
  for (std::string& part : parts_of(path)) {
    // A colon ends a drive letter or a URL scheme, or starts a stream name on Windows.
    if (const std::size_t colon = part.rfind(':'); colon != part.npos) part.erase(0, colon + 1);
    std::erase_if(part, [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7F ||
             std::string_view("<>\"|?*").find(c) != std::string_view::npos;
    });
    const bool only_dots = part.find_first_not_of('.') == part.npos;
    if (!only_dots) kept.push_back(std::move(part));
  }
  return kept.empty() ? "image" : joined(kept);
}

}  // namespace terrazzo::formats
