#include "identity/token_draft.h"

#include <nlohmann/json.hpp>

#include "identity/base64url.h"

namespace terrazzo::identity {

Result<std::string> make_token(const TokenKey& key, const std::string& id, const TokenDraft& draft) {
  using nlohmann::json;
  json header{{"alg", algorithm_name(key.algorithm())}, {"typ", "JWT"}};
  if (const std::string& kid = key.id().empty() ? id : key.id(); !kid.empty()) header["kid"] = kid;
  json roles = json::object();
  for (const auto& [world, role] : draft.roles.all()) roles[world] = role ? role_name(*role) : "none";
  json claims{{"sub", draft.subject}, {"roles", roles}, {"iat", draft.issued_s}};
  if (draft.expires_s) claims["exp"] = *draft.expires_s;
  if (!draft.issuer.empty()) claims["iss"] = draft.issuer;
  if (!draft.audience.empty()) claims["aud"] = draft.audience;
  constexpr auto kReplace = json::error_handler_t::replace;
  const std::string text =
      base64url(header.dump(-1, ' ', false, kReplace)) + "." + base64url(claims.dump(-1, ' ', false, kReplace));
  Result<std::string> signature = key.sign(text);
  if (!signature) return signature.error();
  return text + "." + base64url(*signature);
}

}  // namespace terrazzo::identity
