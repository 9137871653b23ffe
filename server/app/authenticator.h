#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "identity/token_verifier.h"
#include "server/app/key_store.h"
#include "server/session/session_output.h"

namespace terrazzo::app {

// Judges tokens with the newest keys there are, or asks for none where the server runs with --auth none; counts those
// that it refuses. Any thread.
class Authenticator {
 public:
  static std::unique_ptr<Authenticator> none() { return std::unique_ptr<Authenticator>(new Authenticator); }
  static std::unique_ptr<Authenticator> with_keys(std::unique_ptr<KeyStore> keys);

  // `now_s`: since 1970; `now_ns`: the same moment in the sessions' time, in which the identity's end is said.
  Result<session::Identity> authenticate(std::string_view token, std::int64_t now_s, std::uint64_t now_ns);
  bool open_to_all() const { return keys_ == nullptr; }
  KeyStore* keys() { return keys_.get(); }  // null: open to all

  // Somebody showed something that is no token of the keys', for this reason.
  void count(identity::Refusal reason) {
    refused_[static_cast<std::size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  }
  using ByReason = std::array<std::uint64_t, identity::kRefusalNames.size()>;
  ByReason refused() const;

 private:
  Authenticator() = default;
  std::unique_ptr<KeyStore> keys_;
  std::array<std::atomic<std::uint64_t>, identity::kRefusalNames.size()> refused_{};
};

}  // namespace terrazzo::app
