#include "server/shard/undo_points.h"

#include <algorithm>

namespace terrazzo::shard {

bool needs_undo_point(std::span<const map::Op> ops) {
  std::uint64_t cells = 0;
  for (const map::Op& op : ops) cells += op.rect.area();
  return cells > kPreImageCellsMax;
}

void add_undo_point(const storage::Head& store, Lsn lsn, std::size_t most) {
  std::size_t count = 0;
  std::uint64_t oldest = lsn.value;
  for (const storage::PinInfo& pin : store.pins()) {
    if (pin.kind != storage::PinKind::undo_point || pin.dropping || pin.id == written_by(pin.id)) continue;
    ++count;
    oldest = std::min(oldest, pin.id);
  }
  if (count >= most) {
    const Status dropped = store.unpin(storage::PinKind::undo_point, oldest);
    TZ_ASSERT(dropped.ok());
    // Of an edit of a server that did not keep it there is none.
    if (store.find_pin(storage::PinKind::undo_point, written_by(oldest)) != nullptr)
      static_cast<void>(store.unpin(storage::PinKind::undo_point, written_by(oldest)));
  }
  store.pin(storage::PinKind::undo_point, lsn.value);
}

void complete_undo_point(const storage::Head& store, Lsn lsn) {
  store.pin(storage::PinKind::undo_point, written_by(lsn.value));
}

}  // namespace terrazzo::shard
