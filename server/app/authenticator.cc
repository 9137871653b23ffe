#include "server/app/authenticator.h"

#include <fcntl.h>
#include <jwt.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

namespace terrazzo::app {
namespace {

struct JwtFree {
  void operator()(jwt_t* jwt) const { jwt_free(jwt); }
};
Error refused(const std::string& why) {
  return {ErrorCode::unauthenticated, why + ": get a token with `terrazzo token` and pass it in hello.token"};
}

Result<session::Role> role_of(const char* name) {
  const std::string_view role = name == nullptr ? "" : name;
  if (role == "viewer") return session::Role::viewer;
  if (role == "editor") return session::Role::editor;
  if (role == "owner") return session::Role::owner;
  return refused("the token's claim `role` is none of viewer, editor, owner");
}

}  // namespace

Result<session::Identity> Authenticator::authenticate(std::string_view token) const {
  if (open_) return session::Identity{.user = "anyone", .role = session::Role::owner, .proven = false};
  if (token.empty()) return refused("this server wants a token");
  jwt_t* decoded = nullptr;
  const std::string text(token);
  if (jwt_decode(&decoded, text.c_str(), reinterpret_cast<const unsigned char*>(secret_.data()),
                 static_cast<int>(secret_.size())) != 0) {
    return refused("the token is not signed by this server's secret");
  }
  const std::unique_ptr<jwt_t, JwtFree> jwt(decoded);
  // The algorithm comes from the token, so it is checked: an unsigned token (`none`) is never one.
  if (jwt_get_alg(decoded) != JWT_ALG_HS256) return refused("the token is not signed with HS256");
  const auto now = static_cast<long>(std::time(nullptr));
  if (const long expires = jwt_get_grant_int(decoded, "exp"); expires != 0 && expires <= now) {
    return refused("the token expired " + std::to_string(now - expires) + " seconds ago");
  }
  if (const long from = jwt_get_grant_int(decoded, "nbf"); from > now) return refused("the token is not valid yet");
  const char* subject = jwt_get_grant(decoded, "sub");
  if (subject == nullptr || *subject == '\0') return refused("the token has no claim `sub`");
  const Result<session::Role> role = role_of(jwt_get_grant(decoded, "role"));
  if (!role) return role.error();
  return session::Identity{subject, *role};
}

Result<std::string> load_or_make_secret(const std::string& path) {
  const auto failed = [&](const char* what) {
    return Error{ErrorCode::internal, std::string(what) + " " + path + ": " + std::strerror(errno)};
  };
  int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) {
    unsigned char random[32];
    if (RAND_bytes(random, sizeof random) != 1) {
      ::close(fd);
      return Error{ErrorCode::internal, "no randomness for a new token secret"};
    }
    std::string secret;
    constexpr char kDigits[] = "0123456789abcdef";
    for (const unsigned char byte : random) {
      secret.push_back(kDigits[byte >> 4]);
      secret.push_back(kDigits[byte & 15]);
    }
    const bool written =
        ::write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) && ::fsync(fd) == 0;
    ::close(fd);
    if (!written) return failed("cannot write");
    return secret;
  }
  if (errno != EEXIST) return failed("cannot make");
  fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("cannot read");
  char text[4096];
  const ssize_t got = ::read(fd, text, sizeof text);
  ::close(fd);
  if (got < 0) return failed("cannot read");
  std::string secret(text, static_cast<std::size_t>(got));
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r' || secret.back() == ' ')) secret.pop_back();
  if (secret.size() < 32) {
    return Error{ErrorCode::bad_message,
                 path + " holds " + std::to_string(secret.size()) +
                     " characters; a token secret has at least 32. Remove the file to get a new one"};
  }
  return secret;
}

}  // namespace terrazzo::app
