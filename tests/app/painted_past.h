#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "map/edit_apply.h"
#include "server/app/history_keeper.h"
#include "server/app/mesh_kinds.h"
#include "server/io/data_directory.h"
#include "server/io/mmap_page_file.h"
#include "server/shard/edit_changes.h"
#include "server/shard/shard.h"
#include "tests/io/scratch_folder.h"
#include "tests/shard/recording_output.h"

namespace terrazzo::app {

// A shard that some users painted at random, with the file and the log of that in a data folder, as several cores and
// runs would leave them; and beside it every change of every cell, in plain memory.
class PaintedPast {
 public:
  static constexpr WorldId kWorld{7};
  static constexpr map::ShardPos kShard{-1, 2};
  static constexpr int kUsers = 3;
  static constexpr map::LayerId kLayers = 2;
  // Two and a half chunks by ten, large enough for edits that are pinned.
  static map::Rect place() {
    const map::Rect whole = map::cells_of(kShard);
    return map::Rect::of_size(whole.x0 + 1000, whole.y0 + 3000, 300, 330);
  }

  struct Change {
    Lsn lsn;
    int user;
    std::uint64_t time_us;
    map::Cell before, after;
  };
  using Past = std::vector<Change>;  // of one cell, the oldest first

  explicit PaintedPast(std::uint64_t seed) : random_(seed), pasts_(kLayers * place().area()) {
    data_ = *io::DataDirectory::open(folder_ / "data");
    EXPECT_TRUE(data_->make_shard_folder(kWorld));
    path_ = data_->shard_path(kWorld, kShard.x, kShard.y);
    auto world = std::make_shared<map::World>();
    world->id = kWorld;
    world->layers.resize(kLayers);
    world->layers[1].id = 1;
    world->tilesets.resize(1);
    world->tilesets[0].tile_count = 100;
    shard_ = std::make_unique<shard::Shard>(shard::ShardKey{kWorld, kShard}, std::move(world),
                                            shard::RunInfo{Incarnation{1}}, encoder_, encoded_, nullptr, [this] {
                                              file_ = *io::MmapPageFile::create(path_);
                                              return storage::ShardStore::create(*file_, {kWorld, kShard.x, kShard.y});
                                            });
    shard_->recovered();
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  map::Rect some_rect(std::int64_t most) {
    const map::Rect all = place();
    const auto at = [&](std::int64_t size) { return static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(size))); };
    return map::Rect::of_size(all.x0 + at(all.width()), all.y0 + at(all.height()), 1 + at(most), 1 + at(most))
        .intersect(all);
  }
  static UserId user(int number) { return UserId{static_cast<std::uint64_t>(number) * 10 + 1}; }
  std::uint64_t now_us() const { return time_us_; }
  Past& past(map::LayerId layer, std::int64_t x, std::int64_t y) {
    return pasts_[layer * place().area() + static_cast<std::size_t>((y - place().y0) * place().width() + x - place().x0)];
  }

  // Few values, so that edits often leave cells as they were, or bring back what they were before.
  void paint() {
    map::Op op;
    op.layer = static_cast<map::LayerId>(pick(kLayers));
    op.kind = static_cast<map::OpKind>(pick(3));
    op.cell.bits = static_cast<std::uint32_t>(pick(4));
    op.from.bits = static_cast<std::uint32_t>(pick(4));
    const std::uint64_t size = pick(10);
    op.rect = size == 0 ? map::Rect::of_size(place().x0 + static_cast<std::int64_t>(pick(30)), place().y0, 250, 280)
                        : some_rect(size < 5 ? 3 : 90);
    std::vector<map::Cell> cells(op.kind == map::OpKind::set ? op.rect.area() : 0);
    for (map::Cell& cell : cells) cell.bits = static_cast<std::uint32_t>(pick(4));
    op.cells = cells;
    apply(static_cast<int>(pick(kUsers)), op);
  }
  void apply(int user_number, const map::Op& op) {
    shard::EditRequest request;
    request.shard = {kWorld, kShard};
    request.origin.session = SessionId{static_cast<std::uint64_t>(user_number) + 1};
    request.origin.user = user(user_number);
    request.edit.id = EditId{++edits_};
    request.time_us = time_us_ += 10'000'000;
    request.edit.ops = {&op, 1};
    shard_->edit(request, out_);
    ASSERT_EQ(out_.outcomes.back().stage, shard::EditOutcome::Stage::applied);
    remember(user_number, op);
  }

  // Puts what was logged into segments: two cores take turns, so that their LSNs lie between each other, as if the shard
  // had gone to and fro; some parts were logged twice; some segments are sealed, others are not.
  void write_log() {
    std::map<std::uint32_t, std::uint32_t> numbers;
    std::map<std::uint32_t, std::vector<shard::LoggedRecord>> open;
    const auto close = [&](std::uint32_t core) {
      if (!open[core].empty()) write_segment({core, Incarnation{2}, numbers[core]++}, open[core]);
      open[core].clear();
    };
    for (const shard::LoggedRecord& record : out_.records) {
      const auto core = static_cast<std::uint32_t>(1 + pick(2));
      open[core].push_back(record);
      if (pick(9) == 0) open[0].push_back(record);
      if (pick(6) == 0) close(static_cast<std::uint32_t>(pick(3)));
    }
    for (std::uint32_t core = 0; core < 3; ++core) close(core);
  }
  PinsGather gather() {
    PinsGather gather;
    gather.world = kWorld;
    gather.states = {{kWorld, 0}};
    gather.found.push_back({kShard, path_, {shard_->take_snapshot(++snapshots_)}, {}, shard_->undo_points()});
    return gather;
  }
  const io::DataDirectory& data() const { return *data_; }

 private:
  void remember(int user_number, const map::Op& op) {
    std::size_t count = 0;
    for (std::int64_t y = op.rect.y0; y < op.rect.y1; ++y)
      for (std::int64_t x = op.rect.x0; x < op.rect.x1; ++x, ++count) {
        Past& known = past(op.layer, x, y);
        const map::Cell before = known.empty() ? map::Cell{} : known.back().after;
        map::Cell after = op.kind == map::OpKind::set ? op.cells[count] : op.cell;
        if (op.kind == map::OpKind::replace && before != op.from) after = before;
        if (before != after) known.push_back({out_.records.back().lsn, user_number, time_us_, before, after});
      }
  }
  void write_segment(const io::SegmentName& name, const std::vector<shard::LoggedRecord>& records) {
    storage::WalWriter writer(name.core, name.incarnation, name.number, 4 * storage::kPageBytes);
    for (const shard::LoggedRecord& record : records) writer.append(record.view());
    const auto group = writer.next_group();
    ASSERT_TRUE(group);
    if (name.core != 0 && pick(2) == 0) {
      const auto fd = data_->create_segment(name.core, name.incarnation, name.number, group->bytes.size() + 65536);
      ASSERT_TRUE(fd.ok());
      ASSERT_EQ(::pwrite(*fd, group->bytes.data(), group->bytes.size(), 0),
                static_cast<ssize_t>(group->bytes.size()));
      ::close(*fd);
      return;
    }
    const auto sealed = storage::seal_segment(group->bytes, name, chunks_of_record);
    ASSERT_TRUE(sealed.ok());
    ASSERT_TRUE(data_->write_history(name, sealed->file));
  }

  io::ScratchFolder folder_;
  std::mt19937_64 random_;
  std::unique_ptr<io::DataDirectory> data_;
  std::string path_;
  proto::Encoder encoder_;
  shard::EncodedChunks encoded_{1 << 20};
  std::unique_ptr<io::MmapPageFile> file_;
  shard::RecordingOutput out_;
  std::unique_ptr<shard::Shard> shard_;
  std::uint64_t edits_ = 0, snapshots_ = 0;
  std::uint64_t time_us_ = 1'000'000'000'000;
  std::vector<Past> pasts_;
};

}  // namespace terrazzo::app
