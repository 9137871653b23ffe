#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "map/formats/json_reader.h"

// Tiled's XML files as the JSON that Tiled writes for the same content, and back, so that everything else reads one
// form. The cells of layers and chunks ("data") are text for base64 and a binary value of little-endian 32-bit numbers
// otherwise, as parse_json(…, CellArrays::pack) gives them.
namespace terrazzo::formats {

inline constexpr int kXmlDepthMax = 64;

// `what` names the file in messages. The root decides the shape: map, tileset or template. bad_message with the place.
Result<Json> xml_to_json(std::string_view xml, const std::string& what);
// A map; "data" as above, with "encoding" "csv" for binary values.
std::string map_json_to_xml(const Json& map);

}  // namespace terrazzo::formats
