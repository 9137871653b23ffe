#include "server/app/key_store.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "server/io/durable_file.h"

namespace terrazzo::app {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kKeyFileBytesMax = 1 << 20;

// In a folder: other files there (README, .gitignore, what an editor left) are not looked at.
bool is_key_file(const std::string& name) {
  return !name.starts_with('.') && std::ranges::any_of(std::array{".pem", ".crt", ".json", ".jwks", ".jwk", ".secret"},
                                                       [&](const char* ending) { return name.ends_with(ending); });
}

void announce(const identity::KeySet& keys) {
  std::array<std::size_t, identity::kAlgorithmNames.size()> counts{};
  for (const identity::TokenKey& key : keys.keys()) ++counts[static_cast<std::size_t>(key.algorithm())];
  std::string text;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i] != 0)
      text +=
          (text.empty() ? "" : ", ") + std::to_string(counts[i]) + " for " + std::string(identity::kAlgorithmNames[i]);
  spdlog::info("tokens are proven with {} keys: {}{}", keys.keys().size(), text,
               keys.skipped() == 0 ? "" : fmt::format("; {} of other kinds were left out", keys.skipped()));
}

}  // namespace

Result<std::unique_ptr<KeyStore>> KeyStore::open(std::vector<std::string> paths, identity::TokenPolicy policy) {
  std::unique_ptr<KeyStore> store(new KeyStore(std::move(paths), std::move(policy)));
  store->tried_ = store->seen_ = store->stamp();
  auto verifier = store->read();
  if (!verifier) return Error{verifier.error().code, "--token-keys: " + verifier.error().message};
  announce((*verifier)->keys());
  store->current_ = *std::move(verifier);
  store->loads_ = 1;
  return store;
}

std::shared_ptr<const identity::TokenVerifier> KeyStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Result<std::vector<std::string>> KeyStore::files() const {
  std::vector<std::string> files;
  for (const std::string& path : paths_) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
      if (is_key_file(it->path().filename().string())) found.push_back(it->path().string());
    if (error) return Error{ErrorCode::internal, path + " cannot be listed: " + error.message()};
    std::ranges::sort(found);
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

Result<std::shared_ptr<const identity::TokenVerifier>> KeyStore::read() const {
  const Result<std::vector<std::string>> listed = files();
  if (!listed) return listed.error();
  identity::KeySet keys;
  for (const std::string& file : *listed) {
    const auto in_file = [&](const Error& error) { return Error{error.code, file + ": " + error.message}; };
    std::error_code error;
    if (fs::file_size(file, error) > kKeyFileBytesMax && !error)
      return in_file({ErrorCode::too_large, "larger than any file of keys"});
    const Result<std::string> text = io::read_file(file);
    if (!text) return text.error();
    Result<identity::KeysOfText> found = identity::verification_keys(*text);
    if (!found) return in_file(found.error());
    if (const Status added = keys.add(*std::move(found)); !added) return in_file(added.error());
  }
  if (keys.keys().empty()) {
    return Error{ErrorCode::not_found,
                 "no keys: name a file, or a folder with *.pem, *.crt, *.json, *.jwk, *.jwks or *.secret in it"};
  }
  return std::make_shared<const identity::TokenVerifier>(std::move(keys), policy_);
}

KeyStore::Stamp KeyStore::stamp() const {
  Stamp stamp;
  const auto note = [&](const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) info = {};  // missing is a state, too
    stamp[path] = {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
                   static_cast<std::uint64_t>(info.st_size), static_cast<std::uint64_t>(info.st_mtim.tv_sec),
                   static_cast<std::uint64_t>(info.st_mtim.tv_nsec)};
  };
  for (const std::string& path : paths_) note(path);
  if (const Result<std::vector<std::string>> listed = files(); listed)
    for (const std::string& file : *listed) note(file);
  return stamp;
}

void KeyStore::load(const char* why) {
  tried_ = seen_ = stamp();
  auto verifier = read();
  if (!verifier) {
    failures_.fetch_add(1, std::memory_order_relaxed);
    spdlog::error("--token-keys: {}, but {}; the keys before stay in force", why, verifier.error().message);
    return;
  }
  spdlog::info("--token-keys: {}: read again", why);
  announce((*verifier)->keys());
  {
    const std::lock_guard lock(mutex_);
    current_ = *std::move(verifier);
  }
  loads_.fetch_add(1, std::memory_order_relaxed);
}

void KeyStore::look() {
  const Stamp now = stamp();
  const bool settled = now == std::exchange(seen_, now);
  if (settled && now != tried_) load("the files have changed");
}

Status have_secret(const std::string& path) {
  const auto failed = [&](const char* what) {
    return Error{ErrorCode::internal, path + " " + what + ": " + std::strerror(errno)};
  };
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return errno == EEXIST ? Status() : Status(failed("cannot be made"));
  unsigned char random[32];
  std::string secret;
  constexpr char kDigits[] = "0123456789abcdef";
  if (RAND_bytes(random, sizeof random) == 1)
    for (const unsigned char byte : random) secret += {kDigits[byte >> 4], kDigits[byte & 15]};
  const bool written = !secret.empty() &&
                       ::write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
                       ::fsync(fd) == 0;
  const Error error = failed("cannot be written");
  ::close(fd);
  if (written) return {};
  ::unlink(path.c_str());
  return error;
}

}  // namespace terrazzo::app
