// Branches of one shard: what they begin with, that nobody's edits reach another one, recovery from checkpoint and log,
// versions of a branch, pages given back; and all of it at random against a plain model.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "shard_fixture.h"
#include "tests/storage/crashing_file.h"

namespace terrazzo::shard {
namespace {

using storage::HeadId;
using storage::PinKind;

constexpr WorldId kFirst{100}, kSecond{200};

class BranchTest : public ShardTest {
 protected:
  Shard& branch(WorldId world, HeadId head, std::uint64_t origin, WorldId parent = kWorld) {
    return shard->add_branch({world, head, parent, origin, test_world(), RunInfo{Incarnation{1}, of_branches[world]}});
  }
  void edit_in(Shard& line, std::uint64_t id, const map::Op& op) {
    auto parts =
        split_edit(line.key().world, {SessionId{1}, 0, 0, 0}, {EditId{id}, map::AckMode::durable, {&op, 1}, {}});
    line.edit(*parts->front(), out);
    ASSERT_NE(out.outcomes.back().stage, Stage::rejected) << out.outcomes.back().error->message;
  }
  std::uint32_t cell_in(HeadId head, map::CellPos position) {
    const storage::ChunkRead read = shard->store()->read(0, map::index_in_shard(map::chunk_of(position)), head);
    return read.cells == nullptr ? read.fill : read.cells[map::index_in_chunk(position)];
  }
  // As recovery does it: opened, the branches that there are added, everything replayed in the order of their numbers.
  void recover(const std::vector<BranchInfo>& there_are) {
    shard = std::make_unique<Shard>(key, test_world(), RunInfo{Incarnation{2}, versions, deleted}, encoder,
                                    encoded.emplace(0), created ? *storage::ShardStore::open(file, identity) : nullptr,
                                    [this] {
                                      created = true;
                                      return storage::ShardStore::create(file, identity);
                                    });
    std::vector<HeadId> heads;
    for (const BranchInfo& info : there_are) heads.push_back(info.head);
    shard->keep_branches(heads);
    replay(kWorld);
    for (const BranchInfo& info : there_are) {
      shard->add_branch(info);
      replay(info.world);
    }
    shard->recovered();
  }
  void replay(WorldId world) {
    for (const LoggedRecord& record : out.records) {
      if (record.shard.world != world) continue;
      const Status replayed = shard->find(world)->replay(record.view());
      ASSERT_TRUE(replayed.ok()) << replayed.error().message;
    }
  }
  void reclaim() {
    while (shard->reclaim(1000)) {
    }
  }
  std::map<WorldId, std::vector<std::uint64_t>> of_branches;  // versions
};

TEST_F(BranchTest, BeginsAtItsVersionAndGoesItsOwnWay) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  edit(2, fill({0, 0, 10, 10}, 6));
  Shard& one = branch(kFirst, 1, 1);
  EXPECT_EQ(one.lsn(), Lsn{1});
  EXPECT_EQ(cell_in(1, {0, 0}), 5u);
  edit_in(one, 1, fill({0, 0, 1, 1}, 7));
  edit(3, fill({1, 0, 2, 1}, 8));
  EXPECT_EQ(cell_in(1, {0, 0}), 7u);
  EXPECT_EQ(cell_in(1, {1, 0}), 5u);
  EXPECT_EQ(cell(0, {0, 0}), 6u);
  EXPECT_EQ(cell(0, {1, 0}), 8u);
  EXPECT_EQ(out.records.back().shard.world, kWorld);
  EXPECT_EQ(shard->lsn(), Lsn{3});
  EXPECT_EQ(one.lsn(), Lsn{2});
  EXPECT_EQ(shard->edits_waiting(), 4u);
  shard->log_durable(out.records.size(), out);
  EXPECT_EQ(shard->edits_waiting(), 0u);
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(BranchTest, TheSameSessionsEditsAreToldApart) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  Shard& one = branch(kFirst, 1, 1);
  edit_in(one, 1, fill({0, 0, 1, 1}, 7));  // the id that the trunk has applied
  EXPECT_EQ(cell_in(1, {0, 0}), 7u);
  edit_in(one, 1, fill({0, 0, 1, 1}, 9));
  EXPECT_EQ(cell_in(1, {0, 0}), 7u) << "the branch has applied it";
}

TEST_F(BranchTest, WhatNobodyEditedIsEmptyInABranch) {
  shard->take_version(1);
  Shard& one = branch(kFirst, 1, 1);
  EXPECT_EQ(shard->store(), nullptr);
  edit(1, fill({0, 0, 40, 40}, 5));  // the shard is made after the version
  EXPECT_EQ(cell_in(1, {0, 0}), 0u);
  edit_in(one, 1, fill({3, 3, 4, 4}, 7));
  EXPECT_EQ(cell_in(1, {3, 3}), 7u);
  EXPECT_EQ(cell(0, {3, 3}), 5u);
}

TEST_F(BranchTest, ABranchMakesTheShardsFile) {
  shard->take_version(1);
  Shard& one = branch(kFirst, 1, 1);
  edit_in(one, 1, fill({3, 3, 4, 4}, 7));
  EXPECT_EQ(cell_in(1, {3, 3}), 7u);
  EXPECT_EQ(cell(0, {3, 3}), 0u);
  EXPECT_EQ(shard->lsn(), Lsn{0});
  versions = {1};
  created = false;  // nothing of it was on disk
  file = MemoryPageFile();
  recover({{kFirst, 1, kWorld, 1, test_world(), {}}});
  EXPECT_EQ(cell_in(1, {3, 3}), 7u);
  EXPECT_EQ(cell(0, {3, 3}), 0u);
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(BranchTest, RecoveryFindsEachLineInCheckpointAndLog) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  Shard& one = branch(kFirst, 1, 1);
  edit_in(one, 1, fill({0, 0, 1, 1}, 7));
  checkpoint();
  edit_in(one, 2, fill({1, 0, 2, 1}, 8));
  one.take_version(3);
  edit_in(one, 3, fill({2, 0, 3, 1}, 9));
  // Of the second the checkpoint knows nothing; it began in the first.
  Shard& two = branch(kSecond, 2, 3, kFirst);
  edit_in(two, 1, fill({3, 0, 4, 1}, 4));
  edit(2, fill({0, 0, 1, 1}, 6));
  versions = {1};
  recover(
      {{kFirst, 1, kWorld, 1, test_world(), RunInfo{Incarnation{2}, {3}}}, {kSecond, 2, kFirst, 3, test_world(), {}}});
  const auto row = [&](HeadId head) {
    return std::vector{cell_in(head, {0, 0}), cell_in(head, {1, 0}), cell_in(head, {2, 0}), cell_in(head, {3, 0})};
  };
  EXPECT_EQ(row(0), (std::vector{6u, 5u, 5u, 5u}));
  EXPECT_EQ(row(1), (std::vector{7u, 8u, 9u, 5u}));
  EXPECT_EQ(row(2), (std::vector{7u, 8u, 5u, 4u}));
  Shard& again = *shard->find(kFirst);
  EXPECT_EQ(again.lsn(), Lsn{4});
  edit_in(again, 2, fill({0, 0, 1, 1}, 1));
  EXPECT_EQ(cell_in(1, {0, 0}), 7u) << "applied edits are known after a restart";
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(BranchTest, WhatIsNotLookedAtKeepsItsOwnBytes) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  edit_in(branch(kFirst, 1, 1), 1, fill({0, 0, 1, 1}, 7));
  checkpoint();
  versions = {1};
  for (int restarts = 0; restarts < 2; ++restarts) {
    start(2);
    edit(static_cast<std::uint64_t>(2 + restarts), fill({9, 9, 10, 10}, 3));
    checkpoint();
  }
  Shard& one = branch(kFirst, 1, 1);
  one.recovered();
  edit_in(one, 1, fill({0, 0, 1, 1}, 9));
  EXPECT_EQ(cell_in(1, {0, 0}), 7u);
}

TEST_F(BranchTest, GoesBackToItsOwnVersions) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  Shard& one = branch(kFirst, 1, 1);
  one.take_version(1);  // numbers are each world's own
  edit_in(one, 1, fill({0, 0, 40, 40}, 7));
  EditRequest back;
  back.shard = one.key();
  back.origin.session = SessionId{1};
  back.edit.id = EditId{2};
  back.restore = Restore{PinKind::version, 1, {{0, map::Rect::of_size(0, 0, 8192, 8192)}}};
  one.edit(back, out);
  EXPECT_EQ(cell_in(1, {39, 39}), 5u);
  shard->drop_version(1);
  reclaim();
  EXPECT_EQ(cell_in(1, {39, 39}), 5u);
  EXPECT_NE(shard->store()->find_pin(PinKind::version, 1, 1), nullptr);
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(BranchTest, GivesAllItsPagesBack) {
  for (std::uint64_t id = 1; id <= 20; ++id)
    edit(id, fill(map::Rect::of_size(static_cast<std::int64_t>(id) * 300, 5, 3, 3), 5));
  shard->take_version(1);
  checkpoint();
  checkpoint();
  const storage::PageNo before = shard->store()->pages().live;
  Shard& one = branch(kFirst, 1, 1);
  for (std::uint64_t id = 1; id <= 20; ++id) {
    edit_in(one, id, fill(map::Rect::of_size(static_cast<std::int64_t>(id) * 300, 5, 3, 3), 7));
    if (id % 5 == 0) one.take_version(id);
  }
  checkpoint();
  EXPECT_GT(shard->store()->pages().live, before + 20);
  out.outcomes.clear();
  shard->drop_branch(1, out);
  EXPECT_EQ(out.count(Stage::rejected), 20u) << "whoever waits for the log is told";
  EXPECT_EQ(shard->find(kFirst), nullptr);
  EXPECT_TRUE(shard->reclaim(1));
  // In slices, also across restarts.
  checkpoint();
  versions = {1};
  start(2);
  shard->keep_branches({});
  reclaim();
  checkpoint();
  checkpoint();
  EXPECT_EQ(shard->store()->pages().live, before);
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(BranchTest, DroppedWhileTheFileWasClosed) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  edit_in(branch(kFirst, 1, 1), 1, fill({0, 0, 1, 1}, 7));
  checkpoint();
  versions = {1};
  start(2);
  shard->keep_branches({});
  EXPECT_TRUE(shard->store()->branches().empty());
  reclaim();
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(BranchTest, AFaultOfTheFileIsEverybodys) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  Shard& one = branch(kFirst, 1, 1);
  shard->read_only({ErrorCode::read_only, "why"});
  const map::Op op = fill({0, 0, 1, 1}, 7);
  one.edit(**split_edit(kFirst, {SessionId{1}, 0, 0, 0}, {EditId{1}, map::AckMode::durable, {&op, 1}, {}})->begin(),
           out);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::read_only);
}

// ---- at random ----

struct Line {
  std::map<std::pair<int, std::size_t>, std::uint32_t> cells;  // by layer and place
  std::map<std::uint64_t, std::map<std::pair<int, std::size_t>, std::uint32_t>> versions, undo_points;
};

// Where cells are looked at: in one chunk, in neighbouring ones, at the borders of regions and of the shard.
constexpr map::CellPos kPlaces[] = {{0, 0},   {31, 0},   {32, 0},      {40, 33},     {511, 511},
                                    {512, 5}, {600, 70}, {4000, 4000}, {8191, 8191}, {8160, 3}};
constexpr std::uint64_t kBig = 300;  // a square of more cells than a log record keeps

class BranchModel {
 public:
  explicit BranchModel(std::uint32_t seed) : random_(seed) {
    registry_.push_back({kWorld, 0, WorldId{}, 0, {}, {}, false});
    lines_[0] = {};
    open();
    shard_->recovered();
    trail_.push_back(lines_);
  }

  void step() {
    const unsigned kind = pick(1000);
    if (kind < 600) return edit();
    if (kind < 680) return take_version();
    if (kind < 720) return drop_version();
    if (kind < 780) return restore();
    if (kind < 810) return add_branch();
    if (kind < 825) return drop_branch();
    if (kind < 880) return static_cast<void>(shard_->reclaim(pick(2000)));
    if (kind < 900) return begin_checkpoint();
    if (kind < 970) return advance_checkpoint();
    if (kind < 985) return crash();
    check();
  }

  void finish() {
    check();
    if (testing::Test::HasFatalFailure()) return;
    // Children first.
    for (HeadId head = static_cast<HeadId>(registry_.size()) - 1; head > 0; --head)
      if (!registry_[head].dropped) drop(head);
    checkpoint();
    crash();
    while (shard_->reclaim(1000)) {
    }
    checkpoint();
    checkpoint();
    check();
    if (shard_->store() == nullptr) return;
    for (const storage::PinInfo& pin : shard_->store()->pins()) EXPECT_EQ(pin.head, 0u);
  }

 private:
  struct Registered {
    WorldId world;
    HeadId head;
    WorldId parent;
    std::uint64_t origin;
    std::vector<std::uint64_t> versions, deleted;
    bool dropped;
  };

  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  Registered& any() {
    std::vector<HeadId> live;
    for (const Registered& r : registry_)
      if (!r.dropped) live.push_back(r.head);
    return registry_[live[pick(static_cast<unsigned>(live.size()))]];
  }
  // Added when somebody asks, as the server does it.
  Shard& line(const Registered& r) {
    if (Shard* found = shard_->find(r.world)) return *found;
    for (const Registered& parent : registry_)
      if (parent.world == r.parent) line(parent);
    Shard& added = shard_->add_branch(
        {r.world, r.head, r.parent, r.origin, test_world(), RunInfo{Incarnation{1}, r.versions, r.deleted}});
    if (!recovering_) added.recovered();
    return added;
  }
  // Whether a branch begins there.
  bool is_origin(const Registered& of, std::uint64_t version) const {
    return std::ranges::any_of(registry_, [&](const Registered& r) {
      return r.head != 0 && !r.dropped && r.parent == of.world && r.origin == version;
    });
  }

  map::Rect rect() {
    const map::CellPos at = kPlaces[pick(std::size(kPlaces))];
    const std::int64_t side = pick(8) == 0 ? static_cast<std::int64_t>(kBig) : 1 + pick(40);
    return map::Rect::of_size(at.x - pick(3), at.y - pick(3), side, side)
        .intersect(map::Rect::of_size(0, 0, 8192, 8192));
  }
  template <class Visit>
  static void for_each_place(const map::Rect& in, int layer, Visit&& visit) {
    for (std::size_t i = 0; i < std::size(kPlaces); ++i)
      if (kPlaces[i].x >= in.x0 && kPlaces[i].x < in.x1 && kPlaces[i].y >= in.y0 && kPlaces[i].y < in.y1)
        visit(std::pair(layer, i));
  }
  // Of the edit that was just applied.
  void pin_before(const Registered& r, Line& model) {
    model.undo_points[line(r).lsn().value] = model.cells;
    if (model.undo_points.size() > Shard::kUndoPoints) model.undo_points.erase(model.undo_points.begin());
  }
  void sent() {
    trail_.push_back(lines_);
    ASSERT_EQ(trail_.size(), out_.records.size() + 1);
  }

  void edit() {
    const Registered& r = any();
    Line& model = lines_[r.head];
    const map::Rect area = rect();
    if (area.empty()) return;
    const auto layer = static_cast<map::LayerId>(pick(2));
    const map::Op op{map::OpKind::fill, layer, area, map::Cell{1 + pick(9)}, {}, {}};
    auto parts = split_edit(r.world, {SessionId{1}, 0, 0, 0}, {EditId{++edits_}, map::AckMode::durable, {&op, 1}, {}});
    line(r).edit(*parts->front(), out_);
    ASSERT_EQ(out_.outcomes.back().stage, Stage::applied) << out_.outcomes.back().error->message;
    if (area.area() > 65536) pin_before(r, model);
    for_each_place(area, layer, [&](auto at) { model.cells[at] = op.cell.bits; });
    sent();
  }
  void restore() {
    const Registered& r = any();
    Line& model = lines_[r.head];
    const bool version = pick(2) == 0;
    const auto& from = version ? model.versions : model.undo_points;
    if (from.empty()) return;
    const auto chosen = std::next(from.begin(), pick(static_cast<unsigned>(from.size())));
    const auto then = chosen->second;
    const map::Rect area = pick(2) == 0 ? map::Rect::of_size(0, 0, 8192, 8192) : rect();
    if (area.empty()) return;
    EditRequest request;
    request.shard = {r.world, {0, 0}};
    request.origin.session = SessionId{1};
    request.edit.id = EditId{++edits_};
    request.restore = Restore{version ? PinKind::version : PinKind::undo_point, chosen->first, {{0, area}, {1, area}}};
    line(r).edit(request, out_);
    ASSERT_EQ(out_.outcomes.back().stage, Stage::applied) << out_.outcomes.back().error->message;
    pin_before(r, model);
    for (const int layer : {0, 1})
      for_each_place(area, layer, [&](auto at) {
        const auto found = then.find(at);
        model.cells[at] = found == then.end() ? 0 : found->second;
      });
    sent();
  }

  void take_version() {
    Registered& r = any();
    if (r.versions.size() - r.deleted.size() >= 4) return;
    const std::uint64_t id = r.versions.empty() ? 1 : r.versions.back() + 1;
    r.versions.push_back(id);
    if (Shard* open = shard_->find(r.world)) open->take_version(id);
    lines_[r.head].versions[id] = lines_[r.head].cells;
    durable();
  }
  void drop_version() {
    Registered& r = any();
    for (const std::uint64_t id : r.versions) {
      if (std::ranges::find(r.deleted, id) != r.deleted.end() || is_origin(r, id)) continue;
      r.deleted.push_back(id);
      if (Shard* open = shard_->find(r.world)) open->drop_version(id);
      lines_[r.head].versions.erase(id);
      return durable();
    }
  }
  void add_branch() {
    const Registered& parent = any();
    const auto& versions = lines_[parent.head].versions;
    if (versions.empty() || registry_.size() > 12) return;
    const auto from = std::next(versions.begin(), pick(static_cast<unsigned>(versions.size())));
    const auto head = static_cast<HeadId>(registry_.size());
    lines_[head].cells = from->second;
    registry_.push_back({WorldId{1000 + head}, head, parent.world, from->first, {}, {}, false});
    durable();
  }
  void drop_branch() {
    const Registered& r = any();
    const bool has_children = std::ranges::any_of(registry_, [&](const Registered& other) {
      return !other.dropped && other.head != 0 && other.parent == r.world;
    });
    if (r.head == 0 || has_children) return;
    drop(r.head);
  }
  void drop(HeadId head) {
    registry_[head].dropped = true;
    shard_->drop_branch(head, out_);
    lines_.erase(head);
    durable();
  }
  // What a version or a branch rests on is on disk before anybody is told of it.
  void durable() {
    durable_records_ = out_.records.size();
    trail_.back() = lines_;
  }

  void begin_checkpoint() {
    if (shard_->store() == nullptr || shard_->store()->checkpoint_running()) return;
    const auto begun = shard_->begin_checkpoint();
    ASSERT_TRUE(begun.ok()) << begun.error().message;
    next_ = *begun;
    durable_records_ = out_.records.size();
  }
  void advance_checkpoint() {
    if (shard_->store() == nullptr || !shard_->store()->checkpoint_running()) return;
    if (next_ == storage::CheckpointStep::work) {
      next_ = shard_->checkpoint_work(1 + pick(6));
      return;
    }
    file_.sync();
    const auto step = shard_->checkpoint_synced({});
    ASSERT_TRUE(step.ok()) << step.error().message;
    next_ = *step;
  }
  void checkpoint() {
    begin_checkpoint();
    while (shard_->store() != nullptr && shard_->store()->checkpoint_running()) advance_checkpoint();
  }

  void open() {
    shard_.reset();
    encoded_.emplace(0);
    std::unique_ptr<storage::ShardStore> store;
    if (created_) store = std::move(storage::ShardStore::open(file_, kIdentity)).value();
    const Registered& main = registry_[0];
    shard_ = std::make_unique<Shard>(ShardKey{kWorld, {0, 0}}, test_world(),
                                     RunInfo{Incarnation{1}, main.versions, main.deleted}, encoder_, *encoded_,
                                     std::move(store), [this] {
                                       created_ = true;
                                       return storage::ShardStore::create(file_, kIdentity);
                                     });
    std::vector<HeadId> live;
    for (const Registered& r : registry_)
      if (!r.dropped && r.head != 0) live.push_back(r.head);
    shard_->keep_branches(live);
  }
  void crash() {
    const std::size_t kept = durable_records_ + pick(static_cast<unsigned>(out_.records.size() - durable_records_ + 1));
    out_.records.resize(kept);
    trail_.resize(kept + 1);
    lines_ = trail_.back();
    if (created_) file_.crash(random_);
    recovering_ = true;
    open();
    for (const Registered& r : registry_) {
      if (r.dropped) continue;
      for (const LoggedRecord& record : out_.records) {
        if (record.shard.world != r.world) continue;
        const Status replayed = line(r).replay(record.view());
        ASSERT_TRUE(replayed.ok()) << replayed.error().message;
      }
    }
    shard_->recovered();
    recovering_ = false;
    if (shard_->store() != nullptr) checkpoint();
    check();
  }

  void check() {
    for (const auto& [head, model] : lines_) {
      const Registered& r = registry_[head];
      if (pick(3) == 0) line(r);
      const Shard* const open = shard_->find(r.world);
      if (open == nullptr || shard_->store() == nullptr) continue;
      const storage::ShardStore& store = *shard_->store();
      const auto expect = [&](const auto& cells, auto&& read, const std::string& what) {
        for (const int layer : {0, 1})
          for (std::size_t i = 0; i < std::size(kPlaces); ++i) {
            const storage::ChunkRead found =
                read(static_cast<std::uint8_t>(layer), map::index_in_shard(map::chunk_of(kPlaces[i])));
            const std::uint32_t is = found.cells == nullptr ? found.fill : found.cells[map::index_in_chunk(kPlaces[i])];
            const auto wanted = cells.find({layer, i});
            ASSERT_EQ(is, wanted == cells.end() ? 0 : wanted->second) << what << " layer " << layer << " place " << i;
          }
      };
      expect(
          model.cells, [&](auto layer, auto chunk) { return store.read(layer, chunk, head); },
          "head " + std::to_string(head));
      for (const auto& [id, cells] : model.versions) {
        const storage::PinInfo* const pin = store.find_pin(PinKind::version, id, head);
        expect(
            cells,
            [&](auto layer, auto chunk) {
              return pin == nullptr ? storage::ChunkRead{} : store.read(*pin, layer, chunk);
            },
            "version " + std::to_string(id) + " of head " + std::to_string(head));
      }
      if (testing::Test::HasFatalFailure()) return;
    }
    if (shard_->store() == nullptr) return;
    const Status verified = shard_->store()->verify();
    ASSERT_TRUE(verified.ok()) << verified.error().message;
  }

  static constexpr storage::ShardIdentity kIdentity{kWorld, 0, 0};
  std::mt19937 random_;
  storage::CrashingFile file_;
  bool created_ = false, recovering_ = false;
  proto::Encoder encoder_;
  std::optional<EncodedChunks> encoded_;
  RecordingOutput out_;
  std::unique_ptr<Shard> shard_;
  storage::CheckpointStep next_ = storage::CheckpointStep::done;
  std::vector<Registered> registry_;  // by head; what is on disk beside the shard
  std::map<HeadId, Line> lines_;
  std::vector<std::map<HeadId, Line>> trail_;  // lines_ after each log record
  std::size_t durable_records_ = 0;
  std::uint64_t edits_ = 0;
};

class BranchModelSeeds : public testing::TestWithParam<std::uint32_t> {};

TEST_P(BranchModelSeeds, EveryLineIsWhatTheModelIs) {
  const char* wanted = std::getenv("TERRAZZO_BRANCH_SEED");
  const auto seed = wanted == nullptr ? GetParam() : static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10));
  RecordProperty("seed", static_cast<int>(seed));
  BranchModel model(seed);
  for (int i = 0; i < 700; ++i) {
    model.step();
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << " step " << i;
  }
  model.finish();
  ASSERT_FALSE(HasFailure()) << "seed " << seed;
}

INSTANTIATE_TEST_SUITE_P(Seeds, BranchModelSeeds, testing::Range(1u, 13u));

}  // namespace
}  // namespace terrazzo::shard
