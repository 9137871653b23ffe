// A server with a certificate, as its users meet it.
#include <gtest/gtest.h>
#include <signal.h>

#include <ctime>
#include <string>
#include <vector>

#include "tests/integration/server_process.h"
#include "tests/net/certificates.h"
#include "tests/net/tls_client.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

class TlsServer : public testing::Test {
 protected:
  TlsServer() {
    put(authority_.sign());
    net::write_text(ca_, authority_.ca_pem());
  }
  void put(const net::TestCertificate& certificate) {
    net::write_text(chain_, certificate.chain_pem);
    net::write_text(key_, certificate.key_pem);
  }
  std::vector<std::string> flags() const { return {"--tls-cert", chain_, "--tls-key", key_, "--cores", "2"}; }
  std::string path(const char* name) const { return (folder_.path() / name).string(); }
  // The body of an answer; empty where there is none.
  static std::string get(net::TlsClient& client, const std::string& target) {
    if (!client.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")) return {};
    const auto header = client.read_until("\r\n\r\n");
    if (!header || !header->starts_with("HTTP/1.1 200")) return {};
    const std::string field = "Content-Length: ";
    return client.read_bytes(std::stoul(header->substr(header->find(field) + field.size()))).value_or("");
  }

  TemporaryFolder folder_;
  net::TestAuthority authority_;
  const std::string chain_ = path("chain.pem"), key_ = path("key.pem"), ca_ = path("ca.pem");
};

TEST_F(TlsServer, AnswersCurlAndOpensslAndItsOwnHealthcheck) {
  const ServerProcess server(folder_.path() / "data", flags());
  ASSERT_TRUE(server.running());
  EXPECT_TRUE(server.http_url().starts_with("https://"));
  const std::string program = std::string(TERRAZZO_BIN_DIR) + "/terrazzo-server";
  EXPECT_EQ(run_program(program, {"healthcheck", "--url", server.http_url()}).exit_code, 0);
  EXPECT_EQ(run_program(program, {"healthcheck", "--url", server.http_url(), "--ca", ca_}).exit_code, 0);
  const net::TestAuthority stranger;
  net::write_text(path("stranger.pem"), stranger.ca_pem());
  const Ran distrustful =
      run_program(program, {"healthcheck", "--url", server.http_url(), "--ca", path("stranger.pem")});
  EXPECT_NE(distrustful.exit_code, 0);
  EXPECT_NE(distrustful.output.find("certificate verify failed"), std::string::npos) << distrustful.output;
  if (run_program("curl", {"--version"}).exit_code == 0) {
    const Ran curl = run_program("curl", {"-sS", "--cacert", ca_, server.http_url() + "/healthz"});
    EXPECT_EQ(curl.exit_code, 0) << curl.output;
    const Ran plain = run_program("curl", {"-sS", "http://127.0.0.1:" + std::to_string(server.port()) + "/healthz"});
    EXPECT_NE(plain.output.find("https://"), std::string::npos) << plain.output;
  }
  if (run_program("openssl", {"version"}).exit_code == 0) {
    const Ran openssl =
        run_program("sh", {"-c", "openssl s_client -connect 127.0.0.1:" + std::to_string(server.port()) + " -CAfile " +
                                     ca_ + " -verify_return_error < /dev/null"});
    EXPECT_NE(openssl.output.find("Verification: OK"), std::string::npos) << openssl.output;
  }
}

TEST_F(TlsServer, SighupLoadsANewCertificateAndConnectionsGoOn) {
  const ServerProcess server(folder_.path() / "data", flags());
  ASSERT_TRUE(server.running());
  net::TlsClient before(server.port());
  ASSERT_TRUE(before.handshake()) << before.problem();
  EXPECT_EQ(before.server_name(), "localhost");
  EXPECT_FALSE(get(before, "/healthz").empty());

  put(authority_.sign({.name = "second.example", .days = 60}));
  ::kill(server.pid(), SIGHUP);
  // Each core takes it in its next tick.
  int in_a_row = 0;
  for (int tries = 0; tries < 20'000 && in_a_row < 20; ++tries) {
    net::TlsClient after(server.port());
    ASSERT_TRUE(after.handshake()) << after.problem();
    in_a_row = after.server_name() == "second.example" ? in_a_row + 1 : 0;
  }
  EXPECT_EQ(in_a_row, 20);
  EXPECT_FALSE(get(before, "/healthz").empty());

  net::write_text(key_, "no key");
  ::kill(server.pid(), SIGHUP);
  for (int tries = 0; tries < 20'000 && server.log().find("stays in force") == std::string::npos; ++tries)
    ASSERT_FALSE(get(before, "/healthz").empty());
  EXPECT_NE(server.log().find("stays in force"), std::string::npos) << server.log();
  net::TlsClient still(server.port());
  ASSERT_TRUE(still.handshake()) << still.problem();
  EXPECT_EQ(still.server_name(), "second.example");
  const std::string metrics = get(still, "/metrics");
  EXPECT_NE(metrics.find("terrazzo_tls_certificate_failures_total 1"), std::string::npos) << metrics;
  const std::string name = "\nterrazzo_tls_certificate_expires_seconds ";
  ASSERT_NE(metrics.find(name), std::string::npos) << metrics;
  const double left =
      std::stod(metrics.substr(metrics.find(name) + name.size())) - static_cast<double>(::time(nullptr));
  EXPECT_GT(left, 58 * 86400.0);
  EXPECT_LT(left, 61 * 86400.0);
}

TEST_F(TlsServer, DoesNotStartWithoutWhatItNeedsAndSaysWhatThatIs) {
  const ServerProcess half(folder_.path() / "a", {"--tls-cert", chain_}, 0, false);
  EXPECT_FALSE(half.running());
  EXPECT_NE(half.log().find("--tls-key"), std::string::npos) << half.log();
  put({.chain_pem = authority_.sign().chain_pem, .key_pem = authority_.sign().key_pem});
  const ServerProcess wrong(folder_.path() / "b", flags(), 0, false);
  EXPECT_FALSE(wrong.running());
  EXPECT_NE(wrong.log().find("not that of the certificate"), std::string::npos) << wrong.log();
}

}  // namespace
}  // namespace terrazzo::integration
