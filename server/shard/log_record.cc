#include "server/shard/log_record.h"

#include <cstring>
#include <type_traits>

#include "server/shard/coordinator.h"

namespace terrazzo::shard {
namespace {

// On disk, in this order, without gaps. A rectangle inside a shard fits 32 bits.
struct EditHeader {
  std::uint64_t author, edit, coordinated, version;
  std::uint32_t op_count, pre_image_bytes;  // the pre-image follows the ops
  std::uint8_t is_restore, pre_image_kind;
  std::uint8_t reserved[6];
};
// Of an area of a restore, `reserved` is the pin's kind, `cell` and `from` are its id.
struct OpHeader {
  std::uint8_t kind, layer;
  std::uint16_t reserved;
  std::int32_t x, y;
  std::uint32_t width, height, cell, from, cell_count;
};
struct CoordinatedHeader {
  std::uint64_t world, author, edit, version;
  std::uint32_t part_count, reserved;
};
struct PartHeader {
  std::int32_t x, y;
  std::uint64_t bytes;
};
static_assert(sizeof(EditHeader) == 48 && sizeof(OpHeader) == 32 && sizeof(CoordinatedHeader) == 40 &&
              sizeof(PartHeader) == 16);
constexpr std::uint8_t kRestore = 3;  // beside the kinds of ops

void put(const void* data, std::size_t size, std::vector<std::byte>& out) {
  const auto* bytes = static_cast<const std::byte*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  bool take(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes_.size() < sizeof value) return false;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return true;
  }
  bool take(std::size_t size, std::span<const std::byte>& part) {
    if (bytes_.size() < size) return false;
    part = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return true;
  }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

Error damaged() {
  return {ErrorCode::internal,
          "a log record is whole by its checksum but makes no sense: it was written by another version"};
}

bool take_op(Reader& reader, Arena& arena, map::Op& op) {
  OpHeader header;
  if (!reader.take(header) || header.kind > static_cast<std::uint8_t>(map::OpKind::replace)) return false;
  op.kind = static_cast<map::OpKind>(header.kind);
  op.layer = header.layer;
  op.rect = map::Rect::of_size(header.x, header.y, header.width, header.height);
  op.cell.bits = header.cell;
  op.from.bits = header.from;
  const std::uint64_t expected = op.kind == map::OpKind::set ? op.rect.area() : 0;
  if (op.rect.empty() || !map::kPlane.contains(op.rect) || header.cell_count != expected) return false;
  std::span<const std::byte> cells;
  if (!reader.take(std::size_t{header.cell_count} * sizeof(map::Cell), cells)) return false;
  const std::span<map::Cell> own = arena.allocate_array<map::Cell>(header.cell_count);
  if (!cells.empty()) std::memcpy(own.data(), cells.data(), cells.size());
  op.cells = own;
  return true;
}

bool take_restore(Reader& reader, std::uint32_t areas, Restore& restore) {
  for (std::uint32_t i = 0; i < areas; ++i) {
    OpHeader header;
    if (!reader.take(header) || header.kind != kRestore ||
        header.reserved > static_cast<std::uint16_t>(storage::PinKind::undo_point))
      return false;
    restore.from = static_cast<storage::PinKind>(header.reserved);
    restore.id = std::uint64_t{header.from} << 32 | header.cell;
    const map::Rect rect = map::Rect::of_size(header.x, header.y, header.width, header.height);
    if (rect.empty() || !map::kPlane.contains(rect)) return false;
    restore.areas.push_back({header.layer, rect});
  }
  return true;
}

void put_restore(const Restore& restore, std::vector<std::byte>& out) {
  for (const Restore::Area& area : restore.areas) {
    const OpHeader head{kRestore,
                        area.layer,
                        static_cast<std::uint16_t>(restore.from),
                        static_cast<std::int32_t>(area.rect.x0),
                        static_cast<std::int32_t>(area.rect.y0),
                        static_cast<std::uint32_t>(area.rect.width()),
                        static_cast<std::uint32_t>(area.rect.height()),
                        static_cast<std::uint32_t>(restore.id),
                        static_cast<std::uint32_t>(restore.id >> 32),
                        0};
    put(&head, sizeof head, out);
  }
}

}  // namespace

void encode_edit(const EditRequest& request, std::uint64_t version, const PreImage& before,
                 std::vector<std::byte>& out) {
  const std::size_t count = request.restore ? request.restore->areas.size() : request.edit.ops.size();
  EditHeader header{};
  header.author = request.origin.session.value;
  header.edit = request.edit.id.value;
  header.coordinated = request.coordinated;
  header.version = version;
  header.op_count = static_cast<std::uint32_t>(count);
  header.pre_image_bytes = static_cast<std::uint32_t>(before.bytes.size());
  header.is_restore = request.restore ? 1 : 0;
  header.pre_image_kind = static_cast<std::uint8_t>(before.kind);
  put(&header, sizeof header, out);
  if (request.restore) return put_restore(*request.restore, out);
  for (const map::Op& op : request.edit.ops) {
    const OpHeader head{static_cast<std::uint8_t>(op.kind),
                        op.layer,
                        0,
                        static_cast<std::int32_t>(op.rect.x0),
                        static_cast<std::int32_t>(op.rect.y0),
                        static_cast<std::uint32_t>(op.rect.width()),
                        static_cast<std::uint32_t>(op.rect.height()),
                        op.cell.bits,
                        op.from.bits,
                        static_cast<std::uint32_t>(op.cells.size())};
    put(&head, sizeof head, out);
    put(op.cells.data(), op.cells.size_bytes(), out);
  }
  put(before.bytes.data(), before.bytes.size(), out);
}

Result<LoggedEdit> decode_edit(std::span<const std::byte> payload, Arena& arena) {
  Reader reader(payload);
  EditHeader header;
  if (!reader.take(header) || header.op_count > reader.left() / sizeof(OpHeader)) return damaged();
  LoggedEdit logged;
  logged.author = SessionId{header.author};
  logged.coordinated = header.coordinated;
  logged.version = header.version;
  logged.edit.id = EditId{header.edit};
  if (header.pre_image_kind > static_cast<std::uint8_t>(PreImageKind::pinned)) return damaged();
  logged.pre_image_kind = static_cast<PreImageKind>(header.pre_image_kind);
  if (header.is_restore != 0) {
    logged.restore.emplace();
    if (!take_restore(reader, header.op_count, *logged.restore) || reader.left() != 0) return damaged();
    return logged;
  }
  const std::span<map::Op> ops = arena.allocate_array<map::Op>(header.op_count);
  for (map::Op& op : ops)
    if (!take_op(reader, arena, op)) return damaged();
  if (!reader.take(header.pre_image_bytes, logged.pre_image) || reader.left() != 0) return damaged();
  logged.edit.ops = ops;
  return logged;
}

void encode_coordinated(const CoordinatedRequest& request, std::vector<std::byte>& out) {
  const CoordinatedHeader header{request.world.value,
                                 request.origin.session.value,
                                 request.id.value,
                                 request.version,
                                 static_cast<std::uint32_t>(request.parts.size()),
                                 0};
  put(&header, sizeof header, out);
  for (const auto& part : request.parts) {
    const std::size_t at = out.size();
    out.resize(at + sizeof(PartHeader));
    encode_edit(*part, request.version, {}, out);
    const PartHeader head{part->shard.position.x, part->shard.position.y, out.size() - at - sizeof(PartHeader)};
    std::memcpy(out.data() + at, &head, sizeof head);
  }
}

Result<std::unique_ptr<CoordinatedRequest>> decode_coordinated(std::span<const std::byte> payload) {
  Reader reader(payload);
  CoordinatedHeader header;
  if (!reader.take(header)) return damaged();
  auto request = std::make_unique<CoordinatedRequest>();
  request->world = WorldId{header.world};
  request->origin.session = SessionId{header.author};
  request->id = EditId{header.edit};
  request->version = header.version;
  for (std::uint32_t i = 0; i < header.part_count; ++i) {
    PartHeader head;
    std::span<const std::byte> bytes;
    if (!reader.take(head) || !reader.take(head.bytes, bytes)) return damaged();
    auto part = std::make_unique<EditRequest>();
    part->shard = {request->world, {head.x, head.y}};
    part->origin = request->origin;
    Result<LoggedEdit> logged = decode_edit(bytes, part->arena);
    if (!logged) return logged.error();
    part->edit = logged->edit;
    part->restore = std::move(logged->restore);
    part->version = header.version;
    part->coordinated = logged->coordinated;
    request->parts.push_back(std::move(part));
  }
  return request;
}

}  // namespace terrazzo::shard
