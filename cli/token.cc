#include <jwt.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>

#include "cli/commands.h"

namespace terrazzo::cli {
namespace {

struct JwtFree {
  void operator()(jwt_t* jwt) const { jwt_free(jwt); }
};

}  // namespace

Status make_token(const CommandLine& line) {
  const std::string path = line.secret_file.empty() ? line.data + "/token.secret" : line.secret_file;
  std::ifstream file(path);
  std::string secret;
  if (!std::getline(file, secret) || secret.size() < 32) {
    return Error{ErrorCode::not_found,
                 path +
                     " holds no secret: --data names the data folder of a server that was started with --auth token "
                     "(it makes the secret at its first start), and this program must be allowed to read it"};
  }
  while (!secret.empty() && (secret.back() == '\r' || secret.back() == ' ')) secret.pop_back();
  jwt_t* raw = nullptr;
  if (jwt_new(&raw) != 0) return Error{ErrorCode::internal, "no memory for a token"};
  const std::unique_ptr<jwt_t, JwtFree> jwt(raw);
  const auto now = static_cast<long>(std::time(nullptr));
  bool made = jwt_add_grant(raw, "sub", line.user.c_str()) == 0 && jwt_add_grant(raw, "role", line.role.c_str()) == 0 &&
              jwt_add_grant_int(raw, "iat", now) == 0;
  if (line.valid_for_s > 0) made = made && jwt_add_grant_int(raw, "exp", now + line.valid_for_s) == 0;
  made = made && jwt_set_alg(raw, JWT_ALG_HS256, reinterpret_cast<const unsigned char*>(secret.data()),
                             static_cast<int>(secret.size())) == 0;
  char* text = made ? jwt_encode_str(raw) : nullptr;
  if (text == nullptr) return Error{ErrorCode::internal, "the token could not be made"};
  std::puts(text);
  std::free(text);
  return {};
}

}  // namespace terrazzo::cli
