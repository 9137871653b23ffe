#include "server/app/resume_tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>

#include "base/assert.h"

namespace terrazzo::app {
namespace {

std::string to_hex(const unsigned char* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 15]);
  }
  return text;
}

}  // namespace

std::string ResumeTokens::issue(SessionId session) const {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, session.value, 16);
  const std::string_view id(digits, static_cast<std::size_t>(end.ptr - digits));
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int mac_bytes = 0;
  const unsigned char* done = HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
                                   reinterpret_cast<const unsigned char*>(id.data()), id.size(), mac, &mac_bytes);
  TZ_ASSERT(done != nullptr && mac_bytes == 32);
  // 128 bits of the MAC are beyond guessing and keep the token short.
  return std::string(id) + "." + to_hex(mac, 16);
}

Result<SessionId> ResumeTokens::verify(std::string_view token) const {
  const Error wrong{ErrorCode::unauthenticated,
                    "hello.resume.session is not a session of this server: leave `resume` out to begin a new session"};
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(token.data(), token.data() + token.size(), value, 16);
  if (parsed.ec != std::errc() || value == 0) return wrong;
  const std::string expected = issue(SessionId{value});
  if (expected.size() != token.size() || CRYPTO_memcmp(expected.data(), token.data(), token.size()) != 0) return wrong;
  return SessionId{value};
}

}  // namespace terrazzo::app
