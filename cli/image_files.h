#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

// The images of an export, on this machine. Their names and bytes come from a server, and whoever may edit a world
// chooses them: here is decided what such a name may touch.
namespace terrazzo::cli {

enum class Existing : std::uint8_t { keep, replace };

// Whether `path` may be written beside an export: relative, no "..", no part that starts with a dot, the extension of
// an image. bad_message says which rule it breaks.
Status check_image_path(const std::string& path);

// Writes `bytes` to `path` under `folder` ("" for the current one), making folders on the way. Follows no symbolic link
// below `folder`. The file appears whole or not at all. Errors: bad_message where the path is refused or the bytes are
// not the image that the extension says; already_exists where another file (or a link) is there, and `existing` is
// keep. The same bytes in place already are fine.
Status write_image(const std::filesystem::path& folder, const std::string& path, std::string_view bytes,
                   Existing existing);

}  // namespace terrazzo::cli
