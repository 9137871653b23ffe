#include "server/net/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace terrazzo::net {
namespace {

// What a connection keeps for its next records; a crowd's common tick fits.
constexpr std::size_t kKeptBytes = 4096;
constexpr std::size_t kOverheadBytes = 64;  // of a record, rather more than it is

}  // namespace

// The BIO that OpenSSL reads and writes through: the stream's spans, without copies in between.
struct TlsStreamBio {
  static TlsStream& stream(::BIO* bio) { return *static_cast<TlsStream*>(::BIO_get_data(bio)); }
  static int read(::BIO* bio, char* out, std::size_t size, std::size_t* done) {
    ::BIO_clear_retry_flags(bio);
    std::span<const std::byte>& input = stream(bio).input_;
    if (input.empty()) {
      ::BIO_set_retry_read(bio);
      return 0;
    }
    *done = std::min(size, input.size());
    std::memcpy(out, input.data(), *done);
    input = input.subspan(*done);
    return 1;
  }
  static int write(::BIO* bio, const char* bytes, std::size_t size, std::size_t* done) {
    ::BIO_clear_retry_flags(bio);
    const auto* first = reinterpret_cast<const std::byte*>(bytes);
    std::vector<std::byte>& output = stream(bio).output_;
    output.insert(output.end(), first, first + size);
    *done = size;
    return 1;
  }
  static long control(::BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
  // Made once and never freed: OpenSSL's tables live as long as the process.
  static const ::BIO_METHOD* method() {
    static const ::BIO_METHOD* const made = [] {
      ::BIO_METHOD* method = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "terrazzo connection");
      TZ_ASSERT(method != nullptr);
      ::BIO_meth_set_read_ex(method, read);
      ::BIO_meth_set_write_ex(method, write);
      ::BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

void TlsStream::Free::operator()(::SSL* ssl) const {
  ::SSL_free(ssl);
}

TlsStream::TlsStream(const TlsContext& context) : ssl_(::SSL_new(context.get())) {
  TZ_ASSERT(ssl_ != nullptr);
  ::BIO* const bio = ::BIO_new(TlsStreamBio::method());
  TZ_ASSERT(bio != nullptr);
  ::BIO_set_data(bio, this);
  ::BIO_set_init(bio, 1);
  ::SSL_set_bio(ssl_.get(), bio, bio);
  ::SSL_set_accept_state(ssl_.get());
}
TlsStream::~TlsStream() = default;

bool TlsStream::established() const {
  return ::SSL_is_init_finished(ssl_.get()) != 0;
}
bool TlsStream::resumed() const {
  return ::SSL_session_reused(ssl_.get()) != 0;
}

TlsStream::Step TlsStream::fail(int result) {
  const int error = ::SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return Step::more;
  if (error == SSL_ERROR_ZERO_RETURN) return Step::end;
  failed_ = true;
  const char* words = ::ERR_reason_error_string(::ERR_peek_last_error());
  problem_ = words != nullptr ? words : "the connection broke";
  ::ERR_clear_error();
  return Step::failed;
}

TlsStream::Taken TlsStream::take(std::span<std::byte> room) {
  if (failed_) return {Step::failed, {}};
  fresh_ = false;
  ::ERR_clear_error();
  std::size_t size = 0;
  const int result = ::SSL_read_ex(ssl_.get(), room.data(), room.size(), &size);
  if (result == 1) return {Step::plain, room.first(size)};
  return {fail(result), {}};
}

bool TlsStream::seal(std::span<const std::byte> plain) {
  TZ_ASSERT(can_seal());
  output_.reserve(output_.size() + plain.size() + kOverheadBytes);
  ::ERR_clear_error();
  std::size_t written = 0;
  const int result = ::SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written);
  if (result == 1) return true;
  // Never for want of something: all records fit into the output.
  fail(result);
  failed_ = true;
  return false;
}

bool TlsStream::say_goodbye() {
  if (failed_ || !established() || std::exchange(said_goodbye_, true)) return false;
  ::ERR_clear_error();
  ::SSL_shutdown(ssl_.get());
  ::ERR_clear_error();
  return !output_.empty();
}

const msghdr* TlsStream::begin_send() {
  if (flown_ == flying_.size()) {
    flying_.clear();
    flown_ = 0;
    flying_.swap(output_);
  }
  TZ_ASSERT(flown_ < flying_.size());
  part_ = {flying_.data() + flown_, flying_.size() - flown_};
  message_.msg_iov = &part_;
  message_.msg_iovlen = 1;
  return &message_;
}

void TlsStream::sent(std::size_t bytes) {
  flown_ += bytes;
  TZ_ASSERT(flown_ <= flying_.size());
  if (flown_ < flying_.size()) return;
  flown_ = 0;
  if (flying_.capacity() > kKeptBytes) {
    flying_ = {};
  } else {
    flying_.clear();
  }
}

}  // namespace terrazzo::net
