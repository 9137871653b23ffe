#include "map/formats/json_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

namespace terrazzo::formats {
namespace {

// Builds the tree from nlohmann's SAX events; every event returns false to stop with error_ set.
class TreeBuilder : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(std::string what, CellArrays arrays) : what_(std::move(what)), arrays_(arrays) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (!packing_) return add(value);
    if (value > std::numeric_limits<std::uint32_t>::max()) return bad_cell(std::to_string(value));
    const auto bits = static_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8) packed_.push_back(static_cast<std::uint8_t>(bits >> shift));
    return true;
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // A number too large for a double reads as infinity, which JSON cannot write again.
    return std::isfinite(value) ? add(value)
                                : fail(ErrorCode::bad_message, fmt::format("the number {} is too large", text));
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return fail(ErrorCode::bad_message, "binary values are not JSON"); }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override {
    if (packing_) return bad_cell("an array");
    if (!is_cell_array()) return open(Json::array());
    packing_ = true;
    packed_.clear();
    return true;
  }
  bool end_array() override {
    if (!packing_) return close();
    packing_ = false;
    packed_.shrink_to_fit();
    return add(Json::binary(std::move(packed_)));
  }
  bool parse_error(std::size_t offset, const std::string&, const nlohmann::detail::exception& e) override {
    const std::string_view text = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 3: …"
    const std::size_t end = text.find("] ");
    return fail(ErrorCode::bad_message,
                fmt::format("not valid JSON at byte {}: {}", offset, end == text.npos ? text : text.substr(end + 2)));
  }

  Error take_error() { return std::move(error_); }
  Json take_root() { return std::move(root_); }

 private:
  // An open object or array, and the key under which its elements or itself stand in the enclosing object.
  struct Level {
    Json value;
    std::string key;
  };

  bool is_cell_array() const {
    if (arrays_ == CellArrays::keep || key_ != "data" || levels_.size() < 2 || !levels_.back().value.is_object())
      return false;
    const Level& parent = levels_[levels_.size() - 2];
    return parent.value.is_array() && (parent.key == "layers" || parent.key == "chunks");
  }

  bool open(Json value) {
    if (packing_) return bad_cell("an object");
    if (levels_.size() >= kJsonDepthMax)
      return fail(ErrorCode::too_large, fmt::format("nested deeper than {} levels", kJsonDepthMax));
    levels_.push_back({std::move(value), key_});
    return true;
  }

  bool close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    key_ = std::move(level.key);
    return add(std::move(level.value));
  }

  bool add(Json value) {
    if (packing_) return bad_cell(value.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (levels_.empty()) {
      root_ = std::move(value);
    } else if (Json& into = levels_.back().value; into.is_array()) {
      into.push_back(std::move(value));
    } else {
      into[key_] = std::move(value);
    }
    return true;
  }

  bool bad_cell(const std::string& value) {
    return fail(ErrorCode::bad_message,
                fmt::format("\"data\" element {} is {}; a cell is a whole number from 0 to 4294967295",
                            packed_.size() / 4, value));
  }

  bool fail(ErrorCode code, const std::string& message) {
    error_ = {code, fmt::format("{}: {}", what_, message)};
    return false;
  }

  std::string what_;
  CellArrays arrays_;
  std::vector<Level> levels_;
  std::string key_;
  bool packing_ = false;
  std::vector<std::uint8_t> packed_;
  Json root_;
  Error error_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& what, CellArrays arrays) {
  TreeBuilder builder(what, arrays);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.take_error();
  return builder.take_root();
}

std::string extra_text(const Json& object) {
  return object.empty() ? std::string() : object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json extra_object(const std::string& text) {
  if (text.empty()) return Json::object();
  Result<Json> parsed = parse_json(text, "extra");
  if (!parsed.ok() || !parsed->is_object()) return Json::object();
  return std::move(parsed).value();
}

double shortest_double(float value) {
  return std::strtod(fmt::format("{}", value).c_str(), nullptr);
}

}  // namespace terrazzo::formats
