#include "server/shard/pre_image.h"

#include <array>
#include <cstring>

#include "map/edit_apply.h"
#include "server/shard/store_apply.h"

namespace terrazzo::shard {
namespace {

enum class Coding : std::uint8_t {
  uniform,  // a cell
  plain,    // all cells
  runs,     // u16 length - 1 and a cell, until all are there
};

void put(const void* data, std::size_t size, std::vector<std::byte>& out) {
  const auto* bytes = static_cast<const std::byte*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

constexpr std::size_t kRunBytes = sizeof(std::uint16_t) + sizeof(map::Cell);
constexpr std::size_t kRunMax = 65536;

// The number of runs, or more than would be shorter than plain cells.
std::size_t count_runs(std::span<const map::Cell> cells) {
  const std::size_t useful = cells.size_bytes() / kRunBytes;
  std::size_t runs = 1, length = 1;
  for (std::size_t i = 1; i < cells.size() && runs <= useful; ++i) {
    const bool goes_on = cells[i] == cells[i - 1] && length < kRunMax;
    runs += goes_on ? 0 : 1;
    length = goes_on ? length + 1 : 1;
  }
  return runs;
}

void put_runs(std::span<const map::Cell> cells, std::vector<std::byte>& out) {
  for (std::size_t from = 0; from < cells.size();) {
    std::size_t to = from + 1;
    while (to < cells.size() && cells[to] == cells[from] && to - from < kRunMax) ++to;
    const auto length = static_cast<std::uint16_t>(to - from - 1);
    put(&length, sizeof length, out);
    put(&cells[from], sizeof(map::Cell), out);
    from = to;
  }
}

void put_cells(std::span<const map::Cell> cells, std::vector<std::byte>& out) {
  const std::size_t runs = count_runs(cells);
  const bool uniform = runs == 1 && cells.size() <= kRunMax;
  const Coding coding = uniform                                 ? Coding::uniform
                        : runs * kRunBytes < cells.size_bytes() ? Coding::runs
                                                                : Coding::plain;
  out.push_back(static_cast<std::byte>(coding));
  if (coding == Coding::uniform) return put(cells.data(), sizeof(map::Cell), out);
  if (coding == Coding::runs) return put_runs(cells, out);
  put(cells.data(), cells.size_bytes(), out);
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool take(void* to, std::size_t size) {
    if (bytes_.size() < size) return false;
    std::memcpy(to, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return true;
  }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

bool take_runs(Reader& reader, std::span<map::Cell> cells) {
  for (std::size_t at = 0; at < cells.size();) {
    std::uint16_t length = 0;
    map::Cell cell;
    if (!reader.take(&length, sizeof length) || !reader.take(&cell, sizeof cell)) return false;
    const std::size_t count = std::size_t{length} + 1;
    if (count > cells.size() - at) return false;
    std::fill_n(cells.data() + at, count, cell);
    at += count;
  }
  return true;
}

// `inverse` has its rectangle and layer.
bool take_cells(Reader& reader, map::Op& inverse, Arena& arena) {
  std::uint8_t coding = 0;
  if (!reader.take(&coding, sizeof coding)) return false;
  if (coding == static_cast<std::uint8_t>(Coding::uniform)) {
    inverse.kind = map::OpKind::fill;
    return reader.take(&inverse.cell, sizeof inverse.cell);
  }
  inverse.kind = map::OpKind::set;
  const std::span<map::Cell> cells = arena.allocate_array<map::Cell>(inverse.rect.area());
  inverse.cells = cells;
  if (coding == static_cast<std::uint8_t>(Coding::plain)) return reader.take(cells.data(), cells.size_bytes());
  return coding == static_cast<std::uint8_t>(Coding::runs) && take_runs(reader, cells);
}

}  // namespace

namespace {

// A painter's stroke is made of these.
void put_cell(const storage::Head& store, const map::Op& op, std::vector<std::byte>& out) {
  const map::CellPos at{static_cast<std::int32_t>(op.rect.x0), static_cast<std::int32_t>(op.rect.y0)};
  const storage::ChunkRead read = store.read(op.layer, map::index_in_shard(map::chunk_of(at)));
  const std::uint32_t cell = read.cells == nullptr ? read.fill : read.cells[map::index_in_chunk(at)];
  std::array<std::byte, 1 + sizeof cell> bytes{static_cast<std::byte>(Coding::uniform)};
  std::memcpy(bytes.data() + 1, &cell, sizeof cell);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

void encode_pre_image(const storage::Head& store, std::span<const map::Op> ops, PreImageScratch& scratch,
                      std::vector<std::byte>& out) {
  for (const map::Op& op : ops) {
    if (op.rect.area() == 1) {
      put_cell(store, op, out);
      continue;
    }
    scratch.cells.resize(op.rect.area());
    read_cells(store, op.layer, op.rect, scratch.cells);
    put_cells(scratch.cells, out);
  }
}

Result<std::span<const map::Op>> decode_pre_image(std::span<const map::Op> ops, std::span<const std::byte> bytes,
                                                  Arena& arena) {
  const Error wrong{ErrorCode::bad_message, "the pre-image does not belong to this edit"};
  Reader reader(bytes);
  const std::span<map::Op> inverse = arena.allocate_array<map::Op>(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    inverse[i] = map::Op{};
    inverse[i].layer = ops[i].layer;
    inverse[i].rect = ops[i].rect;
    if (!take_cells(reader, inverse[i], arena)) return wrong;
  }
  if (!reader.at_end()) return wrong;
  return std::span<const map::Op>(inverse);
}

}  // namespace terrazzo::shard
