#include "proto/ws/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "proto/ws/frame_codec.h"

namespace terrazzo::proto::ws {
namespace {

// Below this a message hardly becomes smaller, and both ends have their work with it.
constexpr std::size_t kWorthBytes = 64;
// Fast, and with a table that is soon cleared: messages are small, and each begins anew.
constexpr int kLevel = 1, kMemoryLevel = 5;
// What goes into one call of inflate() and comes out of it at most, and what a byte that goes in counts as: blocks
// without content take some 10 bytes and a microsecond or two each.
constexpr std::size_t kInputPieceBytes = 4 * 1024, kPieceBytes = 16 * 1024, kInputCost = 4;
// Of what a message became, kept for the next.
constexpr std::size_t kKeptBytes = 64 * 1024;
constexpr std::uint8_t kCompressedBit = 0x40;                         // RSV1
constexpr std::array<std::uint8_t, 4> kTail{0x00, 0x00, 0xff, 0xff};  // RFC 7692, 7.2.1: not sent

// ---- negotiation ----

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The next part before `separator` (not inside a quoted string), taken off `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != separator); ++at)
    if (rest[at] == '"') quoted = !quoted;
  const std::string_view part = trimmed(rest.substr(0, at));
  rest = at < rest.size() ? rest.substr(at + 1) : std::string_view{};
  return part;
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// 8 to 15, without leading zeros (RFC 7692, 7.1.2.1); 0: something else.
int window_bits(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  if (value == "8" || value == "9") return value[0] - '0';
  if (value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5') return 10 + value[1] - '0';
  return 0;
}

struct Parameters {
  bool server_no_takeover = false, client_no_takeover = false, client_bits_given = false;
  int server_bits = 0, client_bits = 0;  // 0: not given, or without a value

  // False: the offer is none that RFC 7692 knows, and is to be declined.
  bool take(std::string_view parameter) {
    const std::size_t equals = parameter.find('=');
    const std::string_view name = trimmed(parameter.substr(0, equals));
    const bool has_value = equals != std::string_view::npos;
    const std::string_view value = has_value ? trimmed(parameter.substr(equals + 1)) : std::string_view{};
    const auto once = [](bool& seen) { return !std::exchange(seen, true); };
    if (same_word(name, "server_no_context_takeover")) return !has_value && once(server_no_takeover);
    if (same_word(name, "client_no_context_takeover")) return !has_value && once(client_no_takeover);
    if (same_word(name, "client_max_window_bits")) {
      client_bits = has_value ? window_bits(value) : 0;
      return once(client_bits_given) && (!has_value || client_bits != 0);
    }
    if (!same_word(name, "server_max_window_bits") || server_bits != 0) return false;
    server_bits = window_bits(value);
    return server_bits != 0;
  }
};

std::optional<DeflateAgreement> accept(std::string_view offer) {
  if (!same_word(next_part(offer, ';'), "permessage-deflate")) return std::nullopt;
  Parameters parameters;
  while (!offer.empty())
    if (!parameters.take(next_part(offer, ';'))) return std::nullopt;
  DeflateAgreement agreement{Window::large,
                             "permessage-deflate; server_no_context_takeover; client_no_context_takeover"};
  // We read with any window; a client that would like to write with a smaller one saves its memory.
  if (parameters.client_bits != 0)
    agreement.answer += "; client_max_window_bits=" + std::to_string(parameters.client_bits);
  if (parameters.server_bits == 0) return agreement;
  if (parameters.server_bits < kSmallWindowBits) return std::nullopt;  // zlib has no window of 256 bytes
  if (parameters.server_bits < kLargeWindowBits) agreement.window = Window::small;
  agreement.answer += "; server_max_window_bits=" +
                      std::to_string(agreement.window == Window::small ? kSmallWindowBits : kLargeWindowBits);
  return agreement;
}

unsigned count_of(std::size_t bytes) {
  return static_cast<unsigned>(std::min<std::size_t>(bytes, std::numeric_limits<unsigned>::max()));
}

}  // namespace

std::optional<DeflateAgreement> agree_on_deflate(std::string_view extensions) {
  while (!extensions.empty())
    if (auto agreement = accept(next_part(extensions, ','))) return agreement;
  return std::nullopt;
}

// ---- compressing ----

struct Deflater::State {
  ::z_stream stream{};
  ByteBuffer compressed;
};

Deflater::Deflater(Window window) : state_(new State) {
  TZ_ASSERT(window != Window::none);
  const int bits = window == Window::small ? kSmallWindowBits : kLargeWindowBits;
  TZ_ASSERT(::deflateInit2(&state_->stream, kLevel, Z_DEFLATED, -bits, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK);
}
Deflater::~Deflater() {
  ::deflateEnd(&state_->stream);
}

void Deflater::append_compressed(std::span<const std::byte> frames, ByteBuffer& out) {
  ::z_stream& stream = state_->stream;
  ByteBuffer& compressed = state_->compressed;
  while (!frames.empty()) {
    TZ_ASSERT(frames.size() >= 2 && frames.size() >= header_bytes(frames));
    const std::size_t header_size = header_bytes(frames);
    const FrameHeader header = parse_header(frames.first(header_size));
    TZ_ASSERT(!header.masked && header.payload_bytes <= frames.size() - header_size);
    const std::size_t size = header_size + static_cast<std::size_t>(header.payload_bytes);
    const std::span<const std::byte> whole = frames.first(size), payload = whole.subspan(header_size);
    frames = frames.subspan(size);
    const bool worth = header.opcode == static_cast<std::uint8_t>(Opcode::text) && payload.size() >= kWorthBytes &&
                       payload.size() <= std::numeric_limits<unsigned>::max();
    if (worth) {
      TZ_ASSERT(::deflateReset(&stream) == Z_OK);
      compressed.resize(::deflateBound(&stream, static_cast<unsigned long>(payload.size())) + kTail.size() + 16);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(payload.data()));
      stream.avail_in = count_of(payload.size());
      stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
      stream.avail_out = count_of(compressed.size());
      TZ_ASSERT(::deflate(&stream, Z_SYNC_FLUSH) == Z_OK && stream.avail_in == 0 && stream.avail_out != 0);
      const std::size_t made = compressed.size() - stream.avail_out;
      TZ_ASSERT(made >= kTail.size() &&
                std::memcmp(compressed.data() + made - kTail.size(), kTail.data(), kTail.size()) == 0);
      compressed.resize(made - kTail.size());
    }
    if (!worth || compressed.size() >= payload.size()) {
      out.insert(out.end(), whole.begin(), whole.end());
      continue;
    }
    const std::size_t at = out.size();
    append_frame_header(Opcode::text, compressed.size(), out);
    out[at] |= std::byte{kCompressedBit};
    out.insert(out.end(), compressed.begin(), compressed.end());
  }
}

// ---- expanding ----

struct Inflater::State {
  ::z_stream stream{};
  std::span<const std::byte> message;
  std::size_t bytes_max = 0;
  bool in_tail = false;   // the message is taken, the bytes that are not sent follow
  std::size_t taken = 0;  // of the one or the other
  std::size_t size = 0;   // of what came out
  bool more_out = false;  // zlib may have more for us than there was room
  bool ended = false;     // with a final block, and nothing behind it
  std::span<const std::byte> part() const { return in_tail ? std::as_bytes(std::span(kTail)) : message; }
};

Inflater::Inflater() : state_(new State) {
  TZ_ASSERT(::inflateInit2(&state_->stream, -kLargeWindowBits) == Z_OK);
}
Inflater::~Inflater() {
  ::inflateEnd(&state_->stream);
}

void Inflater::begin(std::span<const std::byte> message, std::size_t bytes_max) {
  State& s = *state_;
  TZ_ASSERT(::inflateReset(&s.stream) == Z_OK);
  s.message = message;
  s.bytes_max = bytes_max;
  s.in_tail = s.more_out = s.ended = false;
  s.taken = s.size = 0;
  out_.clear();
}

Inflater::Outcome Inflater::go_on(std::size_t& work) {
  State& s = *state_;
  ::z_stream& stream = s.stream;
  for (;;) {
    const std::span<const std::byte> part = s.part();
    // Until everything is taken, and what it became has room left over.
    if (s.taken == part.size() && !s.more_out) {
      if (s.in_tail || s.ended) break;
      s.in_tail = true;
      s.taken = 0;
      continue;
    }
    if (work == 0) return Outcome::more;
    if (out_.size() - s.size < kPieceBytes)
      out_.resize(std::max(s.size + kPieceBytes, std::min(2 * s.size, s.bytes_max)));
    const std::span<const std::byte> piece = part.subspan(s.taken, std::min(part.size() - s.taken, kInputPieceBytes));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
    stream.avail_in = count_of(piece.size());
    stream.next_out = reinterpret_cast<Bytef*>(out_.data() + s.size);
    const unsigned room = count_of(std::min({out_.size() - s.size, kPieceBytes, work}));
    stream.avail_out = room;
    const int result = ::inflate(&stream, Z_SYNC_FLUSH);
    const std::size_t in = piece.size() - stream.avail_in, out = room - stream.avail_out;
    s.taken += in;
    s.size += out;
    work -= std::min(work, std::max({out, kInputCost * in, std::size_t{1}}));
    if (s.size > s.bytes_max) return Outcome::too_large;
    s.ended = result == Z_STREAM_END && s.taken == part.size();
    if (result == Z_STREAM_END) {
      // RFC 7692, 7.2.3.4 lets a final block be followed by others.
      TZ_ASSERT(::inflateReset(&stream) == Z_OK);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return Outcome::damaged;
    }
    s.more_out = stream.avail_out == 0 && !s.ended;
  }
  // The tail ends a whole message at the boundary of a block (zlib.h: data_type); one that was cut off takes it for
  // data.
  constexpr int kBlockEnds = 128, kBitsLeft = 63;
  if (!s.ended && (stream.data_type & (kBlockEnds | kBitsLeft)) != kBlockEnds) return Outcome::damaged;
  out_.resize(s.size);
  return Outcome::done;
}

void Inflater::trim() {
  if (out_.capacity() > kKeptBytes) ByteBuffer().swap(out_);
}

Inflater::Outcome Inflater::expand(std::span<const std::byte> message, std::size_t bytes_max, ByteBuffer& out) {
  out_.swap(out);
  begin(message, bytes_max);
  std::size_t work = std::numeric_limits<std::size_t>::max();
  const Outcome outcome = go_on(work);
  out_.swap(out);
  return outcome;
}

}  // namespace terrazzo::proto::ws
