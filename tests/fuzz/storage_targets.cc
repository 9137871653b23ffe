#include <algorithm>
#include <cstring>

#include "base/arena.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "server/shard/coordinator.h"
#include "server/shard/log_record.h"
#include "server/storage/history.h"
#include "server/storage/shard_store.h"
#include "server/storage/wal.h"
#include "shardfile/tree_diff.h"
#include "shardfile/tree_reader.h"
#include "tests/fuzz/targets.h"
#include "tests/storage/crashing_file.h"

namespace terrazzo::fuzz {
namespace {

using shardfile::kPageBytes;
using storage::ShardStore;

constexpr storage::ShardIdentity kIdentity{WorldId{42}, -3, 7};
const storage::SegmentName kName{1, Incarnation{2}, 3};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// ---- logs ----

// What lies behind the checksums is read as it is, too: they are no secret.
void read_payload(std::span<const std::byte> payload) {
  Arena arena;
  if (const auto edit = shard::decode_edit(payload, arena); edit)
    for (const map::Op& op : edit->edit.ops) TZ_ASSERT(op.rect.x0 <= op.rect.x1 && op.rect.y0 <= op.rect.y1);
  static_cast<void>(shard::decode_coordinated(payload));
}

void run_segment(std::span<const std::byte> bytes) {
  std::uint64_t visited = 0;
  const auto visit = [&](const storage::Record& record) {
    ++visited;
    read_payload(record.payload);
  };
  const auto scan = storage::scan_segment(bytes, kName, visit, visit);
  if (scan) TZ_ASSERT(scan->records + scan->records_behind >= visited && scan->end_at <= bytes.size());
  static_cast<void>(storage::seal_segment(bytes, kName, [](const storage::Record&) { return storage::ChunkArea(); }));
  read_payload(bytes);
}

std::string edit_payload() {
  shard::EditRequest request;
  request.edit.id = EditId{9};
  const map::Op op{map::OpKind::fill, 1, map::Rect::of_size(3, 4, 5, 6), map::Cell{7}, {}, {}};
  request.edit.ops = {&op, 1};
  std::vector<std::byte> payload;
  shard::encode_edit(request, 3, {}, payload);
  return text_of(payload);
}

std::string segment() {
  storage::WalWriter writer(kName.core, kName.incarnation, kName.number, 1 << 16);
  std::string file;
  const std::string payload = edit_payload();
  for (std::uint64_t lsn = 1; lsn < 4; ++lsn) {
    writer.append({storage::RecordKind::edit, kIdentity, Lsn{lsn}, std::as_bytes(std::span(payload))});
    const auto group = writer.next_group();
    file.resize(std::max<std::size_t>(file.size(), group->offset + group->bytes.size()));
    std::memcpy(file.data() + group->offset, group->bytes.data(), group->bytes.size());
    writer.group_synced({});
  }
  return file;
}

std::vector<std::string> segment_seeds() {
  return {segment(), edit_payload()};
}

void run_history(std::span<const std::byte> bytes) {
  const auto reader = storage::HistoryReader::open(bytes);
  if (!reader) return;
  static_cast<void>(reader->visit({}, [](const storage::Record& record) { read_payload(record.payload); }));
}

std::vector<std::string> history_seeds() {
  const std::string log = segment();
  const auto sealed = storage::seal_segment(std::as_bytes(std::span(log)), kName, [](const storage::Record&) {
    return storage::ChunkArea{0, 0, 1, 1};
  });
  TZ_ASSERT(sealed.ok() && !sealed->file.empty());
  return {text_of(sealed->file)};
}

// ---- shard files ----

// The root with a checksum that fits, so that more than its checksum is looked at.
void seal_root(std::byte* page) {
  auto* root = reinterpret_cast<shardfile::Root*>(page);
  if (root->magic == shardfile::kRootMagic) root->crc = crc32c({page, offsetof(shardfile::Root, crc)});
}

void read_tree(storage::PageFile& file, const shardfile::Root& root) {
  const std::span<const std::byte> pages(file.base(), std::size_t{file.page_count()} * kPageBytes);
  const shardfile::TreeReader reader(pages, root.layers), nothing(pages, {});
  std::uint64_t sum = 0;
  for (const int layer : {0, 1, 255})
    for (const unsigned chunk : {0u, 1u, 17u, 4097u, 65535u}) {
      const auto view = reader.read(static_cast<std::uint8_t>(layer), static_cast<std::uint16_t>(chunk));
      if (!view.damaged && view.cells != nullptr) sum += view.cells[0] + view.cells[1023];
    }
  int visits = 0;
  static_cast<void>(shardfile::diff_trees(
      reader, nothing, [&](std::uint8_t, std::uint16_t) { sum += static_cast<unsigned>(++visits); }));
  TZ_ASSERT(visits <= 1 << 24 || sum != 0);
}

void run_shard_file(std::span<const std::byte> bytes) {
  const auto pages = static_cast<storage::PageNo>(std::min<std::size_t>(bytes.size() / kPageBytes, 256));
  storage::CrashingFile file;
  TZ_ASSERT(file.grow(std::max<storage::PageNo>(pages, 2)).ok());
  std::memcpy(file.base(), bytes.data(), std::size_t{pages} * kPageBytes);
  seal_root(file.base());
  seal_root(file.base() + kPageBytes);
  read_tree(file, *reinterpret_cast<const shardfile::Root*>(file.base() + kPageBytes));
  const auto store = ShardStore::open(file, kIdentity);
  if (!store) return;
  static_cast<void>((*store)->verify({}, true));
  static_cast<void>((*store)->aux());
}

std::vector<std::string> shard_file_seeds() {
  storage::CrashingFile file;
  const auto store = *ShardStore::create(file, kIdentity);
  const std::vector<std::byte> blob(9000, std::byte{3}), aux(5000, std::byte{4});
  TZ_ASSERT(store->begin_edit(Lsn{1}, 40).ok());
  store->write(0, 1)[5] = 7;
  store->write_blob(1, 17, blob);
  store->fill_region(255, 16, 9);
  store->pin(storage::PinKind::version, 1);
  TZ_ASSERT(store->begin_edit(Lsn{2}, 40).ok());
  store->write(0, 4097)[0] = 8;
  auto step = store->begin_checkpoint(std::make_unique<storage::AuxBytes>(aux));
  while (*step != storage::CheckpointStep::done)
    step = *step == storage::CheckpointStep::work ? storage::CheckpointStep(store->checkpoint_work(1000))
                                                  : store->checkpoint_synced({});
  TZ_ASSERT(store->verify({}, true).ok());
  return {text_of({file.base(), std::size_t{file.page_count()} * kPageBytes})};
}

}  // namespace

const Target kSegment{"segment", run_segment, segment_seeds};
const Target kHistory{"history", run_history, history_seeds};
const Target kShardFile{"shard_file", run_shard_file, shard_file_seeds};

}  // namespace terrazzo::fuzz
