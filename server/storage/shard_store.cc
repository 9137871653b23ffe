#include "server/storage/shard_store.h"

#include <fmt/format.h>
#include <optional>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/crc32c.h"
#include "server/storage/checksum_walk.h"
#include "server/storage/node_tree.h"
#include "server/storage/page_chain.h"
#include "server/storage/page_look.h"
#include "server/storage/page_pool.h"
#include "server/storage/pin_set.h"
#include "server/storage/tree_check.h"

namespace terrazzo::storage {

using shardfile::Entry;
using shardfile::kRootMagic;
using shardfile::kRootSlots;
using shardfile::kShardFormatVersion;
using shardfile::Root;
using shardfile::TableKind;
using shardfile::TableRecord;

namespace {

// Of a checkpoint: first what is written as of its beginning, then what its trees tell, then the syncs.
enum class Phase : std::uint8_t { idle, aux, free_bits, checksums, table, pages, root };

// Beside the checksum of a page of cells: some 6 µs for two checksums of a page of a chain, its bytes, and the fault of
// its first write, where that one takes 1.
constexpr std::size_t kChainPageCost = 4;

// Kept free for the chains of the next root, beyond what those of the last one took: without them a full disk could
// not be checkpointed, and nothing would ever be free again.
constexpr std::size_t kChainSpare = 16;

Root* root_slot(PageFile& file, PageNo slot) {
  return reinterpret_cast<Root*>(file.base() + std::size_t{slot} * kPageBytes);
}

std::uint32_t crc_of(const Root& root) {
  return crc32c({reinterpret_cast<const std::byte*>(&root), offsetof(Root, crc)});
}

bool is_zero(PageFile& file, PageNo slot) {
  const std::byte* first = file.base() + std::size_t{slot} * kPageBytes;
  return std::all_of(first, first + kPageBytes, [](std::byte b) { return b == std::byte{0}; });
}

bool is_whole(const Root& root) {
  return root.magic == kRootMagic && root.crc == crc_of(root);
}

// The newest root that is whole; nullptr: none.
const Root* newest_root(PageFile& file) {
  const Root* newest = nullptr;
  for (PageNo slot = 0; slot < kRootSlots; ++slot) {
    const Root* root = root_slot(file, slot);
    if (!is_whole(*root)) continue;
    if (newest == nullptr || root->generation > newest->generation) newest = root;
  }
  return newest;
}

Error damaged(std::string why) {
  return {ErrorCode::internal, "the shard file is damaged: " + std::move(why)};
}

TableKind table_kind(PinKind kind) {
  switch (kind) {
    case PinKind::snapshot:
      return TableKind::snapshot;
    case PinKind::version:
      return TableKind::version;
    case PinKind::undo_point:
      return TableKind::undo_point;
  }
  TZ_ASSERT(false);
}

PinKind pin_kind(TableKind kind) {
  return kind == TableKind::version    ? PinKind::version
         : kind == TableKind::snapshot ? PinKind::snapshot
                                       : PinKind::undo_point;
}

}  // namespace

struct ShardStore::State {
  State(PageFile& own_file, const ShardIdentity& own_identity) : file(own_file), identity(own_identity) {
    pins.add_head(&main);
  }

  struct Branch {
    HeadId id;
    std::unique_ptr<NodeTree> tree;
  };

  PageFile& file;
  ShardIdentity identity;
  Residency residency;
  PagePool pool{file, residency};
  PinSet pins{file, pool};
  NodeTree main{file, pool, pins};
  std::vector<Branch> branches;
  NodeTree* editing = &main;
  std::uint64_t generation = 0;
  std::uint64_t durable_lsn = 0;
  std::uint64_t changes = 0;          // of branches; edits of them included
  std::uint64_t durable_changes = 0;  // all_changes() of the newest root begun

  Phase phase = Phase::idle;
  ChecksumWalk walk{file, residency};
  std::vector<TableRecord> records;  // of the root being written; their tops are walk.tops() from 1 on
  PageChain aux{file}, table{file}, free_bits{file};
  std::unique_ptr<AuxSource> aux_source;  // until its bytes are written
  Root next{};                            // the root being written
  bool failed = false;

  NodeTree* head(HeadId id) {
    if (id == kMainHead) return &main;
    const auto found = std::ranges::find(branches, id, &Branch::id);
    return found == branches.end() ? nullptr : found->tree.get();
  }
  std::uint64_t all_changes() const { return changes + pins.changes(); }
  std::size_t chain_reserve() const {
    return aux.pages().size() + table.pages().size() + free_bits.pages().size() + kChainSpare;
  }
  std::vector<TableRecord> table_records() const;
  Status adopt(const Root& root);
  void stays(PageNo page) {
    residency.touch_node(page);
    residency.brought(page);
  }
  Status adopt_table();
  void adopt_record(const TableRecord& record);
  std::size_t chain_pages(std::size_t aux_bytes) const;
  Root root_of_now() const;
  bool write_chain_page();
  void trees_are_proven();
  void finish_root();
};

ShardStore::ShardStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
ShardStore::~ShardStore() = default;

// ---- opening ----

Result<std::unique_ptr<ShardStore>> ShardStore::create(PageFile& file, const ShardIdentity& identity) {
  auto state = std::make_unique<State>(file, identity);
  // No root yet: until the first checkpoint, everything is in the log.
  if (Status grown = file.grow(std::max<PageNo>(file.page_count(), kRootSlots)); !grown) return grown.error();
  state->pool.adopt_new();
  for (PageNo slot = 0; slot < kRootSlots; ++slot) state->stays(slot);
  return std::unique_ptr<ShardStore>(new ShardStore(std::move(state)));
}

std::optional<PageNo> damaged_root(PageFile& file) {
  for (PageNo slot = 0; slot < kRootSlots && slot < file.page_count(); ++slot) {
    if (!is_zero(file, slot) && !is_whole(*root_slot(file, slot))) return slot;
  }
  return std::nullopt;
}

std::optional<PageNo> lost_root(PageFile& file) {
  if (file.page_count() < kRootSlots) return std::nullopt;
  const Root* const newest = newest_root(file);
  if (newest == nullptr) return std::nullopt;  // opening says so
  const PageNo slot = 1 - newest->generation % kRootSlots;
  const Root& other = *root_slot(file, slot);
  if (is_whole(other)) return std::nullopt;
  // The first root has no other. An older one is missed by nobody.
  if (is_zero(file, slot) && newest->generation == 1) return std::nullopt;
  if (other.magic == kRootMagic && other.generation + 1 == newest->generation) return std::nullopt;
  return slot;
}

void give_up_lost_root(PageFile& file) {
  const std::optional<PageNo> slot = lost_root(file);
  if (!slot) return;
  Root older = *newest_root(file);
  --older.generation;
  older.crc = crc_of(older);
  *root_slot(file, *slot) = older;
}

Result<std::unique_ptr<ShardStore>> ShardStore::open(PageFile& file, const ShardIdentity& identity) {
  if (file.page_count() < kRootSlots) return create(file, identity);  // a crash right after it was made
  const Root* root = newest_root(file);
  if (root == nullptr) {
    // Zeros: it was never checkpointed. What is left of its edits is in the log.
    if (is_zero(file, 0) && is_zero(file, 1)) return create(file, identity);
    return damaged("neither of its two roots is whole; restore it from a backup");
  }
  if (root->version != kShardFormatVersion) {
    return Error{
        ErrorCode::unsupported,
        fmt::format("the shard file has format version {}, this server knows {}: use the version that wrote it",
                    root->version, kShardFormatVersion)};
  }
  if (ShardIdentity{WorldId{root->world}, root->x, root->y} != identity) {
    return damaged(fmt::format("it is shard {},{} of world {}, not {},{} of {}: was it moved or renamed?", root->x,
                               root->y, root->world, identity.x, identity.y, identity.world.value));
  }
  if (root->pages > file.page_count())
    return damaged(
        fmt::format("it has {} pages of the {} it had at its last checkpoint; was it cut off? Restore it "
                    "from a backup",
                    file.page_count(), root->pages));
  auto state = std::make_unique<State>(file, identity);
  if (Status adopted = state->adopt(*root); !adopted) return adopted.error();
  return std::unique_ptr<ShardStore>(new ShardStore(std::move(state)));
}

Status ShardStore::State::adopt(const Root& root) {
  generation = root.generation;
  durable_lsn = root.lsn;
  main.adopt(root.layers, root.lsn);
  const std::pair<PageChain*, const shardfile::ChainRef*> chains[] = {
      {&aux, &root.aux}, {&table, &root.table}, {&free_bits, &root.free}};
  for (const auto& [chain, ref] : chains) {
    if (!chain->adopt(*ref))
      return damaged(
          fmt::format("the pages of its root, from page {} on, make no sense; restore it from a backup", ref->first));
  }
  if (Status adopted = adopt_table(); !adopted) return adopted;
  if (!pool.adopt(free_bits.read(), root.pages)) return damaged("its list of free pages is too short");
  durable_changes = all_changes();
  // Opening has read them.
  for (PageNo slot = 0; slot < kRootSlots; ++slot) stays(slot);
  for (const PageChain* chain : {&aux, &table, &free_bits})
    for (const PageNo page : chain->pages()) residency.brought(page);
  return {};
}

Status ShardStore::State::adopt_table() {
  const std::vector<std::byte> bytes = table.read();
  if (bytes.size() % sizeof(TableRecord) != 0) return damaged("its table of versions is cut off");
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(TableRecord)) {
    TableRecord record;
    std::memcpy(&record, bytes.data() + at, sizeof record);
    adopt_record(record);
  }
  return {};
}

void ShardStore::State::adopt_record(const TableRecord& record) {
  // Whether trees came to share pages across revisions (restore) is not written down: assume they did.
  pins.share_for_good(std::max(durable_lsn, record.lsn));
  if (record.kind == TableKind::branch) {
    branches.push_back({record.head, std::make_unique<NodeTree>(file, pool, pins)});
    branches.back().tree->adopt(record.top, record.lsn);
    pins.add_head(branches.back().tree.get());
    return;
  }
  pins.add({pin_kind(record.kind), record.id, record.head, Lsn{record.lsn}, record.top, record.dropping != 0});
  pins.pins().back().cursor = record.cursor;
}

// ---- edits ----

ChunkRead ShardStore::read(std::uint8_t layer, std::uint16_t chunk, HeadId head) const {
  const NodeTree* tree = state_->head(head);
  return tree == nullptr ? ChunkRead{} : tree->read(layer, chunk);
}

std::optional<std::vector<std::byte>> ShardStore::read_blob(std::uint8_t layer, std::uint16_t chunk,
                                                            HeadId head) const {
  const NodeTree* tree = state_->head(head);
  const PageNo first = tree == nullptr ? 0 : tree->blob(layer, chunk);
  if (first == 0) return std::nullopt;
  std::vector<std::byte> bytes;
  for_each_blob_page(state_->file, first, [&](PageNo page) {
    const auto* from =
        reinterpret_cast<const shardfile::BlobPage*>(state_->file.base() + std::size_t{page} * kPageBytes);
    bytes.insert(bytes.end(), from->content, from->content + std::min<std::size_t>(sizeof from->content, from->bytes));
  });
  return bytes;
}

Lsn ShardStore::lsn(HeadId head) const {
  const NodeTree* tree = state_->head(head);
  return tree == nullptr ? Lsn{} : Lsn{tree->lsn()};
}

Status ShardStore::begin_edit(Lsn lsn, std::uint32_t pages_worst, HeadId head) {
  State& s = *state_;
  if (s.failed)
    return Error{ErrorCode::read_only,
                 "the shard's file could not be synced, so nobody knows what is on disk; restart the server"};
  NodeTree* const tree = s.head(head);
  if (tree == nullptr) return Error{ErrorCode::not_found, fmt::format("the shard has no branch {}", head)};
  TZ_ASSERT(lsn.value == tree->lsn() + 1);
  if (Status reserved = s.pool.reserve(pages_worst + s.chain_reserve()); !reserved) return reserved;
  tree->begin_edit(lsn.value);
  if (head != kMainHead) ++s.changes;
  s.editing = tree;
  return {};
}

std::uint32_t* ShardStore::write(std::uint8_t layer, std::uint16_t chunk) {
  return state_->editing->write(layer, chunk);
}
void ShardStore::fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value) {
  TZ_ASSERT(!state_->editing->restored());
  state_->editing->fill_chunk(layer, chunk, value);
}
void ShardStore::fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value) {
  TZ_ASSERT(!state_->editing->restored());
  state_->editing->fill_region(layer, region, value);
}
void ShardStore::fill_layer(std::uint8_t layer, std::uint32_t value) {
  TZ_ASSERT(!state_->editing->restored());
  state_->editing->fill_layer(layer, value);
}
void ShardStore::write_blob(std::uint8_t layer, std::uint16_t chunk, std::span<const std::byte> bytes) {
  TZ_ASSERT(!state_->editing->restored());
  state_->editing->write_blob(layer, chunk, bytes);
}
std::uint64_t ShardStore::restore(const PinInfo& from, std::uint8_t layer, const ChunkRect& chunks) {
  return state_->editing->restore(from.top, layer, chunks);
}
// ---- pins and branches ----

const PinInfo& ShardStore::pin(PinKind kind, std::uint64_t id, HeadId head) {
  NodeTree* const tree = state_->head(head);
  TZ_ASSERT(tree != nullptr && state_->pins.find(kind, id, head) == nullptr);
  tree->pin_now();
  return state_->pins.add({kind, id, head, Lsn{tree->lsn()}, tree->top(), false});
}

Status ShardStore::unpin(PinKind kind, std::uint64_t id, HeadId head) {
  if (state_->pins.drop(kind, id, head)) return {};
  return Error{ErrorCode::not_found, fmt::format("the shard has no such pin ({})", id)};
}

const PinInfo* ShardStore::find_pin(PinKind kind, std::uint64_t id, HeadId head) const {
  return state_->pins.find(kind, id, head);
}

std::vector<PinInfo> ShardStore::pins() const {
  std::vector<PinInfo> all;
  for (const PinSet::Pin& pin : state_->pins.pins()) all.push_back(pin.info);
  return all;
}

ChunkRead ShardStore::read(const PinInfo& pin, std::uint8_t layer, std::uint16_t chunk) const {
  const shardfile::TreeReader reader({state_->file.base(), std::size_t{state_->file.page_count()} * kPageBytes},
                                     pin.top);
  const shardfile::ChunkView view = reader.read(layer, chunk);
  return {view.cells, view.fill, Lsn{view.revision}};
}

bool ShardStore::reclaim(std::size_t entries, Missing* missing) {
  return state_->pins.reclaim(entries, state_->residency, missing);
}

Status ShardStore::add_branch(HeadId branch, const PinInfo& origin) {
  State& s = *state_;
  if (s.head(branch) != nullptr)
    return Error{ErrorCode::already_exists, fmt::format("the shard has a branch {} already", branch)};
  s.branches.push_back({branch, std::make_unique<NodeTree>(s.file, s.pool, s.pins)});
  NodeTree* const tree = s.branches.back().tree.get();
  tree->adopt(origin.top, origin.lsn.value);
  s.pins.add_head(tree);
  s.pins.share_for_good(std::max(s.main.lsn(), origin.lsn.value));
  ++s.changes;
  return {};
}

Status ShardStore::drop_branch(HeadId branch) {
  State& s = *state_;
  const auto found = std::ranges::find(s.branches, branch, &State::Branch::id);
  if (found == s.branches.end()) return Error{ErrorCode::not_found, fmt::format("the shard has no branch {}", branch)};
  // Its last state goes the way of a dropped pin, which nobody looks for by its number any more.
  s.pins.add({PinKind::undo_point, ~std::uint64_t{branch}, branch, Lsn{found->tree->lsn()}, found->tree->top(), false});
  s.pins.drop_all(branch);
  if (s.editing == found->tree.get()) s.editing = &s.main;
  s.pins.remove_head(found->tree.get());
  s.branches.erase(found);
  ++s.changes;
  return {};
}

bool ShardStore::has_head(HeadId head) const {
  return state_->head(head) != nullptr;
}

std::vector<HeadId> ShardStore::branches() const {
  std::vector<HeadId> ids;
  for (const State::Branch& branch : state_->branches) ids.push_back(branch.id);
  return ids;
}

std::vector<BranchState> ShardStore::branch_states() const {
  std::vector<BranchState> states;
  for (const State::Branch& branch : state_->branches)
    states.push_back({branch.id, Lsn{branch.tree->lsn()}, branch.tree->top()});
  return states;
}

// ---- looking ahead ----

void ShardStore::look_read(const Access& access, Missing& missing, HeadId head) {
  State& s = *state_;
  const NodeTree* const tree = s.head(head);
  if (tree != nullptr) PageLook(s.file, s.residency, missing).tree(tree->top(), access, s.pins, nullptr);
}
void ShardStore::look_read(const PinInfo& pin, const Access& access, Missing& missing) {
  State& s = *state_;
  PageLook(s.file, s.residency, missing).tree(pin.top, access, s.pins, nullptr);
}
void ShardStore::look_write(const Access& access, Missing& missing, HeadId head) {
  State& s = *state_;
  const NodeTree* const tree = s.head(head);
  if (tree != nullptr) PageLook(s.file, s.residency, missing).tree(tree->top(), access, s.pins, tree);
}
void ShardStore::look_fresh(std::size_t fresh, Missing& missing) {
  state_->pool.look(fresh, missing);
}
void ShardStore::look_checkpoint(std::size_t aux_bytes, Missing& missing) {
  state_->pool.look(state_->chain_pages(aux_bytes), missing);
}
bool ShardStore::wants_ready() const {
  return state_->pool.wants_ready();
}

ReadyRequest ShardStore::ask_ready() {
  return state_->pool.ask_ready();
}

void ShardStore::made_ready(const ReadyRequest& request, bool grown) {
  state_->pool.made_ready(request, grown);
}

Residency& ShardStore::residency() {
  return state_->residency;
}

// ---- checkpoint ----

std::vector<TableRecord> ShardStore::State::table_records() const {
  std::vector<TableRecord> all;
  for (const Branch& branch : branches)
    all.push_back({TableKind::branch, branch.id, branch.id, branch.tree->lsn(), 0, 0, branch.tree->top()});
  for (const PinSet::Pin& pin : pins.pins()) {
    const bool dropping = pin.info.dropping || pin.info.kind == PinKind::snapshot;
    all.push_back({table_kind(pin.info.kind), pin.info.head, pin.info.id, pin.info.lsn.value, pin.cursor,
                   dropping ? 1u : 0u, pin.info.top});
  }
  return all;
}

Lsn ShardStore::durable_lsn() const {
  return Lsn{state_->durable_lsn};
}
bool ShardStore::dirty() const {
  return state_->durable_lsn != state_->main.lsn() || state_->durable_changes != state_->all_changes();
}
bool ShardStore::checkpoint_running() const {
  return state_->phase != Phase::idle;
}
std::vector<std::byte> ShardStore::aux() const {
  return state_->aux.read();
}

std::size_t ShardStore::State::chain_pages(std::size_t aux_bytes) const {
  // Growing the file may need a longer list of free pages; the spare covers that.
  const std::size_t bits = file.page_count() / 8 + 1, trees = branches.size() + pins.pins().size();
  return PageChain::pages_for(aux_bytes) + PageChain::pages_for(trees * sizeof(TableRecord)) +
         PageChain::pages_for(bits) + 1;
}

Result<CheckpointStep> ShardStore::begin_checkpoint(std::unique_ptr<AuxSource> aux) {
  State& s = *state_;
  if (s.failed) return Error{ErrorCode::read_only, "an earlier sync of the shard's file failed"};
  if (s.phase != Phase::idle) return Error{ErrorCode::conflict, "a checkpoint of this shard is running"};
  s.records = s.table_records();
  const std::size_t aux_bytes = aux ? aux->bytes() : 0;
  if (Status reserved = s.pool.reserve(s.chain_pages(aux_bytes)); !reserved) return reserved.error();
  s.durable_changes = s.all_changes();
  s.main.pin_now();
  for (const State::Branch& branch : s.branches) branch.tree->pin_now();
  s.aux.replace(aux_bytes, s.pool);
  s.table.replace(s.records.size() * sizeof(TableRecord), s.pool);
  s.free_bits.replace((s.file.page_count() + 7) / 8, s.pool);
  s.pool.root_begun();
  s.aux_source = std::move(aux);
  s.next = s.root_of_now();
  std::vector<Entry> tops{s.main.top()};
  for (const TableRecord& record : s.records) tops.push_back(record.top);
  // What a dropped pin has given back already is not there any more; nobody will read the rest of it either.
  for (std::size_t i = 0; i < s.records.size(); ++i)
    if (s.records[i].dropping != 0) tops[i + 1] = Entry{};
  s.walk.begin(std::move(tops));
  s.phase = Phase::aux;
  return CheckpointStep::work;
}

Root ShardStore::State::root_of_now() const {
  Root root{};
  root.magic = kRootMagic;
  root.version = kShardFormatVersion;
  root.pages = file.page_count();
  root.world = identity.world.value;
  root.x = identity.x;
  root.y = identity.y;
  root.generation = generation + 1;
  root.lsn = main.lsn();
  return root;
}

CheckpointStep ShardStore::checkpoint_work(std::size_t pages, Missing* missing) {
  State& s = *state_;
  TZ_ASSERT(s.phase != Phase::idle && s.phase < Phase::pages);
  while (s.phase != Phase::checksums) {
    const bool more = s.write_chain_page();
    if (!more) s.phase = static_cast<Phase>(static_cast<int>(s.phase) + 1);
    if (s.phase == Phase::pages) {
      s.finish_root();
      return CheckpointStep::sync_pages;
    }
    if (pages <= kChainPageCost) return CheckpointStep::work;
    pages -= kChainPageCost;
  }
  if (s.walk.step(pages, missing)) return CheckpointStep::work;
  s.trees_are_proven();
  s.phase = Phase::table;
  return CheckpointStep::work;
}

// Of the chain whose turn it is; false: it was the last, or there is none.
bool ShardStore::State::write_chain_page() {
  if (phase == Phase::aux) {
    const bool more = aux.write_page([&](std::size_t, std::span<std::byte> to) { aux_source->next(to); });
    if (!more) aux_source.reset();
    return more;
  }
  if (phase == Phase::free_bits)
    return free_bits.write_page(
        [&](std::size_t from, std::span<std::byte> to) { pool.copy_free_bits(static_cast<PageNo>(from * 8), to); });
  const std::span<const std::byte> bytes = std::as_bytes(std::span(records));
  return table.write_page([&](std::size_t from, std::span<std::byte> to) {
    std::ranges::copy(bytes.subspan(from, to.size()), to.begin());
  });
}

// The trees have their checksums: their owners learn them.
void ShardStore::State::trees_are_proven() {
  const std::vector<Entry>& tops = walk.tops();
  main.finished(tops[0]);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].dropping != 0) continue;
    records[i].top = tops[i + 1];
    if (records[i].kind == TableKind::branch) {
      if (NodeTree* tree = head(records[i].head); tree != nullptr && tree != &main) tree->finished(tops[i + 1]);
      continue;
    }
  }
  // Pins taken while the checkpoint ran are among them: the next one need not look at what this one has proven.
  for (PinSet::Pin& pin : pins.pins()) {
    const Entry& top = pin.info.top;
    if (top.tag() != shardfile::Tag::page || top.crc != 0) continue;
    const auto same =
        std::ranges::find_if(tops, [&](const Entry& t) { return t.tag() == top.tag() && t.value == top.value; });
    if (same != tops.end()) pin.info.top = *same;
  }
}

void ShardStore::State::finish_root() {
  next.layers = walk.tops()[0];
  next.aux = aux.ref();
  next.table = table.ref();
  next.free = free_bits.ref();
  next.crc = crc_of(next);
}

Result<CheckpointStep> ShardStore::checkpoint_synced(Status outcome) {
  State& s = *state_;
  TZ_ASSERT(s.phase == Phase::pages || s.phase == Phase::root);
  if (!outcome) {
    s.failed = true;
    s.phase = Phase::idle;
    return outcome.error();
  }
  s.pool.synced();
  if (s.phase == Phase::pages) {
    *root_slot(s.file, static_cast<PageNo>(s.next.generation % kRootSlots)) = s.next;
    s.phase = Phase::root;
    return CheckpointStep::sync_root;
  }
  s.generation = s.next.generation;
  s.durable_lsn = s.next.lsn;
  s.pool.root_durable();
  s.phase = Phase::idle;
  return CheckpointStep::done;
}

// ---- looking ----

ShardStore::Pages ShardStore::pages() const {
  const auto free = static_cast<PageNo>(state_->pool.free_count()),
             pending = static_cast<PageNo>(state_->pool.pending_count());
  const PageNo total = state_->file.page_count();
  return {total, free, total - free - pending, pending};
}

shardfile::Entry ShardStore::top() const {
  return state_->main.top();
}

std::uint64_t ShardStore::generation() const {
  return state_->generation;
}

Status ShardStore::verify(const std::function<void(PageNo done, PageNo total)>& progress, bool durable) const {
  const State& s = *state_;
  TreeCheck check(s.file);
  check.all_checksums = durable;
  if (progress) check.progress = [&](PageNo done) { progress(done, s.file.page_count()); };
  if (Status ok = check.tree(s.main.top(), s.main.lsn(), 0); !ok) return ok;
  for (const State::Branch& branch : s.branches)
    if (Status ok = check.tree(branch.tree->top(), branch.tree->lsn(), 0); !ok) return ok;
  for (const PinSet::Pin& pin : s.pins.pins())
    if (Status ok = check.tree(pin.info.top, pin.info.lsn.value, pin.cursor, pin.info.dropping); !ok) return ok;
  Status outcome;
  const auto mark = [&](PageNo page, const char* as) {
    if (outcome) outcome = check.page(page, as);
  };
  for (PageNo slot = 0; slot < kRootSlots; ++slot) mark(slot, "a root");
  for (const PageChain* chain : {&s.aux, &s.table, &s.free_bits})
    for (const PageNo page : chain->pages()) mark(page, "of a root's chain");
  s.pool.for_each_free([&](PageNo page) { mark(page, "free"); });
  s.pool.for_each_pending([&](PageNo page) { mark(page, "waiting for the next root"); });
  return outcome ? check.complete() : outcome;
}

}  // namespace terrazzo::storage
