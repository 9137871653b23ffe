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
  std::uint8_t content, pre_image_kind;
  std::uint8_t has_who, undo;  // `undo`: 1: an undo, 2: a redo; then has_who is 1
  std::uint32_t parts;         // of an edit over several shards; 0 from servers that did not count them
};
// Follows the header where it says so.
struct Who {
  std::uint64_t user, time_us;
};
// Of undo and redo: of which edit. Follows Who.
struct Target {
  std::uint64_t author, edit, restored, skipped;
};
enum class Content : std::uint8_t { ops, restore, swaps };
// Of an area of a restore, `reserved` is the pin's kind and kUnlessChanged, `cell` and `from` are its id. Of a swap the
// cells of `from` come first, if there are any, then as many of what it becomes.
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
              sizeof(PartHeader) == 16 && sizeof(Who) == 16 && sizeof(Target) == 32);
constexpr std::uint8_t kRestore = 3, kSwap = 4;  // beside the kinds of ops
constexpr std::uint16_t kUnlessChanged = 0x8000;

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

bool take_cells(Reader& reader, std::uint32_t count, Arena& arena, std::span<const map::Cell>& out) {
  std::span<const std::byte> cells;
  if (!reader.take(std::size_t{count} * sizeof(map::Cell), cells)) return false;
  const std::span<map::Cell> own = arena.allocate_array<map::Cell>(count);
  if (!cells.empty()) std::memcpy(own.data(), cells.data(), cells.size());
  out = own;
  return true;
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
  return take_cells(reader, header.cell_count, arena, op.cells);
}

bool take_swap(Reader& reader, Arena& arena, Swap& swap) {
  OpHeader header;
  if (!reader.take(header) || header.kind != kSwap) return false;
  swap.layer = header.layer;
  swap.rect = map::Rect::of_size(header.x, header.y, header.width, header.height);
  swap.from.bits = header.from;
  swap.to.bits = header.cell;
  if (swap.rect.empty() || !map::kPlane.contains(swap.rect)) return false;
  if (header.cell_count != 0 && header.cell_count != swap.rect.area()) return false;
  return take_cells(reader, header.cell_count, arena, swap.from_cells) &&
         take_cells(reader, header.cell_count, arena, swap.to_cells);
}

bool take_who(Reader& reader, const EditHeader& header, LoggedEdit& logged) {
  if (header.has_who > 1 || header.undo > 2 || (header.undo != 0 && header.has_who == 0)) return false;
  Who who{};
  if (header.has_who != 0 && !reader.take(who)) return false;
  logged.user = UserId{who.user};
  logged.time_us = who.time_us;
  if (header.undo == 0) return true;
  Target target;
  if (!reader.take(target)) return false;
  logged.undo = UndoOf{{SessionId{target.author}, EditId{target.edit}}, header.undo == 2};
  logged.restored = target.restored;
  logged.skipped = target.skipped;
  return true;
}

bool take_restore(Reader& reader, std::uint32_t areas, Restore& restore) {
  for (std::uint32_t i = 0; i < areas; ++i) {
    OpHeader header;
    if (!reader.take(header) || header.kind != kRestore ||
        (header.reserved & ~kUnlessChanged) > static_cast<std::uint16_t>(storage::PinKind::undo_point))
      return false;
    restore.from = static_cast<storage::PinKind>(header.reserved & ~kUnlessChanged);
    restore.unless_changed = (header.reserved & kUnlessChanged) != 0;
    restore.id = std::uint64_t{header.from} << 32 | header.cell;
    const map::Rect rect = map::Rect::of_size(header.x, header.y, header.width, header.height);
    if (rect.empty() || !map::kPlane.contains(rect)) return false;
    restore.areas.push_back({header.layer, rect});
  }
  return true;
}

OpHeader header_of(std::uint8_t kind, map::LayerId layer, const map::Rect& rect) {
  OpHeader head{};
  head.kind = kind;
  head.layer = layer;
  head.x = static_cast<std::int32_t>(rect.x0);
  head.y = static_cast<std::int32_t>(rect.y0);
  head.width = static_cast<std::uint32_t>(rect.width());
  head.height = static_cast<std::uint32_t>(rect.height());
  return head;
}

void put_restore(const Restore& restore, std::vector<std::byte>& out) {
  for (const Restore::Area& area : restore.areas) {
    OpHeader head = header_of(kRestore, area.layer, area.rect);
    head.reserved = static_cast<std::uint16_t>(static_cast<unsigned>(restore.from) |
                                               (restore.unless_changed ? kUnlessChanged : 0u));
    head.cell = static_cast<std::uint32_t>(restore.id);
    head.from = static_cast<std::uint32_t>(restore.id >> 32);
    put(&head, sizeof head, out);
  }
}

void put_swaps(std::span<const Swap> swaps, std::vector<std::byte>& out) {
  for (const Swap& swap : swaps) {
    OpHeader head = header_of(kSwap, swap.layer, swap.rect);
    head.cell = swap.to.bits;
    head.from = swap.from.bits;
    head.cell_count = static_cast<std::uint32_t>(swap.from_cells.size());
    put(&head, sizeof head, out);
    put(swap.from_cells.data(), swap.from_cells.size_bytes(), out);
    put(swap.to_cells.data(), swap.to_cells.size_bytes(), out);
  }
}

void put_ops(std::span<const map::Op> ops, std::vector<std::byte>& out) {
  for (const map::Op& op : ops) {
    OpHeader head = header_of(static_cast<std::uint8_t>(op.kind), op.layer, op.rect);
    head.cell = op.cell.bits;
    head.from = op.from.bits;
    head.cell_count = static_cast<std::uint32_t>(op.cells.size());
    put(&head, sizeof head, out);
    put(op.cells.data(), op.cells.size_bytes(), out);
  }
}

}  // namespace

void encode_edit(const EditRequest& request, std::uint64_t version, const PreImage& before,
                 std::vector<std::byte>& out) {
  const Content content = request.restore ? Content::restore : request.swaps.empty() ? Content::ops : Content::swaps;
  const std::size_t count = content == Content::restore ? request.restore->areas.size()
                            : content == Content::swaps ? request.swaps.size()
                                                        : request.edit.ops.size();
  EditHeader header{};
  header.author = request.origin.session.value;
  header.edit = request.edit.id.value;
  header.coordinated = request.coordinated;
  header.parts = request.parts;
  header.version = version;
  header.op_count = static_cast<std::uint32_t>(count);
  header.pre_image_bytes = static_cast<std::uint32_t>(before.bytes.size());
  header.content = static_cast<std::uint8_t>(content);
  header.has_who = request.origin.user.value != 0 || request.time_us != 0 || request.undo ? 1 : 0;
  header.undo = !request.undo ? 0 : request.undo->redo ? 2 : 1;
  header.pre_image_kind = static_cast<std::uint8_t>(before.kind);
  put(&header, sizeof header, out);
  if (header.has_who != 0) {
    const Who who{request.origin.user.value, request.time_us};
    put(&who, sizeof who, out);
  }
  if (request.undo) {
    const Target target{request.undo->edit.author.value, request.undo->edit.edit.value, before.restored,
                        before.skipped};
    put(&target, sizeof target, out);
  }
  if (content == Content::restore) return put_restore(*request.restore, out);
  if (content == Content::swaps) return put_swaps(request.swaps, out);
  put_ops(request.edit.ops, out);
  put(before.bytes.data(), before.bytes.size(), out);
}

namespace {

bool take_head(Reader& reader, EditHeader& header, LoggedEdit& logged) {
  if (!reader.take(header) || header.op_count > reader.left() / sizeof(OpHeader)) return false;
  logged.author = SessionId{header.author};
  logged.coordinated = header.coordinated;
  logged.parts = header.parts;
  logged.version = header.version;
  logged.edit.id = EditId{header.edit};
  if (header.pre_image_kind > static_cast<std::uint8_t>(PreImageKind::pinned)) return false;
  logged.pre_image_kind = static_cast<PreImageKind>(header.pre_image_kind);
  return take_who(reader, header, logged);
}

}  // namespace

Result<LoggedEdit> peek_edit(std::span<const std::byte> payload) {
  Reader reader(payload);
  EditHeader header;
  LoggedEdit logged;
  if (!take_head(reader, header, logged)) return damaged();
  return logged;
}

Result<LoggedEdit> decode_edit(std::span<const std::byte> payload, Arena& arena) {
  Reader reader(payload);
  EditHeader header;
  LoggedEdit logged;
  if (!take_head(reader, header, logged)) return damaged();
  if (header.content == static_cast<std::uint8_t>(Content::swaps)) {
    const std::span<Swap> swaps = arena.allocate_array<Swap>(header.op_count);
    for (Swap& swap : swaps)
      if (!take_swap(reader, arena, swap)) return damaged();
    if (reader.left() != 0) return damaged();
    logged.swaps = swaps;
    return logged;
  }
  if (header.content > static_cast<std::uint8_t>(Content::swaps)) return damaged();
  if (header.content == static_cast<std::uint8_t>(Content::restore)) {
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
    part->undo = logged->undo;
    part->swaps = logged->swaps;
    part->origin.user = logged->user;
    part->time_us = logged->time_us;
    part->version = header.version;
    part->coordinated = logged->coordinated;
    part->parts = header.part_count;
    request->parts.push_back(std::move(part));
  }
  return request;
}

}  // namespace terrazzo::shard
