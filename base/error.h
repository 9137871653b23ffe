#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace terrazzo {

// The closed list of codes that reject, error, HTTP problem bodies, exit messages and metrics share.
enum class ErrorCode : std::uint8_t {
  bad_message,
  unknown_type,
  unauthenticated,
  forbidden,
  not_found,
  already_exists,
  out_of_bounds,
  too_large,
  rate_limited,
  claimed,
  condition_failed,
  conflict,
  read_only,
  overloaded,
  unsupported,
  internal,
};
inline constexpr std::array<std::string_view, 16> kErrorCodeNames = {
    "bad_message",   "unknown_type", "unauthenticated", "forbidden", "not_found",        "already_exists",
    "out_of_bounds", "too_large",    "rate_limited",    "claimed",   "condition_failed", "conflict",
    "read_only",     "overloaded",   "unsupported",     "internal"};

constexpr std::string_view error_code_name(ErrorCode code) {
  return kErrorCodeNames[static_cast<std::size_t>(code)];
}

// The message says what was wrong and what would be right, in words for the person who sees it.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

// A value or the reason there is none. Exceptions do not cross our interfaces; this does.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    TZ_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    TZ_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    TZ_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    TZ_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

// Success, or the reason there was none.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : ok_(false), error_(std::move(error)) {}
  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    TZ_ASSERT(!ok_);
    return error_;
  }

 private:
  bool ok_ = true;
  Error error_;
};

}  // namespace terrazzo
