#include "identity/token_verifier.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "identity/base64url.h"
#include "identity/token_draft.h"
#include "tests/identity/made_keys.h"

namespace terrazzo::identity {
namespace {

using nlohmann::json;
constexpr std::int64_t kNow = 1'700'000'000;
const std::string kSecret = "0123456789abcdef0123456789abcdef";

TokenKey secret_key(const std::string& secret = kSecret) {
  return signing_key(secret).value();
}

std::string signed_with(const TokenKey& key, const json& header, const json& claims) {
  const std::string text = base64url(header.dump()) + "." + base64url(claims.dump());
  return text + "." + base64url(key.sign(text).value());
}
json good_claims() {
  return {{"sub", "ada"}, {"role", "editor"}, {"exp", kNow + 60}};
}
std::string token_of(const json& claims) {
  return signed_with(secret_key(), {{"alg", "HS256"}}, claims);
}

// The name of the reason, or "taken".
std::string verdict(const TokenVerifier& verifier, const std::string& token, std::int64_t now_s = kNow) {
  const auto said = verifier.verify(token, now_s);
  const auto* refused = std::get_if<RefusedToken>(&said);
  if (refused == nullptr) return "taken";
  EXPECT_FALSE(refused->message.empty());
  return std::string(kRefusalNames[static_cast<std::size_t>(refused->reason)]);
}

class Verifier : public testing::Test {
 protected:
  std::string claims(const json& said) { return verdict(verifier, token_of(said)); }
  std::string with(const std::string& member, const json& value) {
    json said = good_claims();
    said[member] = value;
    return claims(said);
  }
  std::string without(const std::string& member) {
    json said = good_claims();
    said.erase(member);
    return claims(said);
  }
  TokenVerifier verifier{set_of({kSecret}), {}};
};

TEST_F(Verifier, WhatIsNoSignedTokenIsRefused) {
  EXPECT_EQ(verdict(verifier, ""), "missing");
  const std::string good = token_of(good_claims());
  EXPECT_EQ(verdict(verifier, good), "taken");
  for (const std::string& bad :
       {std::string("."), std::string(".."), std::string("..."), std::string("ada"), good + ".", "." + good, good + "=",
        good + " ", " " + good, good.substr(0, good.rfind('.')), "e30." + good.substr(good.find('.') + 1),
        std::string(5000, 'x'), "!!!." + good.substr(good.find('.') + 1)})
    EXPECT_NE(verdict(verifier, bad), "taken") << bad;
  EXPECT_EQ(verdict(verifier, std::string(5000, 'x')), "malformed");
}

TEST_F(Verifier, ATokenHasOneSpelling) {
  const std::string good = token_of(good_claims());  // its signature ends with a digit that has two bits to spare
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const std::size_t last = digits.find(good.back());
  ASSERT_EQ(last % 4, 0u);
  EXPECT_EQ(verdict(verifier, good.substr(0, good.size() - 1) + digits[last + 1]), "malformed");
}

TEST_F(Verifier, WithoutASignatureNothingIsTaken) {
  for (const char* alg : {"none", "None", "NONE", "", "HS384", "HS512", "RS512", "ES256", "hs256"}) {
    const std::string text = base64url(json{{"alg", alg}}.dump()) + "." + base64url(good_claims().dump());
    EXPECT_EQ(verdict(verifier, text + "."), "algorithm") << alg;
    EXPECT_EQ(verdict(verifier, text + "." + base64url(secret_key().sign(text).value())), "algorithm") << alg;
  }
  EXPECT_EQ(verdict(verifier, signed_with(secret_key(), {{"typ", "JWT"}}, good_claims())), "algorithm");
  EXPECT_EQ(verdict(verifier, signed_with(secret_key(), {{"alg", 7}}, good_claims())), "algorithm");
  const std::string good = token_of(good_claims());
  EXPECT_EQ(verdict(verifier, good.substr(0, good.rfind('.') + 1)), "signature");
  EXPECT_EQ(verdict(verifier, signed_with(secret_key(std::string(32, 'x')), {{"alg", "HS256"}}, good_claims())),
            "signature");
}

// The oldest trick: what everybody may know, the public key, taken as the secret of HS256.
TEST(TokenKeys, APublicKeyIsNeverASecret) {
  for (const MadeKey& made : {make_rsa(), make_ed25519()}) {
    const TokenVerifier verifier(set_of({made.public_pem}), {});
    const TokenKey confused = TokenKey::of_secret("", made.public_pem).value();
    EXPECT_EQ(verdict(verifier, signed_with(confused, {{"alg", "HS256"}}, good_claims())), "unknown_key");
    const TokenKey right = signing_key(made.private_pem).value();
    const std::string own(algorithm_name(right.algorithm()));
    EXPECT_EQ(verdict(verifier, signed_with(right, {{"alg", own}}, good_claims())), "taken");
    EXPECT_EQ(verdict(verifier, signed_with(confused, {{"alg", own}}, good_claims())), "signature");
    for (const char* other : {"RS256", "EdDSA", "HS256"}) {
      if (other == own) continue;
      EXPECT_EQ(verdict(verifier, signed_with(right, {{"alg", other}}, good_claims())), "unknown_key") << other;
    }
  }
}

TEST(TokenKeys, TheKidChoosesAmongThoseOfItsAlgorithm) {
  const auto jwk = [](const char* id, char fill) {
    return json{{"kty", "oct"}, {"kid", id}, {"k", base64url(std::string(32, fill))}};
  };
  const TokenVerifier verifier(set_of({json{{"keys", {jwk("old", 'o'), jwk("new", 'n')}}}.dump()}), {});
  const TokenKey old_key = secret_key(std::string(32, 'o')), new_key = secret_key(std::string(32, 'n'));
  EXPECT_EQ(verdict(verifier, signed_with(old_key, {{"alg", "HS256"}, {"kid", "old"}}, good_claims())), "taken");
  EXPECT_EQ(verdict(verifier, signed_with(new_key, {{"alg", "HS256"}, {"kid", "new"}}, good_claims())), "taken");
  EXPECT_EQ(verdict(verifier, signed_with(new_key, {{"alg", "HS256"}}, good_claims())), "taken");
  EXPECT_EQ(verdict(verifier, signed_with(new_key, {{"alg", "HS256"}, {"kid", "old"}}, good_claims())), "signature");
  EXPECT_EQ(verdict(verifier, signed_with(new_key, {{"alg", "HS256"}, {"kid", "next"}}, good_claims())), "unknown_key");
  // A key without an id is for any.
  const TokenVerifier plain(set_of({std::string(32, 'n')}), {});
  EXPECT_EQ(verdict(plain, signed_with(new_key, {{"alg", "HS256"}, {"kid", "next"}}, good_claims())), "taken");
}

TEST(TokenKeys, WhatMakesNoKeyIsSaid) {
  EXPECT_EQ(verification_keys("short").error().code, ErrorCode::bad_message);
  EXPECT_EQ(verification_keys("").error().code, ErrorCode::bad_message);
  EXPECT_EQ(verification_keys(make_rsa(1024).public_pem).error().code, ErrorCode::bad_message);
  EXPECT_EQ(verification_keys(make_rsa().private_pem).error().code, ErrorCode::forbidden);
  EXPECT_EQ(verification_keys(make_ed25519().private_pem).error().code, ErrorCode::forbidden);
  EXPECT_EQ(verification_keys(pem_of(EVP_EC_gen("P-256")).public_pem).error().code, ErrorCode::unsupported);
  const std::string pem = make_rsa().public_pem;
  EXPECT_EQ(verification_keys(pem.substr(0, pem.size() / 2)).error().code, ErrorCode::bad_message);
  EXPECT_EQ(verification_keys(pem + "-----BEGIN PUBLIC KEY-----\nAAAA").error().code, ErrorCode::bad_message);
  for (const char* bad :
       {"{", "{}", R"({"keys":7})", R"({"keys":[7]})", R"({"keys":[]})", R"({"kty":"oct","k":"c2hvcnQ"})",
        R"({"kty":"oct"})", R"({"kty":"RSA","n":"AQAB","e":"AQAB"})", R"({"kty":"RSA"})",
        R"({"kty":"OKP","crv":"Ed25519","x":"AQAB"})", R"({"kty":"OKP","crv":"X25519","x":"AQAB"})"})
    EXPECT_EQ(verification_keys(bad).error().code, ErrorCode::bad_message) << bad;
  EXPECT_EQ(
      verification_keys(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":""})")
          .error()
          .code,
      ErrorCode::forbidden);
  EXPECT_EQ(signing_key(make_rsa().public_pem).error().code, ErrorCode::bad_message);
  KeySet twice;
  const std::string jwk = json{{"kty", "oct"}, {"kid", "a"}, {"k", base64url(std::string(32, 'a'))}}.dump();
  ASSERT_TRUE(twice.add(verification_keys(jwk).value()));
  EXPECT_EQ(twice.add(verification_keys(jwk).value()).error().code, ErrorCode::conflict);
}

TEST(TokenKeys, KeysOfOthersInAJwksAreLeftOut) {
  const auto found = verification_keys(
      R"({"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"},{"kty":"RSA","use":"enc","n":"AQ","e":"AQ"},)"
      R"({"kty":"RSA","alg":"RS512","n":"AQ","e":"AQ"},)"
      R"({"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->skipped, 3u);
  ASSERT_EQ(found->keys.size(), 1u);
  EXPECT_EQ(found->keys[0].id(), "a");
}

TEST(TokenKeys, APrivateJwkOfRsaSigns) {
  // Both halves, as another program has written them.
  const MadeKey made = make_rsa();
  const TokenKey pem = signing_key(made.private_pem).value();
  BIO* bio = BIO_new_mem_buf(made.private_pem.data(), static_cast<int>(made.private_pem.size()));
  EVP_PKEY* pkey = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  json jwk{{"kty", "RSA"}, {"kid", "mine"}};
  for (const auto& [member, name] : {std::pair("n", "n"),
                                     {"e", "e"},
                                     {"d", "d"},
                                     {"p", "rsa-factor1"},
                                     {"q", "rsa-factor2"},
                                     {"dp", "rsa-exponent1"},
                                     {"dq", "rsa-exponent2"},
                                     {"qi", "rsa-coefficient1"}}) {
    BIGNUM* number = nullptr;
    ASSERT_EQ(EVP_PKEY_get_bn_param(pkey, name, &number), 1) << name;
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
    BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
    BN_free(number);
    jwk[member] = base64url(bytes);
  }
  EVP_PKEY_free(pkey);
  const auto key = signing_key(jwk.dump());
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->sign("text").value(), pem.sign("text").value());  // RSASSA-PKCS1-v1_5 has no randomness
  jwk.erase("qi");
  EXPECT_EQ(signing_key(jwk.dump()).error().code, ErrorCode::bad_message);
}

TEST_F(Verifier, TimesCountWithLeeway) {
  const std::int64_t leeway = verifier.policy().leeway_s;
  EXPECT_EQ(with("exp", kNow), "taken");
  EXPECT_EQ(with("exp", kNow - leeway + 1), "taken");
  EXPECT_EQ(with("exp", kNow - leeway), "expired");
  EXPECT_EQ(with("exp", static_cast<double>(kNow) + 0.5), "taken");
  EXPECT_EQ(with("exp", 0), "expired");  // not "never"
  EXPECT_EQ(with("exp", -1), "expired");
  EXPECT_EQ(without("exp"), "taken");
  EXPECT_EQ(with("nbf", kNow + leeway), "taken");
  EXPECT_EQ(with("nbf", kNow + leeway + 1), "not_yet");
  for (const json& senseless :
       {json("soon"), json(nullptr), json(true), json(1e300), json(-1e300), json::array({kNow})}) {
    EXPECT_EQ(with("exp", senseless), "claims") << senseless;
    EXPECT_EQ(with("nbf", senseless), "claims") << senseless;
  }
}

TEST_F(Verifier, WhoItIsForIsSaid) {
  EXPECT_EQ(without("sub"), "claims");
  EXPECT_EQ(with("sub", ""), "claims");
  EXPECT_EQ(with("sub", 7), "claims");
  EXPECT_EQ(with("sub", "a\nb"), "claims");
  EXPECT_EQ(with("sub", std::string(257, 'a')), "claims");
  EXPECT_EQ(with("sub", "Größe"), "taken");
}

TEST_F(Verifier, RolesAreByWorldOrForAll) {
  EXPECT_EQ(without("role"), "claims");
  EXPECT_EQ(with("role", "king"), "claims");
  EXPECT_EQ(with("role", 7), "claims");
  EXPECT_EQ(with("roles", "editor"), "claims");
  EXPECT_EQ(with("roles", {{"island", "king"}}), "claims");
  EXPECT_EQ(with("roles", {{"*", "viewer"}}), "claims");  // and `role` says something else
  const auto said = verifier.verify(
      token_of(
          {{"sub", "ada"}, {"roles", {{"island", "owner"}, {"17", "viewer"}, {"secret", "none"}, {"*", "editor"}}}}),
      kNow);
  const WorldRoles& roles = std::get<TokenClaims>(said).roles;
  EXPECT_EQ(roles.in("island", "1"), Role::owner);
  EXPECT_EQ(roles.in("island@festival", "4503599627370497"), Role::owner);
  EXPECT_EQ(roles.in("atlantis", "17"), Role::viewer);
  EXPECT_EQ(roles.in("atlantis", "18"), Role::editor);
  EXPECT_EQ(roles.in("secret", "19"), std::nullopt);
  EXPECT_EQ(roles.everywhere(), Role::editor);
  EXPECT_EQ(claims({{"sub", "ada"}, {"roles", json::object()}}), "claims");
}

TEST(TokenPolicyOf, IssuerAndAudienceMustBeAsTheServerSays) {
  const TokenVerifier any(set_of({kSecret}), {}),
      ours(set_of({kSecret}), {"https://login.example", {"maps", "tiles"}, 30});
  json said = good_claims();
  EXPECT_EQ(verdict(any, token_of(said)), "taken");
  EXPECT_EQ(verdict(ours, token_of(said)), "issuer");
  said["iss"] = "https://login.example";
  EXPECT_EQ(verdict(any, token_of(said)), "taken");
  EXPECT_EQ(verdict(ours, token_of(said)), "audience");
  for (const json& good : {json("maps"), json("tiles"), json::array({"other", "maps"})}) {
    said["aud"] = good;
    EXPECT_EQ(verdict(ours, token_of(said)), "taken") << good;
    EXPECT_EQ(verdict(any, token_of(said)), "audience") << good;  // RFC 7519, 4.1.3
  }
  for (const json& bad : {json("map"), json::array(), json(7), json::array({7})}) {
    said["aud"] = bad;
    EXPECT_EQ(verdict(ours, token_of(said)), "audience") << bad;
  }
  said["aud"] = "maps";
  said["iss"] = 7;
  EXPECT_EQ(verdict(ours, token_of(said)), "issuer");
}

TEST_F(Verifier, WhatMustBeUnderstoodAndIsNotIsRefused) {
  const json header{{"alg", "HS256"}, {"crit", {"exp"}}};
  EXPECT_EQ(verdict(verifier, signed_with(secret_key(), header, good_claims())), "malformed");
}

TEST_F(Verifier, MessagesShowNothingThatBreaksALine) {
  const auto said = verifier.verify(signed_with(secret_key(), {{"alg", "a\n\"b\x1b"}}, good_claims()), kNow);
  const std::string& message = std::get<RefusedToken>(said).message;
  EXPECT_EQ(message.find_first_of("\n\x1b"), std::string::npos) << message;
  EXPECT_NE(message.find("a??b?"), std::string::npos) << message;
}

TEST(TokenDraftOf, SaysWhatWasAskedFor) {
  TokenDraft draft;
  draft.subject = "ada";
  draft.roles.set("island", Role::owner);
  draft.roles.set("secret", std::nullopt);
  draft.issuer = "here";
  draft.audience = "maps";
  draft.issued_s = kNow;
  draft.expires_s = kNow + 60;
  const TokenVerifier verifier(set_of({kSecret}), {"here", {"maps"}, 0});
  const std::string token = make_token(secret_key(), "", draft).value();
  const auto said = verifier.verify(token, kNow + 59);
  const auto* claims = std::get_if<TokenClaims>(&said);
  ASSERT_NE(claims, nullptr);
  EXPECT_EQ(claims->roles.all(), draft.roles.all());
  EXPECT_EQ(claims->expires_s, kNow + 60);
  EXPECT_EQ(verdict(verifier, token, kNow + 60), "expired");
}

}  // namespace
}  // namespace terrazzo::identity
