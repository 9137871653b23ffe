#include "shardfile/tree_reader.h"

#include "base/crc32c.h"

namespace terrazzo::shardfile {

std::uint32_t page_checksum(const std::byte* page) {
  const std::uint32_t crc = crc32c({page, kPageBytes});
  return crc == 0 ? 1 : crc;
}

ChunkView TreeReader::read(std::uint8_t layer, std::uint16_t chunk) const {
  const std::uint8_t path[kNodeLevels] = {layer, region_of(chunk), index_of(chunk)};
  Entry entry = top_;
  for (const std::uint8_t step : path) {
    if (entry.tag() != Tag::page) break;
    if (!inside(entry.value)) return {.damaged = true};
    entry = load(node(entry.value)[step]);
  }
  if (!entry.has_page()) return {nullptr, entry.value, entry.revision(), 0, false};
  if (!inside(entry.value)) return {.damaged = true};
  if (entry.tag() == Tag::blob) return {nullptr, 0, entry.revision(), entry.value, false};
  return {reinterpret_cast<const std::uint32_t*>(bytes(entry.value)), 0, entry.revision(), 0, false};
}

}  // namespace terrazzo::shardfile
