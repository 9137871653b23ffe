// Who may do what: tokens of every kind at a real server, over HTTP and both forms of the WebSocket. Each refusal is
// told, counted, and changes nothing.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "http_peer.h"
#include "identity/token_draft.h"
#include "identity/token_key.h"
#include "server_process.h"
#include "tests/identity/made_keys.h"
#include "tests/test_paths.h"
#include "typed_peer.h"

namespace terrazzo::integration {
namespace {

using nlohmann::json;
const std::string kProgram = TERRAZZO_BIN_DIR "/terrazzo";

void put(const std::filesystem::path& path, const std::string& text) {
  // In one step: a server that looks meanwhile sees the old or the new one.
  std::ofstream(path.string() + ".new") << text;
  std::filesystem::rename(path.string() + ".new", path);
}

class Access : public testing::Test {
 protected:
  Access() {
    std::filesystem::create_directories(keys_);
    put(keys_ / "studio.pem", ed_.public_pem);
    put(keys_ / "idp.pem", rsa_.public_pem);
    put(folder_.path() / "ed.pem", ed_.private_pem);
    put(folder_.path() / "rsa.pem", rsa_.private_pem);
    put(folder_.path() / "other.pem", identity::make_ed25519().private_pem);
    server_ = std::make_unique<ServerProcess>(
        folder_.path() / "data",
        std::vector<std::string>{"--auth", "token", "--token-keys", keys_.string(), "--token-issuer", "studio",
                                 "--token-audience", "maps", "--token-leeway-s", "0", "--allow-origin",
                                 "https://studio.example"});
    owner_ = token({"--roles", "owner"});
    EXPECT_EQ(http(port(), "POST", "/v1/worlds", make_world_json("island"), "Bearer " + owner_).status, 201u);
    EXPECT_EQ(http(port(), "POST", "/v1/worlds", make_world_json("atlantis"), "Bearer " + owner_).status, 201u);
  }
  std::uint16_t port() const { return server_->port(); }
  // As an operator makes it; the last word of a flag counts.
  std::string token(std::vector<std::string> flags, const std::string& key = "ed.pem") {
    std::vector<std::string> words = {
        "token", "--key", (folder_.path() / key).string(), "--user", "ada", "--issuer", "studio", "--audience", "maps"};
    for (const std::string& flag : flags) {
      const auto same = std::ranges::find(words, flag);
      if (flag.starts_with("--") && same != words.end()) words.erase(same, same + 2);
    }
    words.insert(words.end(), flags.begin(), flags.end());
    const Ran ran = run_program(kProgram, words);
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    return ran.output.substr(0, ran.output.find('\n'));
  }
  std::string signed_by(const std::string& key_text, const identity::TokenDraft& draft) {
    return identity::make_token(*identity::signing_key(key_text), "", draft).value();
  }
  std::string signed_with_secret(const std::string& secret, const identity::TokenDraft& draft) {
    return identity::make_token(*identity::TokenKey::of_secret("", secret), "", draft).value();
  }
  identity::TokenDraft draft() const {
    identity::TokenDraft made;
    made.subject = "ada";
    made.roles = identity::WorldRoles::everywhere(identity::Role::owner);
    made.issuer = "studio";
    made.audience = "maps";
    return made;
  }
  double refused(const std::string& reason) {
    const std::string page = http(port(), "GET", "/metrics").body,
                      name = "terrazzo_tokens_refused_total{reason=\"" + reason + "\"} ";
    const std::size_t at = page.find(name);
    return at == std::string::npos ? -1 : std::stod(page.substr(at + name.size()));
  }
  // What came to be.
  std::string state() {
    return http(port(), "GET", "/v1/worlds", {}, "Bearer " + owner_).body +
           http(port(), "GET", "/v1/worlds/island/history", {}, "Bearer " + owner_).body;
  }
  template <class Condition>
  bool soon(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition())
      if (std::chrono::steady_clock::now() > until) return false;
    return true;
  }

  TemporaryFolder folder_;
  const std::filesystem::path keys_ = folder_.path() / "keys";
  const identity::MadeKey ed_ = identity::make_ed25519(), rsa_ = identity::make_rsa();
  std::unique_ptr<ServerProcess> server_;
  std::string owner_;
};

TEST_F(Access, EveryRefusalIsToldCountedAndChangesNothing) {
  const auto old_token = [&] {
    identity::TokenDraft made = draft();
    made.expires_s = std::time(nullptr) - 1;
    return signed_by(ed_.private_pem, made);
  };
  const std::string good = signed_by(ed_.private_pem, draft());
  const std::string unsigned_token =
      "eyJhbGciOiJub25lIn0" + good.substr(good.find('.'), good.rfind('.') - good.find('.') + 1);
  const struct {
    const char* reason;
    std::string token;
    const char* words;
  } cases[] = {{"missing", "", "wants a token"},
               {"malformed", "nonsense", "three parts"},
               {"algorithm", unsigned_token, "RS256, EdDSA or HS256"},
               // The public key, which everybody may know, as a secret.
               {"unknown_key", signed_with_secret(ed_.public_pem, draft()), "no key for HS256"},
               {"signature", token({}, "other.pem"), "not signed with a key of this server"},
               {"expired", old_token(), "expired"},
               {"issuer", token({"--issuer", "mallory"}), "studio"},
               {"audience", token({"--audience", "elsewhere"}), "maps"},
               {"claims",
                signed_by(ed_.private_pem,
                          [&] {
                            auto d = draft();
                            d.roles = {};
                            return d;
                          }()),
                "roles"}};
  const std::string before = state();
  for (const auto& [reason, token, words] : cases) {
    const double counted = refused(reason);
    const HttpAnswer answer =
        http(port(), "POST", "/v1/worlds", make_world_json("another"), token.empty() ? "" : "Bearer " + token);
    EXPECT_EQ(answer.status, 401u) << reason;
    EXPECT_NE(answer.body.find(words), std::string::npos) << reason << ": " << answer.body;
    for (const proto::Form form : {proto::Form::json, proto::Form::binary}) {
      TypedPeer peer(port(), form);
      proto::Hello hello;
      hello.token = token;
      peer.say(hello);
      const json error = peer.next("error");
      EXPECT_EQ(error["code"], "unauthenticated") << reason;
      EXPECT_NE(error["message"].get<std::string>().find(words), std::string::npos) << reason << ": " << error;
      EXPECT_EQ(peer.socket().close_code(), 1008) << reason;
      EXPECT_EQ(peer.socket().close_reason(), "unauthenticated") << reason;
    }
    EXPECT_EQ(refused(reason), counted + 3) << reason;
  }
  EXPECT_EQ(state(), before);
}

TEST_F(Access, RsaAndEd25519TokensAreTaken) {
  for (const char* key : {"ed.pem", "rsa.pem"}) {
    for (const proto::Form form : {proto::Form::json, proto::Form::binary}) {
      TypedPeer peer(port(), form);
      peer.enter("island", token({}, key));
    }
  }
  const Ran wrong = run_program(kProgram, {"token", "--key", (folder_.path() / "rsa.pem").string(), "--alg", "EdDSA"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.output.find("RS256"), std::string::npos) << wrong.output;
}

TEST_F(Access, RolesAreThoseOfTheWorld) {
  const std::string mixed = token({"--roles", "island=editor,atlantis=none,*=viewer"});
  const std::string bearer = "Bearer " + mixed;
  const std::string before = state();
  for (const proto::Form form : {proto::Form::json, proto::Form::binary}) {
    TypedPeer ada(port(), form);
    proto::Hello hello;
    hello.token = mixed;
    ada.say(hello);
    EXPECT_EQ(ada.next("welcome")["role"], "viewer");
    ada.say(proto::Open{"atlantis"});
    EXPECT_EQ(ada.next("error")["code"], "forbidden");
    ada.say(proto::Open{"island"});
    EXPECT_EQ(ada.next("world")["role"], "editor");
  }
  const struct {
    const char* method;
    const char* target;
    std::string body;
    unsigned status;
  } cases[] = {{"GET", "/v1/worlds/island", {}, 200},
               {"GET", "/v1/worlds/atlantis", {}, 403},
               {"GET", "/v1/worlds/atlantis/history", {}, 403},
               {"GET", "/v1/worlds/nowhere", {}, 404},
               {"POST", "/v1/worlds/atlantis/versions", R"({"name":"v"})", 403},
               {"POST", "/v1/worlds", make_world_json("mine"), 403},
               {"GET", "/v1/cores", {}, 403},
               {"POST", "/v1/backups", R"({"name":"b"})", 403},
               {"DELETE", "/v1/worlds/island/claims/1/1", {}, 403}};
  for (const auto& [method, target, body, status] : cases)
    EXPECT_EQ(http(port(), method, target, body, bearer).status, status) << method << " " << target;
  const json listed = json::parse(http(port(), "GET", "/v1/worlds", {}, bearer).body);
  ASSERT_EQ(listed["worlds"].size(), 1u);  // the other one is none of his business
  EXPECT_EQ(listed["worlds"][0]["role"], "editor");
  EXPECT_EQ(state(), before);
}

TEST_F(Access, ATokenThatEndsClosesUnlessANewerOneComes) {  // HS-6
  for (const proto::Form form : {proto::Form::json, proto::Form::binary}) {
    const double ended = metric(port(), "terrazzo_tokens_ended_total");
    TypedPeer leaves(port(), form), stays(port(), form);
    leaves.enter("island", token({"--expires", "3s"}));
    stays.enter("island", token({"--expires", "3s"}));
    EXPECT_LE(leaves.next("expires")["in_ms"].get<int>(), 3000);
    EXPECT_LE(stays.next("expires")["in_ms"].get<int>(), 3000);
    const std::string of_bob = token({"--user", "bob"}), newer = token({"--expires", "1h"});
    stays.say(proto::Token{of_bob});
    EXPECT_EQ(stays.next("error")["code"], "conflict");
    stays.say(proto::Token{newer});
    EXPECT_GT(stays.next("expires")["in_ms"].get<int>(), 3'000'000);
    EXPECT_EQ(leaves.next("error")["code"], "unauthenticated");
    EXPECT_EQ(leaves.socket().close_code(), 1008);
    EXPECT_EQ(leaves.socket().close_reason(), "unauthenticated");
    EXPECT_TRUE(stays.until_pong().empty());
    EXPECT_EQ(metric(port(), "terrazzo_tokens_ended_total"), ended + 1);
  }
}

TEST_F(Access, KeysAreReplacedBySighupAndBadOnesChangeNothing) {
  const std::string before = token({}), after = token({}, "other.pem");
  const auto works = [&](const std::string& token) {
    return http(port(), "GET", "/v1/worlds", {}, "Bearer " + token).status == 200;
  };
  ASSERT_TRUE(works(before));
  ASSERT_FALSE(works(after));
  put(keys_ / "broken.pem", ed_.private_pem);
  ::kill(server_->pid(), SIGHUP);
  ASSERT_TRUE(soon([&] { return metric(port(), "terrazzo_token_key_failures_total") == 1; }));
  EXPECT_NE(server_->log().find("broken.pem"), std::string::npos) << server_->log();
  EXPECT_TRUE(works(before));

  std::filesystem::remove(keys_ / "broken.pem");
  const Ran made = run_program("/usr/bin/openssl", {"pkey", "-in", (folder_.path() / "other.pem").string(), "-pubout",
                                                    "-out", (keys_ / "studio.pem").string()});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  TypedPeer there(port(), proto::Form::json);
  there.enter("island", before);
  ::kill(server_->pid(), SIGHUP);
  ASSERT_TRUE(soon([&] { return works(after); }));
  EXPECT_FALSE(works(before));
  EXPECT_TRUE(there.until_pong().empty());  // what its token gave it stays
  EXPECT_EQ(metric(port(), "terrazzo_token_key_failures_total"), 1);
}

TEST_F(Access, ASessionGoesOnWithAnotherTokenOfItsUser) {
  TypedPeer first(port(), proto::Form::json);
  first.enter("island", token({}));
  TypedPeer second(port(), proto::Form::binary);
  second.enter("island", token({}, "rsa.pem"), first.resume(), first.incarnation());
  EXPECT_EQ(second.session(), first.session());
  const double counted = refused("session");
  TypedPeer third(port(), proto::Form::json);
  proto::Hello hello;
  const std::string good = token({});
  hello.token = good;
  hello.resume = proto::Resume{"c29tZXRoaW5nIGVsc2U", Incarnation{1}};
  third.say(hello);
  EXPECT_EQ(third.next("error")["code"], "unauthenticated");
  EXPECT_EQ(refused("session"), counted + 1);
}

TEST_F(Access, PagesOfOtherSitesAreRefusedUnlessTheyAreAllowed) {
  const auto ask = [&](const std::string& origin, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"-s", "-i", "-H", "Origin: " + origin, server_->http_url() + "/v1/worlds"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program("/usr/bin/curl", words).output;
  };
  const std::string foreign = ask("https://evil.example", {"-H", "Authorization: Bearer " + owner_});
  EXPECT_NE(foreign.find("403"), std::string::npos) << foreign;
  EXPECT_NE(foreign.find("https://evil.example"), std::string::npos) << foreign;
  EXPECT_EQ(foreign.find("Access-Control"), std::string::npos) << foreign;
  const std::string allowed = ask("https://studio.example", {"-H", "Authorization: Bearer " + owner_});
  EXPECT_NE(allowed.find("200 OK"), std::string::npos) << allowed;
  EXPECT_NE(allowed.find("Access-Control-Allow-Origin: https://studio.example"), std::string::npos) << allowed;
  // A page can read why it was not let in, too.
  EXPECT_NE(ask("https://studio.example").find("Access-Control-Allow-Origin"), std::string::npos);
  const std::string preflight =
      ask("https://studio.example", {"-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"});
  EXPECT_NE(preflight.find("204"), std::string::npos) << preflight;
  EXPECT_EQ(metric(port(), "terrazzo_origins_refused_total"), 1);
}

TEST(AccessFlags, WithoutTokensAServerListensOnLoopbackOnlyAndAnswersLocalhostOnly) {
  const TemporaryFolder folder;
  const Ran open = run_program(TERRAZZO_BIN_DIR "/terrazzo-server", {"--data", (folder.path() / "data").string(),
                                                                     "--listen", "0.0.0.0:0", "--auth", "none"});
  EXPECT_NE(open.exit_code, 0);
  EXPECT_NE(open.output.find("loopback"), std::string::npos) << open.output;
  const ServerProcess server(folder.path() / "data", {"--auth", "none"});
  const Ran rebound =
      run_program("/usr/bin/curl", {"-s", "-i", "-H", "Host: evil.example", server.http_url() + "/v1/worlds"});
  EXPECT_NE(rebound.output.find("403"), std::string::npos) << rebound.output;
  EXPECT_EQ(http(server.port(), "GET", "/v1/worlds").status, 200u);
}

TEST(AccessFlags, WhatCannotBeIsSaidAtTheStart) {
  const TemporaryFolder folder;
  put(folder.path() / "private.pem", identity::make_ed25519().private_pem);
  const struct {
    std::vector<std::string> flags;
    const char* words;
  } cases[] = {{{"--token-keys", (folder.path() / "private.pem").string()}, "-pubout"},
               {{"--token-keys", (folder.path() / "nowhere").string()}, "--token-keys"},
               {{"--allow-origin", "studio.example"}, "scheme://host"}};
  for (const auto& [flags, words] : cases) {
    std::vector<std::string> all = {"--data", (folder.path() / "data").string(), "--listen", "127.0.0.1:0"};
    all.insert(all.end(), flags.begin(), flags.end());
    const Ran ran = run_program(TERRAZZO_BIN_DIR "/terrazzo-server", all);
    EXPECT_NE(ran.exit_code, 0) << flags[1];
    EXPECT_NE(ran.output.find(words), std::string::npos) << ran.output;
  }
}

}  // namespace
}  // namespace terrazzo::integration
