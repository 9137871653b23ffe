#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "server/net/tls_identity.h"

namespace terrazzo::app {

// The server's certificate and key: read at the start, and again when somebody asks or the files have changed. What
// does not do is logged, and the one before stays in force. The cores look at generation() and take current() when it
// moved.
class CertificateStore {
 public:
  static Result<std::unique_ptr<CertificateStore>> open(const std::string& chain_file, const std::string& key_file);

  // From any thread.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  std::shared_ptr<const net::TlsIdentity> current() const;
  std::uint64_t loads() const { return loads_.load(std::memory_order_relaxed); }
  std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

  // The rest from one thread. True: there is something new for the cores.
  bool load(const char* why);
  // Loads once files that have changed look the same twice: certificate and key are seldom replaced in one step.
  bool look();

 private:
  // Device, inode, size, and time of the last change: of either file.
  using Stamp = std::array<std::uint64_t, 10>;
  CertificateStore(std::string chain_file, std::string key_file);
  Stamp stamp() const;

  const std::string chain_file_, key_file_;
  const net::TicketKeys tickets_;
  mutable std::mutex mutex_;
  std::shared_ptr<const net::TlsIdentity> current_;
  std::atomic<std::uint64_t> generation_{0}, loads_{0}, failures_{0};
  Stamp tried_{}, seen_{};
};

}  // namespace terrazzo::app
