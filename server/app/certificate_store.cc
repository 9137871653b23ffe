#include "server/app/certificate_store.h"

#include <spdlog/spdlog.h>

#include <ctime>
#include <utility>

namespace terrazzo::app {
namespace {

std::string date(std::int64_t seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[32] = "";
  if (::gmtime_r(&time, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%dT%H:%MZ", &parts);
  return text;
}

void announce(const net::TlsIdentity& identity) {
  if (identity.expires_s() <= std::time(nullptr)) {
    spdlog::warn("TLS: the certificate of {} expired on {}: clients will refuse it; get a new one", identity.subject(),
                 date(identity.expires_s()));
  } else {
    spdlog::info("TLS: the certificate of {} is good until {}", identity.subject(), date(identity.expires_s()));
  }
}

}  // namespace

CertificateStore::CertificateStore(std::string chain_file, std::string key_file)
    : chain_file_(std::move(chain_file)), key_file_(std::move(key_file)), tickets_(net::TicketKeys::random()) {}

Result<std::unique_ptr<CertificateStore>> CertificateStore::open(const std::string& chain_file,
                                                                 const std::string& key_file) {
  std::unique_ptr<CertificateStore> store(new CertificateStore(chain_file, key_file));
  store->tried_ = store->seen_ = store->stamp();
  auto identity = net::TlsIdentity::load(chain_file, key_file, store->tickets_);
  if (!identity) return Error{identity.error().code, "--tls-cert and --tls-key: " + identity.error().message};
  announce(**identity);
  store->current_ = *std::move(identity);
  store->loads_ = store->generation_ = 1;
  return store;
}

std::shared_ptr<const net::TlsIdentity> CertificateStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

CertificateStore::Stamp CertificateStore::stamp() const {
  Stamp stamp{};
  std::size_t at = 0;
  for (const std::string* file : {&chain_file_, &key_file_}) {
    struct stat info {};
    if (::stat(file->c_str(), &info) != 0) info = {};  // missing is a state, too
    stamp[at++] = static_cast<std::uint64_t>(info.st_dev);
    stamp[at++] = static_cast<std::uint64_t>(info.st_ino);
    stamp[at++] = static_cast<std::uint64_t>(info.st_size);
    stamp[at++] = static_cast<std::uint64_t>(info.st_mtim.tv_sec);
    stamp[at++] = static_cast<std::uint64_t>(info.st_mtim.tv_nsec);
  }
  return stamp;
}

bool CertificateStore::load(const char* why) {
  tried_ = seen_ = stamp();
  auto identity = net::TlsIdentity::load(chain_file_, key_file_, tickets_);
  if (!identity) {
    failures_.fetch_add(1, std::memory_order_relaxed);
    spdlog::error("TLS: {}, but {}; the certificate before stays in force, until {}", why, identity.error().message,
                  date(current()->expires_s()));
    return false;
  }
  spdlog::info("TLS: {}: new connections get the new certificate", why);
  announce(**identity);
  {
    const std::lock_guard lock(mutex_);
    current_ = *std::move(identity);
  }
  loads_.fetch_add(1, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  return true;
}

bool CertificateStore::look() {
  const Stamp now = stamp();
  const bool settled = now == std::exchange(seen_, now);
  return settled && now != tried_ && load("the files have changed");
}

}  // namespace terrazzo::app
