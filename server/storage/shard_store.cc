#include "server/storage/shard_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/crc32c.h"
#include "server/storage/node_tree.h"
#include "server/storage/page_layout.h"
#include "server/storage/page_pool.h"

namespace terrazzo::storage {
namespace {

enum class Phase : std::uint8_t { idle, pages, root };

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

// The newest root that is whole; nullptr: none.
const Root* newest_root(PageFile& file) {
  const Root* newest = nullptr;
  for (PageNo slot = 0; slot < kRootSlots; ++slot) {
    const Root* root = root_slot(file, slot);
    if (root->magic != kRootMagic || root->crc != crc_of(*root)) continue;
    if (newest == nullptr || root->generation > newest->generation) newest = root;
  }
  return newest;
}

}  // namespace

struct ShardStore::State {
  State(PageFile& own_file, const ShardIdentity& own_identity) : file(own_file), identity(own_identity) {}

  PageFile& file;
  ShardIdentity identity;
  PagePool pool{file};
  NodeTree tree{file, pool};
  std::uint64_t generation = 0;
  std::uint64_t durable_lsn = 0;
  Phase phase = Phase::idle;
  Root next{};  // the root being written
  std::vector<PageNo> aux_pages;
  std::uint32_t aux_bytes = 0;
  bool failed = false;

  AuxPage& aux_page(PageNo page) const {
    return *reinterpret_cast<AuxPage*>(file.base() + std::size_t{page} * kPageBytes);
  }
  std::vector<std::byte> read_aux() const;
  Status write_aux(std::span<const std::byte> aux);
  Status adopt(const Root& root);
  Status find_aux(const Root& root, std::vector<bool>& used);
};

ShardStore::ShardStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
ShardStore::~ShardStore() = default;

Result<std::unique_ptr<ShardStore>> ShardStore::create(PageFile& file, const ShardIdentity& identity) {
  auto state = std::make_unique<State>(file, identity);
  // No root yet: until the first checkpoint, everything is in the log.
  if (Status grown = file.grow(std::max<PageNo>(file.page_count(), kRootSlots)); !grown) return grown.error();
  std::vector<bool> used(file.page_count(), false);
  used[0] = used[1] = true;
  state->pool.adopt(used);
  return std::unique_ptr<ShardStore>(new ShardStore(std::move(state)));
}

Result<std::unique_ptr<ShardStore>> ShardStore::open(PageFile& file, const ShardIdentity& identity) {
  const auto damaged = [](std::string why) {
    return Error{ErrorCode::internal, "the shard file is damaged: " + std::move(why)};
  };
  if (file.page_count() < kRootSlots) return create(file, identity);  // a crash right after it was made
  const Root* root = newest_root(file);
  if (root == nullptr) {
    // Zeros: it was never checkpointed. What is left of its edits is in the log.
    if (is_zero(file, 0) && is_zero(file, 1)) return create(file, identity);
    return damaged("neither of its two roots is whole; restore it from a backup");
  }
  if (root->version != kShardFormatVersion) {
    return Error{ErrorCode::unsupported, fmt::format("the shard file has format version {}, this server knows {}",
                                                     root->version, kShardFormatVersion)};
  }
  if (ShardIdentity{WorldId{root->world}, root->x, root->y} != identity) {
    return damaged(fmt::format("it is shard {},{} of world {}, not {},{} of {}: was it moved or renamed?", root->x,
                               root->y, root->world, identity.x, identity.y, identity.world.value));
  }
  if (root->pages > file.page_count())
    return damaged(fmt::format("it has {} pages of the {} it had at its last checkpoint; was it cut off?",
                               file.page_count(), root->pages));
  auto state = std::make_unique<State>(file, identity);
  if (Status adopted = state->adopt(*root); !adopted) return damaged(adopted.error().message);
  return std::unique_ptr<ShardStore>(new ShardStore(std::move(state)));
}

Status ShardStore::State::adopt(const Root& root) {
  generation = root.generation;
  durable_lsn = root.lsn;
  tree.adopt(root.layers, root.lsn);
  std::vector<bool> used(file.page_count(), false);
  used[0] = used[1] = true;
  if (Status walked = tree.walk(used, false); !walked) return walked;
  if (Status found = find_aux(root, used); !found) return found;
  pool.adopt(used);
  return {};
}

Status ShardStore::State::find_aux(const Root& root, std::vector<bool>& used) {
  const Error wrong{ErrorCode::internal,
                    fmt::format("the pages of its owner's state, from page {} on, make no sense", root.aux_page)};
  aux_bytes = root.aux_bytes;
  const std::size_t expected = (std::size_t{root.aux_bytes} + sizeof(AuxPage::bytes) - 1) / sizeof(AuxPage::bytes);
  PageNo page = root.aux_page;
  while (page != 0) {
    if (page >= used.size() || used[page] || aux_pages.size() == expected) return wrong;
    used[page] = true;
    aux_pages.push_back(page);
    page = aux_page(page).next;
  }
  if (aux_pages.size() != expected || crc32c(read_aux()) != root.aux_crc) return wrong;
  return {};
}

std::vector<std::byte> ShardStore::State::read_aux() const {
  std::vector<std::byte> aux;
  aux.reserve(aux_bytes);
  for (const PageNo page : aux_pages) {
    const AuxPage& from = aux_page(page);
    const std::size_t count = std::min(sizeof from.bytes, aux_bytes - aux.size());
    aux.insert(aux.end(), from.bytes, from.bytes + count);
  }
  return aux;
}

Status ShardStore::State::write_aux(std::span<const std::byte> aux) {
  const std::size_t count = (aux.size() + sizeof(AuxPage::bytes) - 1) / sizeof(AuxPage::bytes);
  if (Status reserved = pool.reserve(count); !reserved) return reserved;
  for (const PageNo page : aux_pages) pool.retire(page);
  aux_pages.clear();
  aux_bytes = static_cast<std::uint32_t>(aux.size());
  for (std::size_t i = 0; i < count; ++i) aux_pages.push_back(pool.take());
  for (std::size_t i = 0; i < count; ++i) {
    AuxPage& to = aux_page(aux_pages[i]);
    const std::span<const std::byte> part =
        aux.subspan(i * sizeof to.bytes, std::min(sizeof to.bytes, aux.size() - i * sizeof to.bytes));
    std::memset(&to, 0, sizeof to);
    to.next = i + 1 < count ? aux_pages[i + 1] : 0;
    std::ranges::copy(part, to.bytes);
  }
  return {};
}

// ---- edits ----

ChunkRead ShardStore::read(std::uint8_t layer, std::uint16_t chunk) const {
  return state_->tree.read(layer, chunk);
}
Lsn ShardStore::lsn() const {
  return Lsn{state_->tree.lsn()};
}

Status ShardStore::begin_edit(Lsn lsn, std::uint32_t pages_worst) {
  if (state_->failed)
    return Error{ErrorCode::read_only,
                 "the shard's file could not be synced, so nobody knows what is on disk; restart the server"};
  TZ_ASSERT(lsn == next(this->lsn()));
  if (Status reserved = state_->pool.reserve(pages_worst); !reserved) return reserved;
  state_->tree.begin_edit(lsn.value);
  return {};
}

std::uint32_t* ShardStore::write(std::uint8_t layer, std::uint16_t chunk) {
  return state_->tree.write(layer, chunk);
}
void ShardStore::fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value) {
  state_->tree.fill_chunk(layer, chunk, value);
}
void ShardStore::fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value) {
  state_->tree.fill_region(layer, region, value);
}
void ShardStore::fill_layer(std::uint8_t layer, std::uint32_t value) {
  state_->tree.fill_layer(layer, value);
}

// ---- checkpoint ----

Lsn ShardStore::durable_lsn() const {
  return Lsn{state_->durable_lsn};
}
bool ShardStore::dirty() const {
  return !state_->failed && state_->tree.lsn() != state_->durable_lsn;
}
bool ShardStore::checkpoint_running() const {
  return state_->phase != Phase::idle;
}
std::vector<std::byte> ShardStore::aux() const {
  return state_->read_aux();
}

Result<CheckpointStep> ShardStore::begin_checkpoint(std::span<const std::byte> aux) {
  State& s = *state_;
  if (s.failed) return Error{ErrorCode::read_only, "an earlier sync of the shard's file failed"};
  if (s.phase != Phase::idle) return Error{ErrorCode::conflict, "a checkpoint of this shard is running"};
  if (Status written = s.write_aux(aux); !written) return written.error();
  s.tree.pin_now();
  s.pool.root_begun();
  s.next = Root{kRootMagic,
                kShardFormatVersion,
                s.file.page_count(),
                s.identity.world.value,
                s.identity.x,
                s.identity.y,
                s.generation + 1,
                s.tree.lsn(),
                s.tree.top(),
                s.aux_pages.empty() ? 0 : s.aux_pages.front(),
                s.aux_bytes,
                crc32c(aux),
                0};
  s.next.crc = crc_of(s.next);
  s.phase = Phase::pages;
  return CheckpointStep::sync_pages;
}

Result<CheckpointStep> ShardStore::checkpoint_synced(Status outcome) {
  State& s = *state_;
  TZ_ASSERT(s.phase != Phase::idle);
  if (!outcome) {
    s.failed = true;
    s.phase = Phase::idle;
    return outcome.error();
  }
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

Status ShardStore::verify() const {
  const State& s = *state_;
  std::vector<bool> used(s.file.page_count(), false);
  used[0] = used[1] = true;
  if (Status walked = s.tree.walk(used, true); !walked) return walked;
  Status outcome;
  const auto mark = [&](PageNo page, const char* as) {
    if (page >= used.size() || used[page])
      outcome = Error{ErrorCode::internal, fmt::format("page {} is {} and something else, too", page, as)};
    else
      used[page] = true;
  };
  for (const PageNo page : s.aux_pages) mark(page, "the owner's state");
  for (const PageNo page : s.pool.free_pages()) mark(page, "free");
  s.pool.for_each_pending([&](PageNo page) { mark(page, "pending"); });
  if (!outcome) return outcome;
  for (PageNo page = 0; page < used.size(); ++page)
    if (!used[page]) return Error{ErrorCode::internal, fmt::format("page {} is neither reached nor free", page)};
  return {};
}

}  // namespace terrazzo::storage
