#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "map/formats/json_reader.h"

namespace terrazzo::formats {

// Typed reading of one JSON object. The first field that is wrong is remembered with its path and what would be right;
// later reads are harmless and return their fallback, so a reader checks status() once at its end.
class JsonFields {
 public:
  // `path` names the object in messages, for example "layers[2]". The object must outlive the reader.
  JsonFields(const Json& object, std::string path);

  bool has(const char* key) const;
  // The value, or null where it is missing.
  const Json* find(const char* key) const;

  // Without a fallback the field is required.
  std::int64_t integer(const char* key, std::int64_t min, std::int64_t max, std::optional<std::int64_t> fallback = {});
  template <class T>
  T integer_as(const char* key, std::int64_t min, std::int64_t max, std::optional<std::int64_t> fallback = {}) {
    return static_cast<T>(integer(key, min, max, fallback));
  }
  float number(const char* key, float min, float max, float fallback);
  bool boolean(const char* key, bool fallback);
  std::string text(const char* key, std::size_t bytes_max, std::optional<std::string> fallback = {});
  // An array, or null where it is missing.
  const Json* array(const char* key);
  // The text of an object (see extra_text), empty where it is missing.
  std::string object_text(const char* key);

  void fail(const char* key, const std::string& right, ErrorCode code = ErrorCode::bad_message);
  const Status& status() const { return status_; }
  const std::string& path() const { return path_; }

 private:
  const Json& object_;
  std::string path_;
  Status status_;
};

// A value for a message: at most some 40 characters of its text.
std::string brief(const Json& value);

}  // namespace terrazzo::formats
