#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "identity/key_text.h"

namespace terrazzo::identity {

// The keys that a server believes. Filled once, then immutable.
class KeySet {
 public:
  // A token without `kid` is tried with each key of its algorithm; so many at most.
  static constexpr std::size_t kKeysMax = 64;

  // too_large: more than kKeysMax; conflict: two different keys with one `kid`.
  Status add(KeysOfText found);
  const std::vector<TokenKey>& keys() const { return keys_; }
  std::size_t skipped() const { return skipped_; }

 private:
  std::vector<TokenKey> keys_;
  std::size_t skipped_ = 0;
};

}  // namespace terrazzo::identity
