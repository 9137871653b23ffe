#include "map/chunk_codec.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>

namespace terrazzo::map {
namespace {

constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kPaletteMax = 256;
static_assert(std::endian::native == std::endian::little, "cells are copied as they lie in memory");

// Palette of a chunk by a small open-addressing table: 1024 lookups of a value that is mostly the one before.
class Palette {
 public:
  // false: more than 256 different cells.
  bool build(std::span<const Cell, kChunkCells> cells, std::array<std::uint8_t, kChunkCells>& indices) {
    slots_.fill(kFree);
    std::uint32_t previous = ~cells[0].bits;
    std::uint8_t index = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].bits != previous) {
        previous = cells[i].bits;
        if (!find_or_add(previous, index)) return false;
      }
      indices[i] = index;
    }
    return true;
  }
  std::size_t size() const { return size_; }
  const std::uint32_t* values() const { return values_.data(); }

 private:
  static constexpr std::uint16_t kFree = 0xFFFF;

  bool find_or_add(std::uint32_t value, std::uint8_t& index) {
    std::size_t slot = (value * 0x9E3779B1u) >> 22;  // 1024 slots
    while (slots_[slot] != kFree) {
      if (values_[slots_[slot]] == value) {
        index = static_cast<std::uint8_t>(slots_[slot]);
        return true;
      }
      slot = (slot + 1) & (slots_.size() - 1);
    }
    if (size_ == kPaletteMax) return false;
    slots_[slot] = static_cast<std::uint16_t>(size_);
    values_[size_] = value;
    index = static_cast<std::uint8_t>(size_++);
    return true;
  }

  std::array<std::uint16_t, 1024> slots_;
  std::array<std::uint32_t, kPaletteMax> values_;
  std::size_t size_ = 0;
};

unsigned bits_for(std::size_t palette_size) {
  if (palette_size <= 1) return 0;
  if (palette_size <= 2) return 1;
  if (palette_size <= 4) return 2;
  return palette_size <= 16 ? 4 : 8;
}

template <unsigned kBits>
void pack(const std::array<std::uint8_t, kChunkCells>& indices, std::byte* out) {
  constexpr std::size_t per_byte = 8 / kBits;
  for (std::size_t i = 0; i < kChunkCells / per_byte; ++i) {
    unsigned byte = 0;
    for (std::size_t j = 0; j < per_byte; ++j) byte |= static_cast<unsigned>(indices[i * per_byte + j]) << (j * kBits);
    out[i] = static_cast<std::byte>(byte);
  }
}

// false: an index beyond the palette.
template <unsigned kBits>
bool unpack(const std::byte* packed, const std::array<std::uint32_t, kPaletteMax>& palette, std::size_t size,
            std::span<Cell, kChunkCells> cells) {
  constexpr std::size_t per_byte = 8 / kBits;
  unsigned largest = 0;
  for (std::size_t i = 0; i < kChunkCells / per_byte; ++i) {
    const unsigned byte = std::to_integer<unsigned>(packed[i]);
    for (std::size_t j = 0; j < per_byte; ++j) {
      const unsigned index = (byte >> (j * kBits)) & ((1u << kBits) - 1);
      largest = std::max(largest, index);
      cells[i * per_byte + j].bits = palette[index];
    }
  }
  return largest < size;
}

Error bad(std::string text) {
  return {ErrorCode::bad_message, "chunk: " + std::move(text)};
}

Status decode_palette(unsigned bits, std::size_t palette_size, std::span<const std::byte> rest,
                      std::span<Cell, kChunkCells> cells) {
  if (palette_size == 0 || bits_for(palette_size) > bits)
    return bad(fmt::format("a palette of {} cells does not go with {} bits", palette_size, bits));
  const std::size_t expected = palette_size * sizeof(Cell) + kChunkCells * bits / 8;
  if (rest.size() != expected) return bad(fmt::format("{} bytes after the header, not {}", rest.size(), expected));
  std::array<std::uint32_t, kPaletteMax> palette{};
  std::memcpy(palette.data(), rest.data(), palette_size * sizeof(Cell));
  const std::byte* packed = rest.data() + palette_size * sizeof(Cell);
  bool in_palette = true;
  switch (bits) {
    case 0:
      std::ranges::fill(cells, Cell{palette[0]});
      break;
    case 1:
      in_palette = unpack<1>(packed, palette, palette_size, cells);
      break;
    case 2:
      in_palette = unpack<2>(packed, palette, palette_size, cells);
      break;
    case 4:
      in_palette = unpack<4>(packed, palette, palette_size, cells);
      break;
    default:
      in_palette = unpack<8>(packed, palette, palette_size, cells);
      break;
  }
  return in_palette ? Status() : bad("an index beyond the palette");
}

}  // namespace

void encode_chunk(std::span<const Cell, kChunkCells> cells, std::vector<std::byte>& out) {
  Palette palette;
  std::array<std::uint8_t, kChunkCells> indices;
  const bool small = palette.build(cells, indices);
  const unsigned bits = small ? bits_for(palette.size()) : 32;
  const std::size_t count = small ? palette.size() : 0;
  const std::size_t start = out.size();
  out.resize(start + kHeaderBytes + count * sizeof(Cell) + kChunkCells * bits / 8);
  std::byte* to = out.data() + start;
  to[0] = static_cast<std::byte>(bits);
  to[1] = std::byte{0};
  to[2] = static_cast<std::byte>(count & 0xFF);
  to[3] = static_cast<std::byte>(count >> 8);
  to += kHeaderBytes;
  std::memcpy(to, palette.values(), count * sizeof(Cell));
  to += count * sizeof(Cell);
  switch (bits) {
    case 0:
      break;
    case 1:
      pack<1>(indices, to);
      break;
    case 2:
      pack<2>(indices, to);
      break;
    case 4:
      pack<4>(indices, to);
      break;
    case 8:
      pack<8>(indices, to);
      break;
    default:
      std::memcpy(to, cells.data(), cells.size_bytes());
      break;
  }
}

Status decode_chunk(std::span<const std::byte> coded, std::span<Cell, kChunkCells> cells) {
  if (coded.size() < kHeaderBytes) return bad("shorter than its header of 4 bytes");
  const auto bits = std::to_integer<unsigned>(coded[0]);
  const std::size_t palette_size =
      std::to_integer<std::size_t>(coded[2]) | (std::to_integer<std::size_t>(coded[3]) << 8);
  const std::span<const std::byte> rest = coded.subspan(kHeaderBytes);
  if (coded[1] != std::byte{0}) return bad("its second byte is reserved and must be 0");
  if (bits == 32) {
    if (palette_size != 0) return bad("32 bits go without a palette");
    if (rest.size() != cells.size_bytes()) return bad("32 bits take 4096 bytes after the header");
    std::memcpy(cells.data(), rest.data(), rest.size());
    return {};
  }
  if (bits != 0 && bits != 1 && bits != 2 && bits != 4 && bits != 8)
    return bad(fmt::format("{} bits per cell; there are 0, 1, 2, 4, 8 and 32", bits));
  if (palette_size > kPaletteMax) return bad("a palette has at most 256 cells");
  return decode_palette(bits, palette_size, rest, cells);
}

}  // namespace terrazzo::map
