#include "server/storage/history.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/crc32c.h"
#include "server/storage/wal_format.h"

namespace terrazzo::storage {
namespace {

constexpr std::uint64_t kHistoryMagic = 0x31534948'5A525254ull;  // "TRRZHIS1"
constexpr std::uint32_t kHistoryVersion = 1;
// Unpacked; large enough to compress well, small enough to look for one edit in.
constexpr std::size_t kBlockBytes = 256 << 10;
constexpr int kLevel = 6;  // written once by a worker, kept for years

struct Header {
  std::uint64_t magic;
  std::uint32_t version, core;
  std::uint64_t incarnation;
  std::uint32_t number, crc;  // of the fields before
};
struct Footer {
  std::uint64_t index_offset, records;
  std::uint32_t index_bytes, index_crc, blocks, runs;
  std::uint64_t magic;
  std::uint32_t reserved, crc;  // of the fields before
};
static_assert(sizeof(Header) == 32 && sizeof(Footer) == 48);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return {reinterpret_cast<const std::byte*>(&value), sizeof value};
}
template <class T>
std::uint32_t crc_of(const T& value) {
  return crc32c(bytes_of(value).first(offsetof(T, crc)));
}
void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

Error damaged(const char* what) {
  return {ErrorCode::internal, fmt::format("the sealed log is damaged: {}; restore it from a backup", what)};
}

}  // namespace

void ChunkArea::cover(const ChunkArea& other) {
  if (other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  x0 = std::min(x0, other.x0);
  y0 = std::min(y0, other.y0);
  x1 = std::max(x1, other.x1);
  y1 = std::max(y1, other.y1);
}

// ---- sealing ----

class HistoryWriter {
 public:
  explicit HistoryWriter(const std::function<ChunkArea(const Record&)>& area_of) : area_of_(area_of) {}

  Result<SealedSegment> seal(std::span<const std::byte> segment, const SegmentName& name) {
    std::vector<Record> records;
    const auto keep = [&](const Record& record) { records.push_back(record); };
    const Result<WalScan> scan = scan_segment(segment, name, keep, keep);
    if (!scan) return scan.error();
    if (records.empty()) return SealedSegment{{}, *scan};
    std::ranges::stable_sort(records, {}, [](const Record& r) {
      return std::tuple(r.kind, r.shard.world.value, r.shard.y, r.shard.x, r.lsn.value);
    });
    Header header{kHistoryMagic, kHistoryVersion, name.core, name.incarnation.value, name.number, 0};
    header.crc = crc_of(header);
    append(out_, bytes_of(header));
    for (const Record& record : records) add(record);
    flush();
    finish(records.size());
    return SealedSegment{std::move(out_), *scan};
  }

 private:
  using Run = HistoryReader::Run;
  using Block = HistoryReader::Block;

  void add(const Record& record) {
    if (block_.size() >= kBlockBytes) flush();
    RecordHeader header{};
    header.bytes = static_cast<std::uint32_t>(record.payload.size());
    header.lsn = record.lsn.value;
    header.world = record.shard.world.value;
    header.x = record.shard.x;
    header.y = record.shard.y;
    header.kind = static_cast<std::uint8_t>(record.kind);
    append(block_, bytes_of(header));
    append(block_, record.payload);
    const bool goes_on = !runs_.empty() && runs_.back().block == blocks_.size() && runs_.back().world == header.world &&
                         runs_.back().x == header.x && runs_.back().y == header.y && runs_.back().last <= header.lsn;
    if (!goes_on)
      runs_.push_back({header.world,
                       header.x,
                       header.y,
                       header.lsn,
                       header.lsn,
                       {},
                       static_cast<std::uint32_t>(blocks_.size()),
                       0});
    Run& run = runs_.back();
    run.last = header.lsn;
    ++run.records;
    ChunkArea area{run.area[0], run.area[1], run.area[2], run.area[3]};
    if (record.kind == RecordKind::edit) area.cover(area_of_(record));
    const std::int64_t corners[] = {area.x0, area.y0, area.x1, area.y1};
    std::memcpy(run.area, corners, sizeof corners);
  }

  void flush() {
    if (block_.empty()) return;
    std::vector<std::byte> packed(ZSTD_compressBound(block_.size()));
    const std::size_t size = ZSTD_compress(packed.data(), packed.size(), block_.data(), block_.size(), kLevel);
    TZ_ASSERT(ZSTD_isError(size) == 0);
    packed.resize(size);
    blocks_.push_back(
        {out_.size(), static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(block_.size()), crc32c(packed), 0});
    append(out_, packed);
    block_.clear();
  }

  void finish(std::size_t records) {
    Footer footer{};
    footer.index_offset = out_.size();
    append(out_, std::as_bytes(std::span(blocks_)));
    append(out_, std::as_bytes(std::span(runs_)));
    const std::span<const std::byte> index = std::span(out_).subspan(footer.index_offset);
    footer.index_bytes = static_cast<std::uint32_t>(index.size());
    footer.index_crc = crc32c(index);
    footer.records = records;
    footer.blocks = static_cast<std::uint32_t>(blocks_.size());
    footer.runs = static_cast<std::uint32_t>(runs_.size());
    footer.magic = kHistoryMagic;
    footer.crc = crc_of(footer);
    append(out_, bytes_of(footer));
  }

  const std::function<ChunkArea(const Record&)>& area_of_;
  std::vector<std::byte> out_, block_;
  std::vector<Block> blocks_;
  std::vector<Run> runs_;
};

Result<SealedSegment> seal_segment(std::span<const std::byte> segment, const SegmentName& name,
                                   const std::function<ChunkArea(const Record&)>& area_of) {
  return HistoryWriter(area_of).seal(segment, name);
}

// ---- reading ----

Result<HistoryReader> HistoryReader::open(std::span<const std::byte> file) {
  Header header;
  Footer footer;
  if (file.size() < sizeof header + sizeof footer) return damaged("it is cut off");
  std::memcpy(&header, file.data(), sizeof header);
  std::memcpy(&footer, file.data() + file.size() - sizeof footer, sizeof footer);
  if (header.magic != kHistoryMagic || header.crc != crc_of(header)) return damaged("its header is none");
  if (header.version != kHistoryVersion)
    return Error{
        ErrorCode::unsupported,
        fmt::format("the sealed log has format version {}, this server reads {}: use the version that wrote it",
                    header.version, kHistoryVersion)};
  if (footer.magic != kHistoryMagic || footer.crc != crc_of(footer)) return damaged("its end is missing");
  const std::uint64_t wanted = std::uint64_t{footer.blocks} * sizeof(Block) + std::uint64_t{footer.runs} * sizeof(Run);
  if (footer.index_bytes != wanted || footer.index_offset > file.size() - sizeof footer ||
      footer.index_bytes != file.size() - sizeof footer - footer.index_offset)
    return damaged("its index lies outside the file");
  const std::span<const std::byte> index = file.subspan(footer.index_offset, footer.index_bytes);
  if (footer.index_crc != crc32c(index)) return damaged("the checksum of its index is wrong");
  HistoryReader reader;
  reader.file_ = file;
  reader.info_ = {header.core, header.number, header.incarnation, footer.records, footer.blocks};
  reader.blocks_.resize(footer.blocks);
  reader.runs_.resize(footer.runs);
  if (footer.blocks != 0) std::memcpy(reader.blocks_.data(), index.data(), footer.blocks * sizeof(Block));
  if (footer.runs != 0)
    std::memcpy(reader.runs_.data(), index.data() + footer.blocks * sizeof(Block), footer.runs * sizeof(Run));
  for (const Run& run : reader.runs_)
    if (run.block >= reader.blocks_.size()) return damaged("its index names a block that is not there");
  return reader;
}

void HistoryReader::for_each_part(const PartVisit& visit) const {
  for (const Run& run : runs_)
    visit({WorldId{run.world}, run.x, run.y}, Lsn{run.first}, Lsn{run.last},
          {run.area[0], run.area[1], run.area[2], run.area[3]});
}

Result<std::vector<std::byte>> HistoryReader::unpack(const Block& block) const {
  if (block.offset > file_.size() || block.packed > file_.size() - block.offset)
    return damaged("a block lies outside the file");
  const std::span<const std::byte> packed = file_.subspan(block.offset, block.packed);
  if (crc32c(packed) != block.crc) return damaged("the checksum of a block is wrong");
  if (block.unpacked > kBlockBytes + sizeof(RecordHeader) + kRecordBytesMax) return damaged("a block is too large");
  std::vector<std::byte> bytes(block.unpacked);
  const std::size_t size = ZSTD_decompress(bytes.data(), bytes.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) != 0 || size != bytes.size()) return damaged("a block cannot be unpacked");
  return bytes;
}

Result<std::uint64_t> HistoryReader::visit(const HistoryQuery& query,
                                           const std::function<void(const Record&)>& visit) const {
  std::vector<bool> wanted(blocks_.size());
  for (const Run& run : runs_) {
    const bool of_shard =
        !query.shard || (query.shard->world.value == run.world && query.shard->x == run.x && query.shard->y == run.y);
    const ChunkArea area{run.area[0], run.area[1], run.area[2], run.area[3]};
    const bool in_area = !query.area || area.meets(*query.area);
    if (of_shard && in_area && run.first <= query.last.value && run.last >= query.first.value) wanted[run.block] = true;
  }
  std::uint64_t unpacked = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (!wanted[i]) continue;
    const Result<std::vector<std::byte>> bytes = unpack(blocks_[i]);
    if (!bytes) return bytes.error();
    ++unpacked;
    for (std::size_t at = 0; at < bytes->size();) {
      RecordHeader header;
      if (bytes->size() - at < sizeof header) return damaged("a block ends inside a record");
      std::memcpy(&header, bytes->data() + at, sizeof header);
      at += sizeof header;
      if (bytes->size() - at < header.bytes) return damaged("a block ends inside a record");
      const Record record{static_cast<RecordKind>(header.kind),
                          {WorldId{header.world}, header.x, header.y},
                          Lsn{header.lsn},
                          std::span(*bytes).subspan(at, header.bytes)};
      at += header.bytes;
      if ((!query.shard || *query.shard == record.shard) && record.lsn >= query.first && record.lsn <= query.last)
        visit(record);
    }
  }
  return unpacked;
}

}  // namespace terrazzo::storage
