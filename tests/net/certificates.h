#pragma once

#include <cstdint>
#include <string>

namespace terrazzo::net {

// What a test's server shows: made when the test runs, valid for localhost, 127.0.0.1 and ::1.
struct TestCertificate {
  std::string chain_pem, key_pem;
};
struct CertificateWish {
  std::string name = "localhost";  // common name, and DNS name beside localhost
  int days = 30;                   // until it expires; negative: it has
  bool loopback = true;            // whether it is for localhost and the loopback addresses, too
};

// An authority of its own that signs certificates; ca_pem() is what a client must trust.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  const std::string& ca_pem() const { return ca_pem_; }
  TestCertificate sign(const CertificateWish& wish = {});

 private:
  struct State;
  State* state_;
  std::string ca_pem_;
};

void write_text(const std::string& path, const std::string& text);

}  // namespace terrazzo::net
