#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "identity/token_verifier.h"

namespace terrazzo::app {

// The keys that tokens are judged with, as files or folders of files have them (identity/key_text.h): read at the
// start, and again when somebody asks or the files have changed. What does not do is logged, and the keys before stay
// in force.
class KeyStore {
 public:
  static Result<std::unique_ptr<KeyStore>> open(std::vector<std::string> paths, identity::TokenPolicy policy);

  // From any thread.
  std::shared_ptr<const identity::TokenVerifier> current() const;
  std::uint64_t loads() const { return loads_.load(std::memory_order_relaxed); }
  std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

  // The rest from one thread.
  void load(const char* why);
  // Loads once files that have changed look the same twice: several are seldom replaced in one step.
  void look();

 private:
  // Device, inode, size, and time of the last change, of each path and of what is in the folders among them.
  using Stamp = std::map<std::string, std::array<std::uint64_t, 5>>;
  KeyStore(std::vector<std::string> paths, identity::TokenPolicy policy)
      : paths_(std::move(paths)), policy_(std::move(policy)) {}
  Result<std::vector<std::string>> files() const;
  Result<std::shared_ptr<const identity::TokenVerifier>> read() const;
  Stamp stamp() const;

  const std::vector<std::string> paths_;
  const identity::TokenPolicy policy_;
  mutable std::mutex mutex_;
  std::shared_ptr<const identity::TokenVerifier> current_;
  std::atomic<std::uint64_t> loads_{0}, failures_{0};
  Stamp tried_, seen_;
};

// Makes the file (mode 0600, 32 random bytes in hex) where it is missing: the secret of a server whose tokens nobody
// else makes.
Status have_secret(const std::string& path);

}  // namespace terrazzo::app
