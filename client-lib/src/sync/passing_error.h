#pragma once

#include "base/error.h"

namespace terrazzo::client {

// What may be over when the client comes back: the server was busy, or one of its files could not be read just then.
inline bool passes_by_itself(ErrorCode code) {
  return code == ErrorCode::overloaded || code == ErrorCode::rate_limited || code == ErrorCode::read_only ||
         code == ErrorCode::internal;
}

}  // namespace terrazzo::client
