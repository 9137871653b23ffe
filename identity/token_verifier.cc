#include "identity/token_verifier.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "identity/base64url.h"

namespace terrazzo::identity {
namespace {

using nlohmann::json;

RefusedToken because(Refusal reason, std::string message) {
  return {reason, std::move(message)};
}

// Shown to people and written to logs, so without what could change a line there.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 64)) out.push_back(c < ' ' || c == '"' || c == '\\' || c == 0x7F ? '?' : c);
  return "\"" + out + "\"";
}

std::optional<std::string> string_in(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

// NumericDate of RFC 7519: seconds since 1970, perhaps with a fraction. `there`: the claim is. Beyond 2^53 numbers are
// no times.
struct Time {
  bool there = false;
  std::optional<std::int64_t> seconds;
};
Time time_in(const json& claims, const char* member) {
  const auto found = claims.find(member);
  if (found == claims.end()) return {};
  constexpr double kMost = 9007199254740992.0;
  const double value = found->is_number() ? found->get<double>() : NAN;
  if (!(std::abs(value) <= kMost)) return {true, std::nullopt};
  return {true, static_cast<std::int64_t>(std::floor(value))};
}

bool is_plain(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7F; });
}

constexpr const char* kRolesAre =
    R"(roles are said by the claim "roles": {"world's name or id, or * for all others": "viewer", "editor", "owner" or )"
    R"("none"}, or by "role" for all worlds)";

// Nothing: they make no sense.
std::optional<WorldRoles> roles_in(const json& claims) {
  WorldRoles roles;
  const auto add = [&](const std::string& world, const json& value) {
    if (!value.is_string()) return false;
    const auto& name = value.get_ref<const std::string&>();
    const std::optional<Role> role = role_named(name);
    roles.set(world, role);
    return role || name == "none";
  };
  const auto by_world = claims.find("roles"), for_all = claims.find("role");
  if (by_world != claims.end()) {
    if (!by_world->is_object()) return std::nullopt;
    for (const auto& [world, role] : by_world->items())
      if (!add(world, role)) return std::nullopt;
  }
  if (for_all != claims.end()) {
    const std::string everywhere(WorldRoles::kEverywhere);
    if (roles.all().contains(everywhere) || !add(everywhere, *for_all)) return std::nullopt;
  }
  return roles.empty() ? std::nullopt : std::optional(std::move(roles));
}

std::optional<RefusedToken> wrong_audience(const json& claims, const TokenPolicy& policy) {
  const auto found = claims.find("aud");
  if (found == claims.end()) {
    if (policy.audiences.empty()) return std::nullopt;
    return because(Refusal::audience,
                   "the token has no claim `aud`; this server wants " + shown(policy.audiences.front()));
  }
  // RFC 7519, 4.1.3: who is not named must not take it.
  const json named = found->is_array() ? *found : json::array({*found});
  for (const json& one : named)
    if (one.is_string() &&
        std::ranges::find(policy.audiences, one.get_ref<const std::string&>()) != policy.audiences.end())
      return std::nullopt;
  const std::string is = named.empty() || !named.front().is_string() ? "" : named.front().get<std::string>();
  return because(Refusal::audience, "the token is for " + shown(is) + ", " +
                                        (policy.audiences.empty() ? "and this server has no name (--token-audience)"
                                                                  : "not for " + shown(policy.audiences.front())));
}

std::optional<RefusedToken> wrong_time(const json& claims, std::int64_t now_s, std::int64_t leeway_s) {
  const Time expires = time_in(claims, "exp"), from = time_in(claims, "nbf");
  if ((expires.there && !expires.seconds) || (from.there && !from.seconds))
    return because(Refusal::claims, "`exp` and `nbf` are seconds since 1970");
  if (expires.seconds && *expires.seconds + leeway_s <= now_s)
    return because(Refusal::expired, "the token expired " + std::to_string(now_s - *expires.seconds) + " seconds ago");
  if (from.seconds && *from.seconds - leeway_s > now_s)
    return because(Refusal::not_yet,
                   "the token is valid in " + std::to_string(*from.seconds - now_s) + " seconds only");
  return std::nullopt;
}

}  // namespace

TokenVerifier::Verdict TokenVerifier::verify(std::string_view token, std::int64_t now_s) const {
  if (token.empty()) return because(Refusal::missing, "this server wants a token");
  if (token.size() > kTokenBytesMax) {
    return because(Refusal::malformed, "a token of " + std::to_string(token.size()) + " bytes; at most " +
                                           std::to_string(kTokenBytesMax) + " are looked at");
  }
  const std::size_t first = token.find('.'), second = token.find('.', first == token.npos ? first : first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos)
    return because(Refusal::malformed, "the token is not a signed JSON Web Token: three parts with dots between them");
  const auto header = from_base64url(token.substr(0, first));
  const auto payload = from_base64url(token.substr(first + 1, second - first - 1));
  const auto signature = from_base64url(token.substr(second + 1));
  if (!header || !payload || !signature)
    return because(Refusal::malformed, "a part of the token is not base64url without padding");
  if (auto no = prove(*header, token.substr(0, second), *signature)) return *std::move(no);
  return judge(*payload, now_s);
}

std::optional<RefusedToken> TokenVerifier::prove(std::string_view header, std::string_view signed_text,
                                                 std::string_view signature) const {
  const json head = json::parse(header, nullptr, false);
  if (!head.is_object()) return because(Refusal::malformed, "the token's header is not JSON");
  // RFC 7515, 4.1.11: nothing is understood here that would have to be.
  if (head.contains("crit"))
    return because(Refusal::malformed, "the token's header has `crit`, which is not understood");
  const std::optional<std::string> alg = string_in(head, "alg"), kid = string_in(head, "kid");
  const std::optional<Algorithm> algorithm = alg ? algorithm_named(*alg) : std::nullopt;
  if (!algorithm) {
    return because(Refusal::algorithm,
                   "tokens are signed with RS256, EdDSA or HS256; this one says " + shown(alg.value_or("nothing")));
  }
  bool tried = false;
  for (const TokenKey& key : keys_.keys()) {
    if (key.algorithm() != *algorithm || (kid && !key.id().empty() && key.id() != *kid)) continue;
    if (key.verify(signed_text, signature)) return std::nullopt;
    tried = true;
  }
  if (tried) return because(Refusal::signature, "the token is not signed with a key of this server");
  return because(Refusal::unknown_key, "this server has no key for " + std::string(algorithm_name(*algorithm)) +
                                           (kid ? " with the kid " + shown(*kid) : std::string()));
}

TokenVerifier::Verdict TokenVerifier::judge(std::string_view payload, std::int64_t now_s) const {
  const json claims = json::parse(payload, nullptr, false);
  if (!claims.is_object()) return because(Refusal::malformed, "what the token says is not a JSON object");
  if (auto no = wrong_time(claims, now_s, policy_.leeway_s)) return *std::move(no);
  const std::optional<std::string> issuer = string_in(claims, "iss");
  if (!policy_.issuer.empty() && issuer != policy_.issuer) {
    return because(Refusal::issuer, "the token is from " + shown(issuer.value_or("nobody")) +
                                        "; this server takes those of " + shown(policy_.issuer));
  }
  if (auto no = wrong_audience(claims, policy_)) return *std::move(no);
  std::optional<std::string> subject = string_in(claims, "sub");
  if (!subject || subject->empty() || subject->size() > 256 || !is_plain(*subject))
    return because(Refusal::claims, "the token's claim `sub` says who it is for, in 1 to 256 bytes");
  std::optional<WorldRoles> roles = roles_in(claims);
  if (!roles) return because(Refusal::claims, std::string("the token gives no roles that make sense: ") + kRolesAre);
  return TokenClaims{*std::move(subject), *std::move(roles), time_in(claims, "exp").seconds};
}

}  // namespace terrazzo::identity
