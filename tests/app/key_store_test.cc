#include "server/app/key_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "identity/token_draft.h"
#include "server/app/authenticator.h"
#include "tests/identity/made_keys.h"
#include "tests/io/scratch_folder.h"
#include "tests/net/certificates.h"

namespace terrazzo::app {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;
const std::string kOld(40, 'o'), kNew(40, 'n');

std::string token_of(const std::string& key, std::int64_t expires_s = kNow + 60) {
  identity::TokenDraft draft;
  draft.subject = "ada";
  draft.roles.set("*", identity::Role::editor);
  draft.expires_s = expires_s;
  return identity::make_token(*identity::signing_key(key), "", draft).value();
}

class KeyStoreTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    net::write_text(folder_ / name, text);
    // Whatever the clock of the file system tells apart.
    const auto later = std::filesystem::file_time_type::clock::now() + std::chrono::seconds(++touched_);
    std::filesystem::last_write_time(folder_ / name, later);
  }
  std::unique_ptr<KeyStore> opened(const std::string& path) {
    auto store = KeyStore::open({path}, {});
    EXPECT_TRUE(store.ok()) << store.error().message;
    return *std::move(store);
  }
  static bool takes(const KeyStore& store, const std::string& token) {
    return std::holds_alternative<identity::TokenClaims>(store.current()->verify(token, kNow));
  }

  io::ScratchFolder folder_;
  int touched_ = 0;
};

TEST_F(KeyStoreTest, AFolderIsAllItsKeys) {
  const identity::MadeKey rsa = identity::make_rsa(), ed = identity::make_ed25519();
  put("idp.pem", rsa.public_pem);
  put("bots.pem", ed.public_pem);
  put("local.secret", kOld);
  put("README", "not a key");
  put(".hidden.pem", "not a key");
  const auto store = opened(folder_ / "");
  EXPECT_TRUE(takes(*store, token_of(rsa.private_pem)));
  EXPECT_TRUE(takes(*store, token_of(ed.private_pem)));
  EXPECT_TRUE(takes(*store, token_of(kOld)));
  EXPECT_FALSE(takes(*store, token_of(kNew)));
  EXPECT_FALSE(takes(*store, token_of(identity::make_ed25519().private_pem)));
}

TEST_F(KeyStoreTest, IsToldWhatDoesNotDoAtTheStart) {
  EXPECT_EQ(KeyStore::open({folder_ / "nowhere"}, {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(KeyStore::open({folder_ / ""}, {}).error().code, ErrorCode::not_found);  // nothing in it
  put("private.pem", identity::make_ed25519().private_pem);
  const auto store = KeyStore::open({folder_ / ""}, {});
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("--token-keys"), std::string::npos) << store.error().message;
  EXPECT_NE(store.error().message.find("private.pem"), std::string::npos) << store.error().message;
  EXPECT_NE(store.error().message.find("-pubout"), std::string::npos) << store.error().message;
}

TEST_F(KeyStoreTest, KeysAreReplacedWhenSomebodyAsks) {
  put("a.secret", kOld);
  const auto store = opened(folder_ / "");
  put("b.secret", kNew);
  EXPECT_FALSE(takes(*store, token_of(kNew)));
  store->load("SIGHUP");
  EXPECT_TRUE(takes(*store, token_of(kNew)));
  EXPECT_TRUE(takes(*store, token_of(kOld)));
  std::filesystem::remove(folder_ / "a.secret");
  store->load("SIGHUP");
  EXPECT_FALSE(takes(*store, token_of(kOld)));
  EXPECT_EQ(store->loads(), 3u);
  EXPECT_EQ(store->failures(), 0u);
}

TEST_F(KeyStoreTest, NewKeysThatDoNotDoLeaveThoseBeforeInForce) {
  put("a.secret", kOld);
  const auto store = opened(folder_ / "a.secret");
  for (const std::string& bad : {std::string("short"), std::string(), std::string("{\"keys\":[]}")}) {
    put("a.secret", bad);
    store->load("SIGHUP");
    EXPECT_TRUE(takes(*store, token_of(kOld)));
  }
  std::filesystem::remove(folder_ / "a.secret");
  store->load("SIGHUP");
  EXPECT_TRUE(takes(*store, token_of(kOld)));
  EXPECT_EQ(store->failures(), 4u);
  EXPECT_EQ(store->loads(), 1u);
}

TEST_F(KeyStoreTest, FilesThatChangedAreReadOnceTheyStayAsTheyAre) {
  put("a.secret", kOld);
  const auto store = opened(folder_ / "");
  store->look();
  put("b.secret", kNew);
  store->look();  // perhaps one of two files
  EXPECT_EQ(store->loads(), 1u);
  store->look();
  EXPECT_EQ(store->loads(), 2u);
  EXPECT_TRUE(takes(*store, token_of(kNew)));
  store->look();
  EXPECT_EQ(store->loads(), 2u);
}

TEST_F(KeyStoreTest, ASecretIsMadeOnceAndForItsOwnerOnly) {
  const std::string path = folder_ / "token.secret";
  ASSERT_TRUE(have_secret(path));
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(info.st_size, 64);
  const auto store = opened(path);
  ASSERT_TRUE(have_secret(path));
  store->load("SIGHUP");
  EXPECT_EQ(store->loads(), 2u);
  EXPECT_FALSE(have_secret(folder_ / "no/such/folder/token.secret"));
}

TEST_F(KeyStoreTest, AnAuthenticatorSaysWhenTheTokenEndsAndCountsWhatItRefuses) {
  put("a.secret", kOld);
  const auto authenticator = Authenticator::with_keys(opened(folder_ / "a.secret"));
  const auto ada = authenticator->authenticate(token_of(kOld), kNow, 5'000'000'000);
  ASSERT_TRUE(ada) << ada.error().message;
  EXPECT_EQ(ada->ends_ns, (5u + 60 + 30) * 1'000'000'000ull);  // leeway included
  EXPECT_TRUE(ada->proven);
  EXPECT_EQ(ada->roles.in("w", "1"), identity::Role::editor);
  EXPECT_FALSE(authenticator->authenticate("", kNow, 0));
  EXPECT_FALSE(authenticator->authenticate(token_of(kOld, kNow - 100), kNow, 0));
  EXPECT_FALSE(authenticator->authenticate(token_of(kNew), kNow, 0));
  // So far off that nobody can wait for it.
  EXPECT_EQ(authenticator->authenticate(token_of(kOld, std::int64_t{1} << 50), kNow, 0)->ends_ns, std::nullopt);
  const auto refused = authenticator->refused();
  EXPECT_EQ(refused[static_cast<std::size_t>(identity::Refusal::missing)], 1u);
  EXPECT_EQ(refused[static_cast<std::size_t>(identity::Refusal::expired)], 1u);
  EXPECT_EQ(refused[static_cast<std::size_t>(identity::Refusal::signature)], 1u);
}

TEST(AuthenticatorOf, NobodyIsAskedWhereNoTokensAre) {
  const auto open = Authenticator::none();
  const auto anyone = open->authenticate("whatever", kNow, 0);
  ASSERT_TRUE(anyone);
  EXPECT_FALSE(anyone->proven);
  EXPECT_EQ(anyone->roles.in("w", "1"), identity::Role::owner);
  EXPECT_EQ(anyone->ends_ns, std::nullopt);
}

}  // namespace
}  // namespace terrazzo::app
