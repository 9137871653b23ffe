#include "server/app/edit_history.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "base/branch_world.h"
#include "server/app/past.h"
#include "server/shard/log_record.h"

namespace terrazzo::app {
namespace {

using http::EditPlace;
using http::HistoryEntry;

constexpr const char* kKinds[] = {"set", "fill", "replace"};

class Search {
 public:
  Search(WorldId world, const http::HistoryAsk& ask, std::optional<UserId> user)
      : world_(world), ask_(ask), user_(user) {}

  Result<http::HistoryPage> run(const io::DataDirectory& data) {
    Result<Past> past = Past::open(data, blocks());
    if (!past) return past.error();
    // Until nothing that is left unread can come before what the page needs.
    while (past->bound() != 0 && past->bound() >= needed_from()) {
      const Status read = past->read_next([this](const storage::Record& record) {
        if (record.shard.world == world_) look_at(record);
      });
      if (!read) return read.error();
    }
    return page();
  }

 private:
  storage::HistoryQuery blocks() const {
    storage::HistoryQuery query;
    if (!ask_.area) return query;
    const map::Rect chunks = map::chunks_of(*ask_.area);
    query.area = storage::ChunkArea{chunks.x0, chunks.y0, chunks.x1, chunks.y1};
    return query;
  }

  std::uint64_t needed_from() const {
    const std::uint64_t since = ask_.since_us.value_or(1);
    return found_.size() <= ask_.limit ? since : std::max(since, found_.rbegin()->first.time_us);
  }

  bool wanted(const EditPlace& place) const {
    if (ask_.before && !(place < *ask_.before)) return false;
    return place.time_us >= ask_.since_us.value_or(0) && (!ask_.until_us || place.time_us < *ask_.until_us);
  }

  void look_at(const storage::Record& record) {
    const auto head = shard::peek_edit(record.payload);
    if (!head || (user_ && head->user != *user_)) return;
    const EditPlace place{head->time_us, head->author, head->edit.id};
    // More than the page and the one that tells that there is more are nobody's.
    const bool too_old = found_.size() > ask_.limit && place < found_.rbegin()->first;
    if (!wanted(place) || too_old) return;
    Arena arena;
    const auto edit = shard::decode_edit(record.payload, arena);
    if (!edit) return;
    HistoryEntry entry;
    add_changes(record, *edit, entry);
    if (entry.all_changes == 0) return;
    Found& found = found_[place];
    HistoryEntry& known = found.entry;
    known.place = place;
    known.user = head->user;
    if (head->undo) known.undo = HistoryEntry::Undo{head->undo->edit.author, head->undo->edit.edit, head->undo->redo};
    // A part that was rolled forward by a start that did not come to its end is there twice.
    if (!found.shards.insert({record.shard.x, record.shard.y}).second) return;
    known.all_changes += entry.all_changes;
    const std::size_t room = HistoryEntry::kChangesMax - known.changes.size();
    known.changes.insert(known.changes.end(), entry.changes.begin(),
                         entry.changes.begin() + static_cast<std::ptrdiff_t>(std::min(room, entry.changes.size())));
    if (found_.size() > ask_.limit + 1) found_.erase(std::prev(found_.end()));
  }

  void add_changes(const storage::Record& record, const shard::LoggedEdit& edit, HistoryEntry& entry) const {
    const map::ShardPos shard{record.shard.x, record.shard.y};
    const auto add = [&](const char* what, map::LayerId layer, const map::Rect& rect, std::optional<map::Cell> cell) {
      if (ask_.layer.value_or(layer) != layer || (ask_.area && ask_.area->intersect(rect).empty())) return;
      ++entry.all_changes;
      if (entry.changes.size() < HistoryEntry::kChangesMax)
        entry.changes.push_back({shard, record.lsn, what, layer, rect, cell});
    };
    for (const map::Op& op : edit.edit.ops) {
      const bool one = op.kind != map::OpKind::set;
      add(kKinds[static_cast<std::size_t>(op.kind)], op.layer, op.rect,
          one                    ? std::optional(op.cell)
          : op.cells.size() == 1 ? std::optional(op.cells[0])
                                 : std::nullopt);
    }
    if (edit.restore)
      for (const shard::Restore::Area& area : edit.restore->areas) add("restore", area.layer, area.rect, std::nullopt);
  }

  http::HistoryPage page() {
    http::HistoryPage page;
    for (auto& [place, found] : found_) {
      if (page.entries.size() == ask_.limit) {
        page.next = page.entries.back().place;
        break;
      }
      page.entries.push_back(std::move(found.entry));
    }
    return page;
  }

  struct Found {
    HistoryEntry entry;
    std::set<map::ShardPos> shards;  // whose parts it has
  };

  const WorldId world_;
  const http::HistoryAsk& ask_;
  const std::optional<UserId> user_;
  std::map<EditPlace, Found, std::greater<>> found_;  // never more than the page and one
};

}  // namespace

Result<http::HistoryPage> find_edits(const io::DataDirectory& data, WorldId world, const http::HistoryAsk& ask,
                                     std::optional<UserId> user) {
  return Search(world, ask, user).run(data);
}

}  // namespace terrazzo::app
