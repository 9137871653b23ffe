// TLS on the server's own terms: what it takes, refuses and survives, and certificates that change while it runs. That
// everything else works over TLS is what the other suites show when they run through a tunnel (ctest -R tls).
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/io/scratch_folder.h"
#include "tests/net/network_host.h"
#include "tests/net/tls_client.h"

namespace terrazzo::net {
namespace {

constexpr const char* kGet = "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n";

TestAuthority& authority() {
  static TestAuthority made;
  return made;
}
const TicketKeys& tickets() {
  static const TicketKeys made = TicketKeys::random();
  return made;
}
const TlsIdentity& usual() {
  static const auto made = identity_of(authority().sign(), tickets());
  return *made;
}
std::unique_ptr<NetworkHost> sealed_host(const NetworkLimits& limits = {}) {
  auto host = std::make_unique<NetworkHost>(limits, usual());
  host->http = [&network = host->network()](ConnectionId connection, const HttpRequest& request) {
    HttpResponse response;
    response.body = std::string(request.method) + " " + std::string(request.body);
    network.respond(connection, std::move(response));
  };
  host->message = [&network = host->network()](ConnectionId connection, std::string_view text) {
    network.send_message(connection, bytes_of(text));
  };
  return host;
}
// Asks for something and reads the whole answer.
bool served(TlsClient& client) {
  if (!client.send(kGet)) return false;
  const auto header = client.read_until("\r\n\r\n");
  return header && header->starts_with("HTTP/1.1 200") && client.read_bytes(4) == "GET ";
}

TEST(Tls, SpeaksTheNewestVersionAndHttp11) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port(), {.protocol = "http/1.1"});
    ASSERT_TRUE(client.handshake()) << client.problem();
    EXPECT_EQ(::SSL_version(client.ssl()), TLS1_3_VERSION);
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    ::SSL_get0_alpn_selected(client.ssl(), &protocol, &size);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(protocol), size), "http/1.1");
    EXPECT_TRUE(served(client));
    EXPECT_TRUE(served(client));
  });
  EXPECT_EQ(host->counters().tls_handshakes, 1u);
  EXPECT_EQ(host->counters().http_requests, 2u);
}

TEST(Tls, Version12WithForwardSecrecyIsTakenAndWhatIsOlderIsNot) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port(), {.version_max = TLS1_2_VERSION, .protocol = {}});
    ASSERT_TRUE(client.handshake()) << client.problem();
    EXPECT_EQ(std::string(::SSL_get_cipher(client.ssl())).substr(0, 5), "ECDHE");
    EXPECT_TRUE(served(client));
    TlsClient old(host->port(), {.version_max = TLS1_1_VERSION, .protocol = {}});
    EXPECT_FALSE(old.handshake());
    EXPECT_NE(old.problem().find("protocol version"), std::string::npos) << old.problem();
    TlsClient other(host->port(), {.protocol = "h2"});
    EXPECT_FALSE(other.handshake());
    EXPECT_NE(other.problem().find("application protocol"), std::string::npos) << other.problem();
  });
  EXPECT_EQ(host->counters().tls_failures, 2u);
}

TEST(Tls, SealedBytesMayComeOneByOne) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port());
    client.sender = [&](std::string_view bytes) {
      for (const char c : bytes)
        if (!client.raw().send({&c, 1})) return false;
      return true;
    };
    ASSERT_TRUE(client.handshake()) << client.problem();
    ASSERT_TRUE(client.send(upgrade_request()));
    ASSERT_TRUE(client.read_until("\r\n\r\n"));
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(client.send(client_frame(0x81, "message " + std::to_string(i))));
      EXPECT_EQ(client.read_small_frame(), "message " + std::to_string(i));
    }
  });
}

TEST(Tls, ManyRecordsInOnePieceAreAllTaken) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port());
    ASSERT_TRUE(client.handshake()) << client.problem();
    ASSERT_TRUE(client.send(upgrade_request()));
    ASSERT_TRUE(client.read_until("\r\n\r\n"));
    std::string together;
    client.sender = [&](std::string_view bytes) {
      together += bytes;
      return true;
    };
    for (int i = 0; i < 200; ++i) client.send(client_frame(0x81, "message " + std::to_string(i)));
    ASSERT_TRUE(client.raw().send(together));
    client.sender = nullptr;
    for (int i = 0; i < 200; ++i) ASSERT_EQ(client.read_small_frame(), "message " + std::to_string(i));
  });
}

TEST(Tls, WhatATickQueuedGoesInOneWriteAndFewRecords) {
  const auto host = sealed_host();
  std::unique_ptr<TlsClient> client;
  host->serve([&] {
    client = std::make_unique<TlsClient>(host->port());
    ASSERT_TRUE(client->handshake()) << client->problem();
    client->send(upgrade_request());
    ASSERT_TRUE(client->read_until("\r\n\r\n"));
  });
  const NetworkCounters before = host->counters();
  for (int i = 0; i < 200; ++i) host->network().send_message(host->opened[0], bytes_of("message " + std::to_string(i)));
  ASSERT_TRUE(host->run_until([&] { return host->network().outbox_bytes(host->opened[0]) == 0; }));
  EXPECT_EQ(host->counters().sends, before.sends + 1);
  // Two bytes of header, the words, and one record around all of them.
  std::size_t plain = 0;
  for (int i = 0; i < 200; ++i) plain += 2 + 8 + std::to_string(i).size();
  EXPECT_LT(host->counters().bytes_out - before.bytes_out, plain + 64);
  EXPECT_EQ(host->counters().outbox_bytes, 0u);
}

TEST(Tls, PlainHttpIsToldWhatThisPortSpeaks) {
  const auto host = sealed_host();
  host->serve([&] {
    RawClient client(host->port());
    client.send(kGet);
    const RawClient::Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 400u);
    EXPECT_NE(answer.body.find("https://"), std::string::npos) << answer.body;
    client.half_close();
    EXPECT_EQ(client.read_to_end(), "");
  });
  EXPECT_TRUE(host->run_until([&] { return host->counters().open == 0; }));
  EXPECT_EQ(host->counters().protocol_errors, 1u);
}

TEST(Tls, ConnectionsAboveTheLimitAreToldSoInsideTls) {
  const auto host = sealed_host({.connections_max = 1});
  RawClient first(host->port());
  ASSERT_TRUE(host->run_until([&] { return host->counters().open == 1; }));
  host->serve([&] {
    TlsClient second(host->port());
    ASSERT_TRUE(second.handshake()) << second.problem();
    const auto header = second.read_until("\r\n\r\n");
    EXPECT_TRUE(header && header->starts_with("HTTP/1.1 503")) << header.value_or("nothing");
    RawClient third(host->port());
    third.send(kGet);
    EXPECT_EQ(third.read_answer().status, 503u);
  });
}

TEST(Tls, AHandshakeThatIsNotFinishedEndsInTime) {
  const auto host = sealed_host();
  // Each stops at another point of the client's hello.
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (std::size_t i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<TlsClient>(host->port()));
    ::SSL_do_handshake(clients.back()->ssl());
    const std::string hello = clients.back()->sealed();
    ASSERT_TRUE(clients.back()->raw().send(std::string_view(hello).substr(0, hello.size() * i / 39)));
  }
  ASSERT_TRUE(host->run_until([&] { return host->counters().open == 40 && clients.back()->raw().readable(); }));
  for (std::size_t i = 0; i < 10; ++i) clients[4 * i]->raw().vanish();
  ASSERT_TRUE(host->run_until([&] { return host->counters().open == 30; }));
  host->advance_ms(11'000);
  EXPECT_TRUE(host->run_until([&] { return host->counters().open == 0; }));
  host->serve([&] {
    TlsClient client(host->port());
    EXPECT_TRUE(client.handshake() && served(client)) << client.problem();
  });
}

TEST(Tls, HostileBytesHurtNobody) {
  const auto host = sealed_host();
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  host->serve([&] {
    TlsClient bystander(host->port());
    ASSERT_TRUE(bystander.handshake()) << bystander.problem();
    for (int round = 0; round < 60; ++round) {
      TlsClient client(host->port());
      const bool greets = round % 3 != 0, finishes = round % 3 == 2;
      std::string bytes;
      if (finishes) {
        ASSERT_TRUE(client.handshake()) << client.problem();
        client.sender = [&](std::string_view sealed) {
          bytes = sealed;
          return true;
        };
        ASSERT_TRUE(client.send(upgrade_request()));
      } else if (greets) {
        ::SSL_do_handshake(client.ssl());
        bytes = client.sealed();
      } else {
        bytes.assign(1 + random() % 2000, '\x16');
        for (std::size_t i = 1; i < bytes.size(); ++i) bytes[i] = static_cast<char>(random());
      }
      for (int flips = 1 + static_cast<int>(random() % 4); flips != 0; --flips)
        bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
      client.raw().send(bytes);
      if (random() % 2 == 0) client.raw().vanish();
      if (round % 20 == 0) {
        EXPECT_TRUE(served(bystander));
      }
    }
    EXPECT_TRUE(served(bystander));
  });
  host->advance_ms(70'000);
  EXPECT_TRUE(host->run_until([&] { return host->counters().open == 0; }));
  EXPECT_EQ(host->counters().outbox_bytes, 0u);
}

TEST(Tls, RenegotiationIsRefused) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port(), {.version_max = TLS1_2_VERSION, .protocol = {}});
    ASSERT_TRUE(client.handshake()) << client.problem();
    ASSERT_TRUE(served(client));
    ::SSL_renegotiate(client.ssl());
    EXPECT_FALSE(client.handshake());
    EXPECT_NE(client.problem().find("renegotiation"), std::string::npos) << client.problem();
  });
  EXPECT_EQ(host->counters().tls_handshakes, 1u);
}

// Each asks for an answer, and none is read: what TLS says by itself is bounded, too.
TEST(Tls, AFloodOfKeyUpdatesIsNotKept) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port(), {}, 4096);
    ASSERT_TRUE(client.handshake()) << client.problem();
    std::string updates;
    client.sender = [&](std::string_view sealed) {
      updates += sealed;
      return true;
    };
    for (int i = 0; i < 20'000; ++i) {
      ::SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
      ::SSL_do_handshake(client.ssl());
      updates += client.sealed();
    }
    client.raw().send(updates);
  });
  EXPECT_LT(host->counters().outbox_bytes, 1u << 20);
}

TEST(Tls, WhoClosesItsHalfStillGetsTheAnswerAndAnEndThatIsNoCut) {
  const auto host = sealed_host();
  host->serve([&] {
    TlsClient client(host->port());
    ASSERT_TRUE(client.handshake()) << client.problem();
    ASSERT_TRUE(client.send(kGet));
    ASSERT_TRUE(client.say_goodbye());
    EXPECT_NE(client.read_to_end().find("200 OK"), std::string::npos);
    EXPECT_TRUE(client.clean()) << client.problem();
  });
  EXPECT_TRUE(host->run_until([&] { return host->counters().open == 0; }));
}

TEST(Tls, AnEndIsAnsweredWithOneAndACutIsSurvived) {
  const auto host = sealed_host();
  host->serve([&] {
    for (const bool polite : {true, false}) {
      TlsClient client(host->port());
      ASSERT_TRUE(client.handshake()) << client.problem();
      ASSERT_TRUE(client.send(upgrade_request()));
      ASSERT_TRUE(client.read_until("\r\n\r\n"));
      if (polite) {
        ASSERT_TRUE(client.say_goodbye());
      } else {
        client.raw().half_close();
      }
      EXPECT_EQ(client.read_to_end(), "");
      EXPECT_TRUE(client.clean()) << client.problem();
    }
  });
  EXPECT_TRUE(host->run_until([&] { return host->counters().open == 0; }));
  EXPECT_EQ(host->closed.size(), 2u);
}

TEST(Tls, ANewCertificateIsShownToNewConnectionsAndOldOnesGoOn) {
  const auto host = sealed_host();
  const auto next = identity_of(authority().sign({.name = "second.example"}), tickets());
  std::unique_ptr<TlsClient> before;
  host->serve([&] {
    before = std::make_unique<TlsClient>(host->port());
    ASSERT_TRUE(before->handshake()) << before->problem();
    EXPECT_EQ(before->server_name(), "localhost");
  });
  ASSERT_TRUE(host->network().use_tls(*next).ok());
  host->serve([&] {
    EXPECT_TRUE(served(*before));
    TlsClient after(host->port());
    ASSERT_TRUE(after.handshake()) << after.problem();
    EXPECT_EQ(after.server_name(), "second.example");
    EXPECT_TRUE(served(after));
    EXPECT_TRUE(served(*before));
  });
}

TEST(Tls, ASessionIsResumedOnAnotherCoreAndAfterAReload) {
  const auto one = sealed_host(), other = sealed_host();
  ::SSL_SESSION* session = nullptr;
  one->serve([&] {
    TlsClient client(one->port());
    ASSERT_TRUE(client.handshake()) << client.problem();
    EXPECT_TRUE(served(client));  // the ticket comes with the first bytes
    session = ::SSL_get1_session(client.ssl());
    EXPECT_TRUE(client.say_goodbye());  // OpenSSL resumes nothing that was cut off
  });
  ASSERT_TRUE(other->network().use_tls(*identity_of(authority().sign(), tickets())).ok());
  other->serve([&] {
    TlsClient client(other->port(), {.protocol = {}, .session = session});
    ASSERT_TRUE(client.handshake()) << client.problem();
    EXPECT_TRUE(client.resumed());
    EXPECT_TRUE(served(client));
  });
  ::SSL_SESSION_free(session);
  EXPECT_EQ(other->counters().tls_resumed, 1u);
}

TEST(Tls, FilesThatDoNotDoAreRefusedInWords) {
  const io::ScratchFolder folder;
  const TestCertificate good = authority().sign(), other = authority().sign();
  write_text(folder / "chain", good.chain_pem);
  write_text(folder / "key", good.key_pem);
  write_text(folder / "other", other.key_pem);
  write_text(folder / "words", "no certificate\n");
  write_text(folder / "torn", good.chain_pem + good.chain_pem.substr(0, good.chain_pem.size() / 2));
  write_text(folder / "locked",
             "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
             "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgB\n-----END ENCRYPTED PRIVATE KEY-----\n");
  struct Case {
    const char *chain, *key, *words;
  };
  for (const Case& wrong :
       {Case{"none", "key", "No such file"}, Case{"chain", "none", "No such file"},
        Case{"words", "key", "BEGIN CERTIFICATE"}, Case{"chain", "words", "BEGIN PRIVATE KEY"},
        Case{"chain", "other", "not that of the certificate"}, Case{"key", "chain", "BEGIN CERTIFICATE"},
        Case{"chain", "locked", "without a passphrase"}, Case{"torn", "key", "chain"}}) {
    const auto refused = TlsIdentity::load(folder / wrong.chain, folder / wrong.key, tickets());
    ASSERT_FALSE(refused.ok()) << wrong.chain << " " << wrong.key;
    EXPECT_NE(refused.error().message.find(wrong.words), std::string::npos) << refused.error().message;
  }
  const auto loaded = TlsIdentity::load(folder / "chain", folder / "key", tickets());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_NE((*loaded)->subject().find("localhost"), std::string::npos);
  const std::int64_t left = (*loaded)->expires_s() - ::time(nullptr);
  EXPECT_GT(left, 29 * 86400);
  EXPECT_LE(left, 30 * 86400);
}

}  // namespace
}  // namespace terrazzo::net
