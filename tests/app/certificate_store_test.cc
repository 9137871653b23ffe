#include "server/app/certificate_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/io/scratch_folder.h"
#include "tests/net/certificates.h"

namespace terrazzo::app {
namespace {

class CertificateStoreTest : public testing::Test {
 protected:
  void put(const net::TestCertificate& certificate) {
    net::write_text(chain_, certificate.chain_pem);
    net::write_text(key_, certificate.key_pem);
    touch();
  }
  // Whatever the clock of the file system tells apart.
  void touch() {
    const auto later = std::filesystem::file_time_type::clock::now() + std::chrono::seconds(++touched_);
    std::filesystem::last_write_time(key_, later);
  }
  std::unique_ptr<CertificateStore> opened() {
    auto store = CertificateStore::open(chain_, key_);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return *std::move(store);
  }

  io::ScratchFolder folder_;
  net::TestAuthority authority_;
  const std::string chain_ = folder_ / "chain.pem", key_ = folder_ / "key.pem";
  int touched_ = 0;
};

TEST_F(CertificateStoreTest, IsToldWhatDoesNotDoAtTheStart) {
  const auto store = CertificateStore::open(chain_, key_);
  ASSERT_FALSE(store.ok());
  EXPECT_NE(store.error().message.find("--tls-cert"), std::string::npos) << store.error().message;
  EXPECT_NE(store.error().message.find(chain_), std::string::npos) << store.error().message;
}

TEST_F(CertificateStoreTest, FilesThatChangedAreLoadedOnceTheyStayAsTheyAre) {
  put(authority_.sign());
  const auto store = opened();
  EXPECT_FALSE(store->look());
  put(authority_.sign({.name = "second.example"}));
  EXPECT_FALSE(store->look());  // perhaps one of two files
  EXPECT_EQ(store->generation(), 1u);
  EXPECT_TRUE(store->look());
  EXPECT_FALSE(store->look());
  EXPECT_EQ(store->generation(), 2u);
  EXPECT_NE(store->current()->subject().find("second.example"), std::string::npos);
}

TEST_F(CertificateStoreTest, WhatDoesNotDoLeavesTheOneBeforeInForceAndIsTriedOnce) {
  put(authority_.sign());
  const auto store = opened();
  const auto before = store->current();
  net::write_text(chain_, "no certificate");
  touch();
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(store->look());
  EXPECT_EQ(store->failures(), 1u);
  EXPECT_FALSE(store->load("SIGHUP"));
  EXPECT_EQ(store->failures(), 2u);
  EXPECT_EQ(store->current(), before);
  EXPECT_EQ(store->generation(), 1u);
  put(authority_.sign());
  EXPECT_TRUE(store->load("SIGHUP"));
  EXPECT_EQ(store->loads(), 2u);
  EXPECT_NE(store->current(), before);
}

}  // namespace
}  // namespace terrazzo::app
