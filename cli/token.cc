#include <charconv>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "identity/key_text.h"
#include "identity/token_draft.h"

namespace terrazzo::cli {
namespace {

Result<identity::TokenKey> key_of(const CommandLine& line) {
  const std::string path = line.key_file.empty() ? line.data + "/token.secret" : line.key_file;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty() && line.key_file.empty()) {
    return Error{ErrorCode::not_found,
                 path +
                     " holds no secret: --data names the data folder of a server that was started without --token-keys "
                     "(it makes the secret at its first start), and this program must be allowed to read it; or --key "
                     "names a file with a key of one's own"};
  }
  if (text.empty()) return Error{ErrorCode::not_found, "--key " + path + " cannot be read, or is empty"};
  Result<identity::TokenKey> key = identity::signing_key(text);
  if (!key) return Error{key.error().code, path + ": " + key.error().message};
  const std::string_view algorithm = identity::algorithm_name(key->algorithm());
  if (!line.algorithm.empty() && line.algorithm != algorithm)
    return Error{ErrorCode::bad_message,
                 "--alg " + line.algorithm + ": " + path + " is a key for " + std::string(algorithm)};
  return key;
}

Result<identity::WorldRoles> roles_of(const CommandLine& line) {
  identity::WorldRoles roles;
  for (const std::string& each : line.roles) {
    const std::size_t equals = each.rfind('=');
    const std::string name = equals == std::string::npos ? each : each.substr(equals + 1);
    const std::optional<identity::Role> role = identity::role_named(name);
    if ((!role && name != "none") || equals == 0) {
      return Error{ErrorCode::bad_message,
                   "--roles \"" + each + "\": a role is viewer, editor, owner or none, for one world WORLD=ROLE"};
    }
    roles.set(equals == std::string::npos ? std::string(identity::WorldRoles::kEverywhere) : each.substr(0, equals),
              role);
  }
  return roles;
}

// Seconds; nothing: never.
Result<std::optional<std::int64_t>> duration_of(const std::string& text) {
  if (text == "never") return std::optional<std::int64_t>();
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string unit(rest, end);
  const std::int64_t factor = unit.empty() || unit == "s" ? 1
                              : unit == "m"               ? 60
                              : unit == "h"               ? 3600
                              : unit == "d"               ? 86400
                                                          : 0;
  if (error != std::errc() || factor == 0 || number <= 0 || number > 1'000'000'000)
    return Error{ErrorCode::bad_message, "--expires \"" + text + "\": 90s, 15m, 8h or 30d, or never"};
  return std::optional(number * factor);
}

}  // namespace

Status make_token(const CommandLine& line) {
  const Result<identity::TokenKey> key = key_of(line);
  if (!key) return key.error();
  Result<identity::WorldRoles> roles = roles_of(line);
  if (!roles) return roles.error();
  const Result<std::optional<std::int64_t>> valid = duration_of(line.expires);
  if (!valid) return valid.error();
  identity::TokenDraft draft{
      line.user,   *std::move(roles), line.issuer, line.audience, static_cast<std::int64_t>(std::time(nullptr)),
      std::nullopt};
  if (*valid) draft.expires_s = draft.issued_s + **valid;
  const Result<std::string> token = identity::make_token(*key, line.key_id, draft);
  if (!token) return token.error();
  std::puts(token->c_str());
  return {};
}

}  // namespace terrazzo::cli
