// Undo and redo in two shards against a plain model of cells: users who edit, copy, flood, undo and redo at random,
// checkpoints, restarts and edits over both shards of which a crash left one part out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "memory_page_file.h"
#include "recording_output.h"
#include "server/shard/coordinator.h"
#include "server/shard/derivation_desk.h"
#include "server/shard/derived_ops.h"
#include "server/shard/edit_undo.h"
#include "server/shard/log_record.h"
#include "server/shard/shard_router.h"
#include "server/shard/undo_points.h"
#include "server/shard/undo_stack.h"
#include "shard_fixture.h"

namespace terrazzo::shard {
namespace {

// Half of it in either shard.
constexpr std::int64_t kX0 = 8192 - 256, kSize = 512;
constexpr map::Rect kField{kX0, 0, kX0 + kSize, kSize};

class UndoModel {
 public:
  explicit UndoModel(std::uint32_t seed) : random_(seed), field_(kField.area()) {
    for (Half& half : halves_) {
      half.key = {kWorld, {half.x, 0}};
      open(half);
    }
  }

  void step() {
    const std::uint32_t kind = below(100);
    if (kind < 35) return edit();
    if (kind < 50) return copy_and_flood();
    if (kind < 75) return undo({false, std::nullopt});
    if (kind < 90) return undo({true, std::nullopt});
    if (kind < 94) return undo_some_edit();
    if (kind < 97) return checkpoint(halves_[below(2)]);
    restart();
  }
  // Undoes everything of everybody, then redoes it: the field is what it was.
  void there_and_back() {
    for (const std::uint64_t user : {1, 2, 3}) {
      const std::vector<std::uint32_t> before = field_;
      std::size_t undone = 0;
      while (find(user, {false, std::nullopt})) {
        undo_of(user, {false, std::nullopt});
        ++undone;
      }
      for (; undone > 0; --undone) {
        ASSERT_TRUE(find(user, {true, std::nullopt}));
        undo_of(user, {true, std::nullopt});
      }
      ASSERT_EQ(field_, before);
    }
    compare();
  }
  void compare() {
    for (std::int64_t y = 0; y < kSize; ++y)
      for (std::int64_t x = kX0; x < kX0 + kSize; ++x)
        ASSERT_EQ(cell(x, y), field_[index(x, y)]) << "cell " << x << "," << y;
  }
  void verify() {
    for (Half& half : halves_) {
      if (half.shard->store() == nullptr) continue;
      while (half.shard->reclaim(1 << 20)) {
      }
      const Status fine = half.shard->store()->verify();
      ASSERT_TRUE(fine.ok()) << fine.error().message;
    }
  }
  std::size_t undone() const { return undone_; }

 private:
  struct Half {
    std::int32_t x = 0;
    ShardKey key;
    MemoryPageFile file;
    std::unique_ptr<Shard> shard;
    Lsn checkpointed;
  };
  // What the model knows of an edit or undo: cells that it changed, and that way round.
  struct Change {
    std::size_t cell = 0;
    std::uint32_t from = 0, to = 0;
  };
  struct Known {
    UserStep step;
    std::uint64_t user = 0;
    bool huge = false;
    std::vector<Change> changes;
  };

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  static std::size_t index(std::int64_t x, std::int64_t y) { return static_cast<std::size_t>(y * kSize + (x - kX0)); }
  std::uint32_t cell(std::int64_t x, std::int64_t y) {
    Half& half = halves_[x >= 8192 ? 1 : 0];
    if (half.shard->store() == nullptr) return 0;
    const map::CellPos at{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
    const storage::ChunkRead read = half.shard->store()->read(0, map::index_in_shard(map::chunk_of(at)));
    return read.cells == nullptr ? read.fill : read.cells[map::index_in_chunk(at)];
  }

  void open(Half& half) {
    const storage::ShardIdentity identity{kWorld, half.x, 0};
    std::unique_ptr<storage::ShardStore> store;
    half.shard.reset();
    if (half.file.page_count() != 0) store = std::move(storage::ShardStore::open(half.file, identity)).value();
    half.shard =
        std::make_unique<Shard>(half.key, test_world(), RunInfo{Incarnation{1}}, encoder_, encoded_, std::move(store),
                                [&half, identity] { return storage::ShardStore::create(half.file, identity); });
  }
  void checkpoint(Half& half) {
    if (half.shard->store() == nullptr) return;
    half.checkpointed = half.shard->lsn();
    auto step = half.shard->begin_checkpoint();
    while (step.ok() && *step != storage::CheckpointStep::done)
      step =
          *step == storage::CheckpointStep::work ? half.shard->checkpoint_work(16) : half.shard->checkpoint_synced({});
    ASSERT_TRUE(step.ok());
  }
  // From the last checkpoint and the log, as a server does, with the parts that a crash left out.
  void restart(std::span<const std::unique_ptr<EditRequest>> decided = {}) {
    for (Half& half : halves_) {
      if (half.checkpointed.value == 0) checkpoint(half);  // a file without a root is none
      open(half);
      for (const LoggedRecord& record : out_.records) {
        if (record.kind != storage::RecordKind::edit || record.shard.x != half.x) continue;
        const Status replayed = half.shard->replay(record.view());
        ASSERT_TRUE(replayed.ok()) << replayed.error().message;
      }
    }
    for (const auto& part : decided) {
      Half& half = halves_[static_cast<std::size_t>(part->shard.position.x)];
      std::vector<std::byte> record;
      const Status rolled = half.shard->roll_forward(*part, {}, &record);
      ASSERT_TRUE(rolled.ok()) << rolled.error().message;
      if (record.empty()) continue;
      out_.records.push_back({storage::RecordKind::edit, {kWorld, half.x, 0}, half.shard->lsn(), record});
      checkpoint(half);
    }
    for (Half& half : halves_) half.shard->recovered();
    compare();
  }

  std::vector<map::Op> random_ops(bool huge) {
    std::vector<map::Op> ops(huge ? 1 : 1 + below(4));
    cells_.clear();
    for (map::Op& op : ops) {
      const std::int64_t most = huge ? 512 : below(8) == 0 ? 60 : 6, least = huge ? 440 : 1;
      const std::int64_t w = least + below(static_cast<std::uint32_t>(most - least + 1));
      const std::int64_t h = least + below(static_cast<std::uint32_t>(most - least + 1));
      op.rect = map::Rect::of_size(kX0 + below(static_cast<std::uint32_t>(kSize - w + 1)),
                                   below(static_cast<std::uint32_t>(kSize - h + 1)), w, h);
      // Strokes meet in a small place.
      if (!huge && below(3) != 0)
        op.rect = map::Rect::of_size(8192 - 20 + below(20), below(20), std::min<std::int64_t>(w, 20),
                                     std::min<std::int64_t>(h, 20));
      op.kind = huge ? (below(3) == 0 ? map::OpKind::replace : map::OpKind::fill) : static_cast<map::OpKind>(below(3));
      op.cell = map::Cell{below(4)};
      op.from = map::Cell{below(4)};
      if (op.kind != map::OpKind::set) continue;
      auto& cells = cells_.emplace_back(op.rect.area());
      for (map::Cell& each : cells) each = map::Cell{below(4)};
      op.cells = cells;
    }
    return ops;
  }
  // What copies and floods over both shards read.
  struct Reader final : DerivationOutput {
    explicit Reader(UndoModel& m) : model(m) {}
    void read(std::unique_ptr<CellsRequest> request) override {
      model.halves_[static_cast<std::size_t>(request->shard.position.x)].shard->read(*request);
      desk.cells(std::move(request), *this);
    }
    void derived(std::unique_ptr<CoordinatedRequest> request) override { parts = std::move(request->parts); }
    void outcome(EditOutcome) override { FAIL(); }
    UndoModel& model;
    DerivationDesk desk{0};
    std::vector<std::unique_ptr<EditRequest>> parts;
  };
  map::Rect some_rect(const map::Rect& in, std::int64_t most) {
    const std::int64_t w = 1 + below(static_cast<std::uint32_t>(most)), h = 1 + below(static_cast<std::uint32_t>(most));
    const auto from = [&](std::int64_t first, std::int64_t end, std::int64_t size) {
      return first + below(static_cast<std::uint32_t>(end - first - size + 1));
    };
    return map::Rect::of_size(from(in.x0, in.x1, w), from(in.y0, in.y1, h), w, h);
  }
  map::Op some_derived(const map::Rect& area) {
    const std::int64_t most = below(6) == 0 ? 100 : 30;
    const map::Rect rect = some_rect(area, most);
    const map::CellPos place{static_cast<std::int32_t>(rect.x0 + below(static_cast<std::uint32_t>(rect.width()))),
                             static_cast<std::int32_t>(rect.y0 + below(static_cast<std::uint32_t>(rect.height())))};
    if (below(2) == 0) return map::flood_op(0, place, map::Cell{below(4)}, rect);
    const map::Turn turn = map::Turn::of(static_cast<map::Flip>(below(4)), below(4));
    const auto [w, h] = turn.size_of(rect.width(), rect.height());
    const std::int64_t x = area.x0 + below(static_cast<std::uint32_t>(area.width() - w + 1)),
                       y = area.y0 + below(static_cast<std::uint32_t>(area.height() - h + 1));
    return map::copy_op(0, rect, 0, {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}, turn);
  }
  void do_plainly(const map::Op& op) {
    const std::vector<std::uint32_t> before = field_;
    if (op.kind == map::OpKind::flood) {
      const std::uint32_t from = before[index(op.source.x, op.source.y)];
      std::vector<std::pair<std::int64_t, std::int64_t>> waiting{{op.source.x, op.source.y}};
      while (from != op.cell.bits && !waiting.empty()) {
        const auto [x, y] = waiting.back();
        waiting.pop_back();
        if (x < op.rect.x0 || x >= op.rect.x1 || y < op.rect.y0 || y >= op.rect.y1 || field_[index(x, y)] != from)
          continue;
        field_[index(x, y)] = op.cell.bits;
        for (const auto& next : {std::pair(x - 1, y), std::pair(x + 1, y), std::pair(x, y - 1), std::pair(x, y + 1)})
          waiting.push_back(next);
      }
      return;
    }
    for (std::int64_t y = op.rect.y0; y < op.rect.y1; ++y)
      for (std::int64_t x = op.rect.x0; x < op.rect.x1; ++x) {
        if (op.kind == map::OpKind::fill) {
          field_[index(x, y)] = op.cell.bits;
          continue;
        }
        const auto [sx, sy] = op.turn.source_of(x - op.rect.x0, y - op.rect.y0, op.rect.width(), op.rect.height());
        field_[index(x, y)] = op.turn.turned(map::Cell{before[index(op.source.x + sx, op.source.y + sy)]}).bits;
      }
  }
  void copy_and_flood() {
    const bool anywhere = below(2) == 0;
    const bool left = below(2) == 0;
    const map::Rect area = anywhere ? kField
                           : left   ? map::Rect{kX0, 0, 8192, kSize}
                                    : map::Rect{8192, 0, kX0 + kSize, kSize};
    std::vector<map::Op> ops{some_derived(area)};
    // In one shard ops may come one upon the other.
    while (!anywhere && ops.size() < 4 && below(2) == 0)
      ops.push_back(below(3) == 0 ? map::Op{map::OpKind::fill, 0, some_rect(area, 30), map::Cell{below(4)}, {}, {}}
                                  : some_derived(area));
    Known& known = begin(1 + below(3));
    const std::vector<std::uint32_t> before = field_;
    for (const map::Op& op : ops) do_plainly(op);
    for (std::size_t i = 0; i < field_.size(); ++i)
      if (field_[i] != before[i]) known.changes.push_back({i, before[i], field_[i]});
    map::Edit edit;
    edit.id = known.step.name.edit;
    edit.ops = ops;
    BlockPool pool{sizeof(EditRequest), 1};
    if (auto one = edit_of_one_shard(kWorld, origin_of(known), edit, pool)) {
      std::vector<std::unique_ptr<EditRequest>> parts;
      parts.push_back(std::move(one));
      return submit(known, std::move(parts));
    }
    ASSERT_EQ(ops.size(), 1u);
    auto whole = std::make_unique<CoordinatedRequest>();
    whole->world = kWorld;
    whole->origin = origin_of(known);
    whole->id = edit.id;
    whole->derived = ops[0];
    Reader reader(*this);
    reader.desk.ask(std::move(whole), reader);
    ASSERT_EQ(reader.parts.size(), map::shards_of(ops[0].rect).area());
    submit(known, std::move(reader.parts));
  }
  void edit() {
    const bool huge = huge_ < 12 && below(25) == 0;
    const std::vector<map::Op> ops = random_ops(huge);
    Known& known = begin(1 + below(3));
    map::Edit edit;
    edit.id = known.step.name.edit;
    edit.ops = ops;
    const std::vector<std::uint32_t> before = field_;
    for (const map::Op& op : ops) {
      for (std::int64_t y = op.rect.y0; y < op.rect.y1; ++y) {
        for (std::int64_t x = op.rect.x0; x < op.rect.x1; ++x) {
          std::uint32_t& value = field_[index(x, y)];
          if (op.kind == map::OpKind::set) {
            value = op.cells[static_cast<std::size_t>((y - op.rect.y0) * op.rect.width() + x - op.rect.x0)].bits;
          } else if (op.kind == map::OpKind::fill || value == op.from.bits) {
            value = op.cell.bits;
          }
        }
      }
    }
    for (std::size_t i = 0; i < field_.size(); ++i)
      if (field_[i] != before[i]) known.changes.push_back({i, before[i], field_[i]});
    auto parts = split_edit(kWorld, origin_of(known), edit);
    ASSERT_TRUE(parts.ok());
    known.huge = std::ranges::any_of(*parts, [](const auto& part) { return needs_undo_point(part->edit.ops); });
    submit(known, *std::move(parts));
  }

  // Each user has two sessions, and takes either.
  Known& begin(std::uint64_t user) {
    Known& known = known_.emplace_back();
    known.user = user;
    const SessionId session{user * 10 + below(2)};
    known.step.name = {session, EditId{++last_id_[session.value]}};
    known.step.time_us = ++now_us_;
    return known;
  }
  static Origin origin_of(const Known& known) {
    Origin origin;
    origin.session = known.step.name.author;
    origin.user = UserId{known.user};
    return origin;
  }

  // The step that the stack says is to be taken back; the model's one and the log's records must agree.
  Known* find(std::uint64_t user, const UndoWish& wish) {
    UndoStack stack(wish);
    for (std::size_t i = known_.size(); i > 0; --i) {
      Known& known = known_[i - 1];
      if (known.user != user || !stack.take(known.step)) continue;
      return stack.error() ? nullptr : &known;
    }
    return nullptr;
  }
  void undo(const UndoWish& wish) {
    const std::uint64_t user = 1 + below(3);
    const Known* const found = find(user, wish);
    // All of them must stay among the newest that are kept, there and back included.
    if (found != nullptr && !(found->huge && huge_ >= 24)) undo_of(user, wish);
  }
  void undo_some_edit() {
    if (known_.empty()) return;
    const Known& some = known_[below(static_cast<std::uint32_t>(known_.size()))];
    if (!some.huge) undo_of(some.user, {below(3) == 0, subject(some.step)});
  }
  void undo_of(std::uint64_t user, const UndoWish& wish) {
    const Known* const found = find(user, wish);
    if (found == nullptr) return;
    const UserStep target = found->step;
    const std::vector<Change> taken_back = found->changes;
    Known& known = begin(user);
    known.step.undo = UndoOf{subject(target), wish.redo};
    std::uint64_t restored = 0, skipped = 0;
    for (const Change& change : taken_back) {
      if (field_[change.cell] != change.to) {
        ++skipped;
        continue;
      }
      ++restored;
      field_[change.cell] = change.from;
      known.changes.push_back({change.cell, change.to, change.from});
    }
    std::vector<std::unique_ptr<EditRequest>> parts;
    for (const LoggedRecord& record : out_.records) {
      if (record.kind != storage::RecordKind::edit) continue;
      const auto head = peek_edit(record.payload);
      ASSERT_TRUE(head.ok());
      if (EditName{head->author, head->edit.id} != target.name) continue;
      EXPECT_EQ(head->user.value, user);
      EXPECT_EQ(head->time_us, target.time_us);
      Arena arena;
      const auto logged = decode_edit(record.payload, arena);
      ASSERT_TRUE(logged.ok());
      auto& part = *parts.emplace_back(std::make_unique<EditRequest>());
      part.shard = {kWorld, {record.shard.x, record.shard.y}};
      part.origin = origin_of(known);
      part.edit.id = known.step.name.edit;
      if (logged->pre_image_kind == PreImageKind::pinned) {
        part.restore = restore_against(*logged, record.lsn);
        known.huge = true;
      } else {
        const auto swaps = swaps_against(*logged, part.arena);
        ASSERT_TRUE(swaps.ok()) << swaps.error().message;
        part.swaps = *swaps;
      }
    }
    ASSERT_FALSE(parts.empty());
    const bool exact = !known.huge;
    submit(known, std::move(parts));
    ++undone_;
    std::uint64_t told_restored = 0, told_skipped = 0;
    for (const EditOutcome& outcome : outcomes_) {
      told_restored += outcome.restored;
      told_skipped += outcome.skipped;
    }
    if (crashed_) return;
    EXPECT_EQ(told_skipped, skipped);
    if (exact) {
      EXPECT_EQ(told_restored, restored);
    } else {
      EXPECT_GE(told_restored, restored);
    }
  }

  void submit(Known& known, std::vector<std::unique_ptr<EditRequest>> parts) {
    huge_ += known.huge ? 1 : 0;
    for (const auto& part : parts) {
      part->time_us = known.step.time_us;
      part->undo = known.step.undo;
    }
    out_.outcomes.clear();
    crashed_ = false;
    if (parts.size() == 1) {
      halves_[parts[0]->shard.position.x].shard->edit(*parts[0], out_);
    } else {
      CoordinatedRequest whole;
      whole.world = kWorld;
      whole.origin = parts[0]->origin;
      whole.id = parts[0]->edit.id;
      whole.parts = std::move(parts);
      for (const auto& part : whole.parts) part->coordinated = ++coordinated_;
      std::vector<std::byte> payload;
      encode_coordinated(whole, payload);
      const auto again = decode_coordinated(payload);
      ASSERT_TRUE(again.ok()) << again.error().message;
      crashed_ = below(8) == 0;
      if (crashed_) whole.parts.erase(whole.parts.begin() + below(2));
      for (const auto& part : whole.parts)
        halves_[static_cast<std::size_t>(part->shard.position.x)].shard->edit(*part, out_);
      if (crashed_) {
        restart((*again)->parts);
      } else {
        // Nobody does it twice.
        for (const auto& part : (*again)->parts) {
          Half& half = halves_[static_cast<std::size_t>(part->shard.position.x)];
          const Lsn before = half.shard->lsn();
          ASSERT_TRUE(half.shard->roll_forward(*part).ok());
          ASSERT_EQ(half.shard->lsn(), before);
        }
      }
    }
    outcomes_ = out_.outcomes;
    for (const EditOutcome& outcome : outcomes_) ASSERT_FALSE(outcome.error) << outcome.error->message;
    for (int look = 0; look < 50; ++look) {
      const std::int64_t x = kX0 + below(kSize), y = below(kSize);
      ASSERT_EQ(cell(x, y), field_[index(x, y)]) << "cell " << x << "," << y;
    }
  }

  std::mt19937 random_;
  std::vector<std::uint32_t> field_;
  std::vector<Known> known_;
  proto::Encoder encoder_;
  EncodedChunks encoded_{1 << 20};
  RecordingOutput out_;
  std::vector<EditOutcome> outcomes_;
  std::array<Half, 2> halves_{Half{0, {}, {}, nullptr, {}}, Half{1, {}, {}, nullptr, {}}};
  std::vector<std::vector<map::Cell>> cells_;
  std::map<std::uint64_t, std::uint64_t> last_id_;
  std::uint64_t now_us_ = 0, coordinated_ = 0;
  std::size_t huge_ = 0, undone_ = 0;
  bool crashed_ = false;  // in the middle of the edit that was made last
};

class Undos : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Undos, AreWhatAPlainModelSays) {
  const char* const wanted = std::getenv("TERRAZZO_UNDO_SEED");
  const auto seed = wanted == nullptr ? GetParam() : static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10));
  std::printf("TERRAZZO_UNDO_SEED=%u\n", seed);
  UndoModel model(seed);
  for (int i = 0; i < 600; ++i) {
    model.step();
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << " step " << i;
  }
  model.compare();
  model.there_and_back();
  model.verify();
  ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  EXPECT_GT(model.undone(), 50u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Undos, testing::Range(1u, 9u));

UserStep step(std::uint64_t id, std::optional<std::uint64_t> undone = {}, bool redo = false) {
  UserStep made;
  made.name = {SessionId{1}, EditId{id}};
  made.time_us = id;
  if (undone) made.undo = UndoOf{{SessionId{1}, EditId{*undone}}, redo};
  return made;
}

// The id of the step that is taken back, or of the code why none is.
std::string wish(const UndoWish& what, std::vector<UserStep> past) {
  UndoStack stack(what);
  for (auto at = past.rbegin(); at != past.rend(); ++at) {
    if (!stack.take(*at)) continue;
    if (stack.error()) return std::string(error_code_name(stack.error()->code));
    return std::to_string(at->name.edit.value);
  }
  return std::string(error_code_name(stack.nothing().code));
}
constexpr UndoWish kUndo{false, std::nullopt}, kRedo{true, std::nullopt};
UndoWish named(bool redo, std::uint64_t id) {
  return {redo, EditName{SessionId{1}, EditId{id}}};
}

TEST(UndoStack, TakesTheNewestThatCountsAndWhatWasTakenBackLast) {
  EXPECT_EQ(wish(kUndo, {}), "not_found");
  EXPECT_EQ(wish(kUndo, {step(1), step(2)}), "2");
  EXPECT_EQ(wish(kUndo, {step(1), step(2), step(3, 2)}), "1");
  EXPECT_EQ(wish(kUndo, {step(1), step(2, 1)}), "not_found");
  EXPECT_EQ(wish(kRedo, {step(1), step(2), step(3, 2), step(4, 1)}), "4");
  EXPECT_EQ(wish(kRedo, {step(1), step(2), step(3, 2), step(4, 1), step(5, 1, true)}), "3");
  EXPECT_EQ(wish(kUndo, {step(1), step(2), step(3, 2), step(4, 1), step(5, 1, true)}), "5");
}

TEST(UndoStack, AnEditEndsWhatCanBeRedone) {
  EXPECT_EQ(wish(kRedo, {step(1), step(2, 1), step(3)}), "not_found");
  EXPECT_EQ(wish(named(true, 1), {step(1), step(2, 1), step(3)}), "conflict");
  EXPECT_EQ(wish(kUndo, {step(1), step(2, 1), step(3)}), "3");
}

TEST(UndoStack, FindsANamedEditWhereverItIs) {
  EXPECT_EQ(wish(named(false, 1), {step(1), step(2), step(3)}), "1");
  EXPECT_EQ(wish(named(false, 1), {step(1), step(2), step(3, 1)}), "conflict");
  EXPECT_EQ(wish(named(true, 1), {step(1), step(2), step(3, 1), step(4, 2)}), "3");
  EXPECT_EQ(wish(named(true, 2), {step(1), step(2), step(3, 1)}), "conflict");
  EXPECT_EQ(wish(named(false, 9), {step(1)}), "not_found");
}

}  // namespace
}  // namespace terrazzo::shard
