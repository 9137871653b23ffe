#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

// JSON text from outside into a tree, with the bounds that nlohmann's own parser does not have.
namespace terrazzo::formats {

using Json = nlohmann::json;

// Deep enough for any map; shallow enough that recursion over the tree is safe.
inline constexpr int kJsonDepthMax = 128;

enum class CellArrays : std::uint8_t {
  keep,  // as JSON arrays
  pack,  // "data" arrays of layers and chunks become binary values of little-endian 32-bit numbers (a quarter of the
         // memory)
};

// `what` names the text in messages ("island.tmj", "world"). bad_message with the byte offset when it is not JSON;
// too_large when nested deeper than kJsonDepthMax.
Result<Json> parse_json(std::string_view text, const std::string& what, CellArrays arrays = CellArrays::keep);

// The text of an `extra` field: empty for an empty object.
std::string extra_text(const Json& object);
// The object of an `extra` field; an empty object where the text is empty or not an object.
Json extra_object(const std::string& text);

// A float as the double with the same shortest decimal digits: 0.1f is written 0.1 and reads back as 0.1f.
double shortest_double(float value);

}  // namespace terrazzo::formats
