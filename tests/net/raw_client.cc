#include "tests/net/raw_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace terrazzo::net {
namespace {

// On the thread of a ring, its completions interrupt calls that block.
template <class Call>
ssize_t uninterrupted(Call call) {
  ssize_t result = 0;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

// An interrupted connect() goes on by itself.
int connect(int fd, const sockaddr_in& address) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
  if (errno != EINTR) return errno;
  pollfd poll{fd, POLLOUT, 0};
  if (uninterrupted([&] { return ::poll(&poll, 1, 20'000); }) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

RawClient::RawClient(std::uint16_t port, int receive_bytes) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  EXPECT_GE(fd_, 0) << std::strerror(errno);
  if (receive_bytes > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  const timeval patience{20, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int error = connect(fd_, address);
  EXPECT_EQ(error, 0) << std::strerror(error);
}
RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}
RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = uninterrupted([&] { return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

long RawClient::send_some(std::string_view bytes) {
  const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return count >= 0 ? count : errno == EAGAIN ? 0 : -1;
}

void RawClient::half_close() {
  ::shutdown(fd_, SHUT_WR);
}

void RawClient::vanish() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(fd_, -1));
}

bool RawClient::receive() {
  char bytes[65536];
  const ssize_t count = uninterrupted([&] { return ::recv(fd_, bytes, sizeof bytes, 0); });
  if (count > 0) buffer_.append(bytes, static_cast<std::size_t>(count));
  if (count < 0 && errno == EAGAIN) ADD_FAILURE() << "nothing came for 20 s";
  return count > 0;
}

std::optional<std::string> RawClient::read_until(std::string_view end) {
  std::size_t at = 0;
  while ((at = buffer_.find(end)) == std::string::npos)
    if (!receive()) return std::nullopt;
  return read_bytes(at + end.size());
}

std::optional<std::string> RawClient::read_bytes(std::size_t count) {
  while (buffer_.size() < count)
    if (!receive()) return std::nullopt;
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

std::optional<std::string> RawClient::read_some() {
  if (buffer_.empty() && !receive()) return std::nullopt;
  return std::exchange(buffer_, {});
}

std::optional<std::string> RawClient::read_to_end() {
  errno = 0;
  while (receive()) {
  }
  if (errno == EAGAIN) return std::nullopt;
  return std::exchange(buffer_, {});
}

bool RawClient::readable() const {
  pollfd poll{fd_, POLLIN, 0};
  return !buffer_.empty() || ::poll(&poll, 1, 0) == 1;
}

RawClient::Answer RawClient::read_answer(bool head) {
  Answer answer;
  const auto header = read_until("\r\n\r\n");
  if (!header) return answer;
  std::size_t at = header->find("\r\n");
  EXPECT_EQ(header->substr(0, 9), "HTTP/1.1 ");
  answer.status = static_cast<unsigned>(std::stoul(header->substr(9, 3)));
  while (at + 4 < header->size()) {
    const std::size_t end = header->find("\r\n", at + 2), colon = header->find(": ", at + 2);
    answer.fields[header->substr(at + 2, colon - at - 2)] = header->substr(colon + 2, end - colon - 2);
    at = end;
  }
  if (head || !answer.fields.contains("Content-Length")) return answer;
  const auto body = read_bytes(std::stoul(answer.fields["Content-Length"]));
  EXPECT_TRUE(body) << "the body is shorter than announced";
  answer.body = body.value_or("");
  return answer;
}

std::optional<RawClient::Frame> RawClient::read_frame() {
  auto frame = read_any_frame();
  EXPECT_FALSE(frame && frame->compressed);
  return frame;
}
std::optional<std::string> RawClient::read_compressed_frame() {
  const auto frame = read_any_frame();
  if (!frame) return std::nullopt;
  EXPECT_TRUE(frame->compressed);
  return frame->payload;
}

std::optional<RawClient::Frame> RawClient::read_any_frame() {
  const auto start = read_bytes(2);
  if (!start) return std::nullopt;
  const auto byte = [](const std::string& s, std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
  EXPECT_EQ(byte(*start, 0) & 0xB0u, 0x80u) << "a server's frames are whole";
  EXPECT_EQ(byte(*start, 1) & 0x80, 0) << "a server's frames are not masked";
  std::size_t size = byte(*start, 1) & 0x7Fu;
  if (size >= 126) {
    const auto length = read_bytes(size == 126 ? 2 : 8);
    if (!length) return std::nullopt;
    size = 0;
    for (std::size_t i = 0; i < length->size(); ++i) size = size << 8 | byte(*length, i);
  }
  const auto payload = read_bytes(size);
  if (!payload) return std::nullopt;
  return Frame{byte(*start, 0) & 0x0Fu, *payload, (byte(*start, 0) & 0x40u) != 0};
}

RawClient::Frame RawClient::read_to_close() {
  while (const auto frame = read_frame())
    if (frame->opcode == 8) return *frame;
  return {};
}

std::uint16_t RawClient::Frame::close_code() const {
  if (opcode != 8 || payload.size() < 2) return 0;
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 | static_cast<std::uint8_t>(payload[1]));
}
std::string_view RawClient::Frame::close_reason() const {
  return payload.size() < 2 ? std::string_view{} : std::string_view(payload).substr(2);
}

std::string upgrade_request(std::string_view protocol) {
  std::string text =
      "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  if (!protocol.empty()) text += "Sec-WebSocket-Protocol: " + std::string(protocol) + "\r\n";
  return text + "\r\n";
}

std::string client_frame(unsigned first_byte, std::string_view payload, bool masked) {
  const unsigned bit = masked ? 0x80u : 0u;
  std::string frame(1, static_cast<char>(first_byte));
  const std::size_t size = payload.size();
  const int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
  frame.push_back(static_cast<char>(bit | (length_bytes == 0 ? size : length_bytes == 2 ? 126u : 127u)));
  for (int i = length_bytes - 1; i >= 0; --i) frame.push_back(static_cast<char>(size >> (8 * i)));
  if (!masked) return frame.append(payload);
  constexpr char kMask[4] = {'\x12', '\x34', '\x56', '\x78'};
  frame.append(kMask, 4);
  for (std::size_t i = 0; i < size; ++i) frame.push_back(static_cast<char>(payload[i] ^ kMask[i % 4]));
  return frame;
}

}  // namespace terrazzo::net
