#include <algorithm>
#include <cstring>
#include <type_traits>

#include "server/maintenance/shard_trees.h"

namespace terrazzo::maintenance {
namespace {

using shardfile::Entry;
using shardfile::kNodeLevels;
using shardfile::Node;
using shardfile::Tag;

constexpr std::uint64_t kMagic = 0x31455254'5A525254ull;  // "TRRZTRE1"

// Followed by branches and pins, aux, levels of nodes, origins of nodes, nodes, and blobs.
struct Header {
  std::uint64_t magic;
  std::uint64_t world;
  std::int32_t x, y;
  std::uint64_t lsn;
  Entry top;
  std::uint32_t base_cells, cells;
  std::uint32_t heads, aux, nodes, blobs;
};
static_assert(sizeof(Header) == 72 && std::has_unique_object_representations_v<Header>);

// A pin, by its kind; or a branch, which has its number as `id`.
constexpr std::uint32_t kBranch = 3;
struct HeadRecord {
  std::uint32_t kind, head;
  std::uint64_t id, lsn;
  Entry top;
};
static_assert(sizeof(HeadRecord) == 40 && std::has_unique_object_representations_v<HeadRecord>);

struct BlobRecord {
  std::uint32_t origin, bytes;  // `bytes` follow here where there is no origin
};

template <class T>
void put(std::vector<std::byte>& bytes, std::span<const T> values) {
  const auto raw = std::as_bytes(values);
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

void exclusive_or(Node& node, const Node& with) {
  for (std::size_t i = 0; i < node.size(); ++i) {
    node[i].tag_and_revision ^= with[i].tag_and_revision;
    node[i].value ^= with[i].value;
    node[i].crc ^= with[i].crc;
  }
}

Error unsound() {
  return {ErrorCode::internal, "its trees cannot be believed; take another backup of the same time"};
}

class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, const ShardTrees* base) : left_(bytes), base_(base) {}

  Result<ShardTrees> run() {
    Header header;
    if (!take(std::span(&header, 1)) || header.magic != kMagic ||
        header.base_cells != (base_ == nullptr ? 0 : base_->cells) || header.cells < header.base_cells)
      return unsound();
    made_.roots.identity = {WorldId{header.world}, header.x, header.y};
    made_.roots.lsn = Lsn{header.lsn};
    made_.roots.top = header.top;
    made_.cells = header.cells;
    if (!heads(header.heads) || !resize(made_.roots.aux, header.aux) || !take(std::span(made_.roots.aux)) ||
        !nodes(header.nodes) || !blobs(header.blobs) || !left_.empty() || !sound())
      return unsound();
    return std::move(made_);
  }

 private:
  template <class T>
  bool take(std::span<T> values) {
    if (values.size_bytes() > left_.size()) return false;
    if (!values.empty()) std::memcpy(values.data(), left_.data(), values.size_bytes());
    left_ = left_.subspan(values.size_bytes());
    return true;
  }
  // No more than what is left can fill.
  template <class T>
  bool resize(std::vector<T>& values, std::size_t count) {
    if (count > left_.size() / sizeof(T)) return false;
    values.resize(count);
    return true;
  }

  bool heads(std::uint32_t count) {
    std::vector<HeadRecord> records;
    if (!resize(records, count) || !take(std::span(records))) return false;
    for (const HeadRecord& record : records) {
      if (record.kind == kBranch) {
        if (record.id != record.head || record.head == storage::kMainHead) return false;
        made_.roots.branches.push_back({record.head, Lsn{record.lsn}, record.top});
        continue;
      }
      const auto kind = static_cast<storage::PinKind>(record.kind);
      if (record.kind != static_cast<std::uint8_t>(kind) ||
          (kind != storage::PinKind::version && kind != storage::PinKind::undo_point))
        return false;
      made_.roots.pins.push_back({kind, record.id, record.head, Lsn{record.lsn}, record.top, false});
    }
    return true;
  }

  bool nodes(std::uint32_t count) {
    std::vector<std::uint32_t> origins;
    if (!resize(made_.levels, count) || !take(std::span(made_.levels)) || !resize(origins, count) ||
        !take(std::span(origins)) || !resize(made_.nodes, count) || !take(std::span(made_.nodes)))
      return false;
    for (std::size_t i = 0; i < origins.size(); ++i) {
      if (origins[i] == TreesOrigin::kNone) continue;
      if (base_ == nullptr || origins[i] >= base_->nodes.size()) return false;
      exclusive_or(made_.nodes[i], base_->nodes[origins[i]]);
    }
    return true;
  }

  bool blobs(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      BlobRecord record;
      if (!take(std::span(&record, 1))) return false;
      std::vector<std::byte>& blob = made_.blobs.emplace_back();
      if (record.origin == TreesOrigin::kNone) {
        if (record.bytes == 0 || !resize(blob, record.bytes) || !take(std::span(blob))) return false;
      } else {
        if (base_ == nullptr || record.origin >= base_->blobs.size()) return false;
        blob = base_->blobs[record.origin];
      }
    }
    return true;
  }

  // Whether an entry at a level may be followed; `before`: nodes that may be below.
  bool sound(const Entry& entry, int level, std::size_t before) const {
    switch (entry.tag()) {
      case Tag::empty:
      case Tag::uniform:
        return true;
      case Tag::page:
        return level == kNodeLevels ? entry.value < made_.cells
                                    : entry.value < before && made_.levels[entry.value] == level;
      case Tag::blob:
        return level == kNodeLevels && entry.value < made_.blobs.size();
    }
    return false;
  }
  bool sound() const {
    for (std::size_t i = 0; i < made_.nodes.size(); ++i) {
      if (made_.levels[i] >= kNodeLevels) return false;
      for (const Entry& entry : made_.nodes[i])
        if (!sound(entry, made_.levels[i] + 1, i)) return false;
    }
    const auto whole = [&](const auto& head) { return sound(head.top, 0, made_.nodes.size()); };
    return whole(made_.roots) && std::ranges::all_of(made_.roots.branches, whole) &&
           std::ranges::all_of(made_.roots.pins, whole);
  }

  std::span<const std::byte> left_;
  const ShardTrees* base_;
  ShardTrees made_;
};

}  // namespace

std::vector<std::byte> encode_trees(const CopiedTrees& copied, const ShardTrees* base) {
  const ShardTrees& trees = copied.trees;
  const ShardImage& roots = trees.roots;
  const auto size = [](const auto& items) { return static_cast<std::uint32_t>(items.size()); };
  const Header header{kMagic,
                      roots.identity.world.value,
                      roots.identity.x,
                      roots.identity.y,
                      roots.lsn.value,
                      roots.top,
                      base == nullptr ? 0 : base->cells,
                      trees.cells,
                      size(roots.branches) + size(roots.pins),
                      size(roots.aux),
                      size(trees.nodes),
                      size(trees.blobs)};
  std::vector<std::byte> bytes;
  put(bytes, std::span(&header, 1));
  for (const storage::BranchState& branch : roots.branches) {
    const HeadRecord record{kBranch, branch.head, branch.head, branch.lsn.value, branch.top};
    put(bytes, std::span(&record, 1));
  }
  for (const storage::PinInfo& pin : roots.pins) {
    const HeadRecord record{static_cast<std::uint32_t>(pin.kind), pin.head, pin.id, pin.lsn.value, pin.top};
    put(bytes, std::span(&record, 1));
  }
  put(bytes, std::span(roots.aux));
  put(bytes, std::span(trees.levels));
  put(bytes, std::span(copied.origin.nodes));
  for (std::size_t i = 0; i < trees.nodes.size(); ++i) {
    Node node = trees.nodes[i];
    if (const std::uint32_t origin = copied.origin.nodes[i]; origin != TreesOrigin::kNone)
      exclusive_or(node, base->nodes[origin]);
    put(bytes, std::span<const Entry>(node));
  }
  for (std::size_t i = 0; i < trees.blobs.size(); ++i) {
    const BlobRecord record{copied.origin.blobs[i], size(trees.blobs[i])};
    put(bytes, std::span(&record, 1));
    if (record.origin == TreesOrigin::kNone) put(bytes, std::span(trees.blobs[i]));
  }
  return bytes;
}

Result<ShardTrees> decode_trees(std::span<const std::byte> bytes, const ShardTrees* base) {
  return Decoder(bytes, base).run();
}

}  // namespace terrazzo::maintenance
