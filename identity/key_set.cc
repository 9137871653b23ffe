#include "identity/key_set.h"

#include <algorithm>
#include <iterator>

namespace terrazzo::identity {

Status KeySet::add(KeysOfText found) {
  if (keys_.size() + found.keys.size() > kKeysMax)
    return Error{ErrorCode::too_large, "more than " + std::to_string(kKeysMax) + " keys: leave out those of old times"};
  for (const TokenKey& key : found.keys) {
    if (!key.id().empty() && std::ranges::find(keys_, key.id(), &TokenKey::id) != keys_.end())
      return Error{ErrorCode::conflict, "a second key with the kid \"" + key.id() + "\": each is to have its own"};
    keys_.push_back(key);
  }
  skipped_ += found.skipped;
  return {};
}

}  // namespace terrazzo::identity
