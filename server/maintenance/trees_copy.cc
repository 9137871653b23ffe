#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/maintenance/shard_trees.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::maintenance {
namespace {

using shardfile::BlobPage;
using shardfile::Entry;
using shardfile::kNodeLevels;
using shardfile::kPageBytes;
using shardfile::Node;
using shardfile::PageNo;
using shardfile::Tag;

// Twice over the trees. First what the base has is found: a page may hang at one place of several trees (going back to
// a version shares them), so that all must be known before one is taken for new. Then nodes are copied, what is below
// them first, and new pages of cells go out.
class TreesCopy {
 public:
  TreesCopy(std::span<const std::byte> file, const ShardImage& image, const ShardTrees* base, const CellSink& cells)
      : reader_(file, {}), image_(image), base_(base), sink_(cells), known_(file.size() / kPageBytes) {}

  Result<CopiedTrees> run() {
    if (base_ != nullptr) {
      made_.trees.cells = base_->cells;
      taken_.resize(base_->cells);
      if (Status matched = match(image_.top, base_->roots.top, 0); !matched) return matched.error();
      for (const storage::BranchState& branch : image_.branches)
        if (Status matched = match(branch.top, base_of(branch), 0); !matched) return matched.error();
      for (const storage::PinInfo& pin : image_.pins)
        if (Status matched = match(pin.top, base_of(pin), 0); !matched) return matched.error();
    }
    ShardImage& roots = made_.trees.roots;
    roots = image_;
    Result<Entry> top = copy(image_.top, base_ == nullptr ? Entry{} : base_->roots.top, 0);
    if (!top) return top.error();
    roots.top = *top;
    for (storage::BranchState& branch : roots.branches) {
      top = copy(branch.top, base_of(branch), 0);
      if (!top) return top.error();
      branch.top = *top;
    }
    for (storage::PinInfo& pin : roots.pins) {
      top = copy(pin.top, base_of(pin), 0);
      if (!top) return top.error();
      pin.top = *top;
    }
    return std::move(made_);
  }

 private:
  struct Known {
    std::uint32_t number = 0;  // its number or index and 1; 0: not copied yet
    std::uint32_t crc = 0;     // of cells
    std::uint64_t revision = 0;
    std::uint8_t place = 0;  // level and tag and 1, once it was reached
    bool matched = false;    // a node that was looked at for pages of the base
  };

  Error damaged(PageNo page, const char* how) const {
    return {ErrorCode::internal,
            fmt::format("page {}: {}; this shard cannot be backed up. Restore it from an earlier backup", page, how)};
  }

  // The page below an entry; every page is at one level only, whatever the file says.
  Result<Known*> reach(const Entry& entry, int level) {
    if (!reader_.inside(entry.value)) return damaged(entry.value, "it lies outside the file");
    if (entry.tag() == Tag::blob && level < kNodeLevels) return damaged(entry.value, "it is no node");
    Known& known = known_[entry.value];
    const auto place = static_cast<std::uint8_t>(1 + level * 4 + static_cast<int>(entry.tag()));
    if (known.place != 0 && known.place != place) return damaged(entry.value, "it is reached as two things");
    known.place = place;
    return &known;
  }

  // The same pin's tree; of one that the base did not have yet, the main head's, which it is a later state of.
  Entry base_of(const storage::PinInfo& pin) const {
    if (base_ == nullptr) return {};
    const auto found = std::ranges::find_if(base_->roots.pins, [&](const storage::PinInfo& known) {
      return known.kind == pin.kind && known.id == pin.id && known.head == pin.head && known.lsn == pin.lsn;
    });
    return found == base_->roots.pins.end() ? base_->roots.top : found->top;
  }
  Entry base_of(const storage::BranchState& branch) const {
    if (base_ == nullptr) return {};
    const auto found = std::ranges::find(base_->roots.branches, branch.head, &storage::BranchState::head);
    return found == base_->roots.branches.end() ? base_->roots.top : found->top;
  }
  // What the base has below an entry: where that has no page, the same everywhere.
  Entry base_below(const Entry& base, unsigned i) const {
    return base.tag() == Tag::page ? base_->nodes[base.value][i] : base;
  }

  // ---- finding what the base has ----

  Status match(const Entry& entry, const Entry& base, int level) {
    // Without nodes of the base on the way there is nothing to be found.
    if (!entry.has_page() || !base.has_page()) return {};
    const Result<Known*> known = reach(entry, level);
    if (!known) return known.error();
    if (level == kNodeLevels) {
      match_cells(entry, base, **known);
      return {};
    }
    if (std::exchange((*known)->matched, true)) return {};
    for (unsigned i = 0; i < shardfile::kNodeEntries; ++i) {
      const Entry child = shardfile::load(reader_.node(entry.value)[i]);
      if (Status matched = match(child, base_below(base, i), level + 1); !matched) return matched;
    }
    return {};
  }

  void match_cells(const Entry& entry, const Entry& base, Known& known) {
    if (entry.tag() != Tag::page || base.tag() != Tag::page || entry.revision() != base.revision()) return;
    if (known.number != 0 || taken_[base.value]) return;
    known.crc = entry.crc != 0 ? entry.crc : shardfile::page_checksum(reader_.bytes(entry.value));
    if (known.crc != base.crc) return;
    known.number = base.value + 1;
    taken_[base.value] = true;
  }

  // ---- copying ----

  Result<Entry> copy(const Entry& entry, const Entry& base, int level) {
    if (!entry.has_page()) return Entry{entry.tag_and_revision, entry.value, 0};
    const Result<Known*> reached = reach(entry, level);
    if (!reached) return reached.error();
    Known& known = **reached;
    if (known.number == 0) {
      const std::byte* from = reader_.bytes(entry.value);
      const std::uint32_t crc = entry.crc != 0 || level == kNodeLevels ? shardfile::page_checksum(from) : 0;
      if (entry.crc != 0 && entry.crc != crc) return damaged(entry.value, "its checksum is wrong");
      known.crc = crc;
      const Status copied = level < kNodeLevels        ? copy_node(entry.value, base, level, known)
                            : entry.tag() == Tag::blob ? copy_blob(entry, base, known)
                                                       : copy_cells(from, known);
      if (!copied) return copied.error();
    }
    Entry made = Entry::make(entry.tag(), std::max(entry.revision(), known.revision), known.number - 1);
    if (level == kNodeLevels && entry.tag() == Tag::page) made.crc = known.crc;
    return made;
  }

  Status copy_node(PageNo page, const Entry& base, int level, Known& known) {
    Node node;
    std::uint64_t newest = 0;
    for (unsigned i = 0; i < node.size(); ++i) {
      const Entry child = shardfile::load(reader_.node(page)[i]);
      Result<Entry> copied = copy(child, base_below(base, i), level + 1);
      if (!copied) return copied.error();
      node[i] = *copied;
      newest = std::max(newest, copied->revision());
    }
    made_.trees.nodes.push_back(node);
    made_.trees.levels.push_back(static_cast<std::uint8_t>(level));
    made_.origin.nodes.push_back(base.tag() == Tag::page ? base.value : TreesOrigin::kNone);
    known.number = static_cast<std::uint32_t>(made_.trees.nodes.size());
    known.revision = newest;
    return {};
  }

  Status copy_cells(const std::byte* from, Known& known) {
    if (made_.trees.cells == 0xFFFFFFFE)
      return Error{ErrorCode::too_large, "the backups that this one builds on hold too many pages; make a full one"};
    known.number = ++made_.trees.cells;
    return sink_({from, kPageBytes});
  }

  Status copy_blob(const Entry& entry, const Entry& base, Known& known) {
    std::vector<std::byte> bytes;
    std::uint32_t crc = entry.crc;
    std::size_t pages = 0;
    for (PageNo page = entry.value; page != 0; ++pages) {
      if (!reader_.inside(page) || pages == known_.size()) return damaged(page, "its chain leaves the file");
      const auto* blob = reinterpret_cast<const BlobPage*>(reader_.bytes(page));
      if (crc != 0 && crc != shardfile::page_checksum(reader_.bytes(page)))
        return damaged(page, "its checksum is wrong");
      const std::size_t count = std::min<std::size_t>(blob->bytes, sizeof blob->content);
      bytes.insert(bytes.end(), blob->content, blob->content + count);
      crc = blob->next_crc;
      page = blob->next;
    }
    const bool same = base.tag() == Tag::blob && base_->blobs[base.value] == bytes;
    made_.origin.blobs.push_back(same ? base.value : TreesOrigin::kNone);
    made_.trees.blobs.push_back(std::move(bytes));
    known.number = static_cast<std::uint32_t>(made_.trees.blobs.size());
    return {};
  }

  const shardfile::TreeReader reader_;
  const ShardImage& image_;
  const ShardTrees* base_;
  const CellSink& sink_;
  std::vector<Known> known_;  // by page of the source
  std::vector<bool> taken_;   // by number of the base's page of cells: one page of ours is it
  CopiedTrees made_;
};

}  // namespace

Result<CopiedTrees> copy_trees(std::span<const std::byte> file, const ShardImage& image, const ShardTrees* base,
                               const CellSink& cells) {
  return TreesCopy(file, image, base, cells).run();
}

}  // namespace terrazzo::maintenance
