// What asking the past costs on a world with millions of edits: its log and history are made here as servers leave them,
// then each question is asked as a worker of a server asks it, without HTTP. What the rows are is in bench/README.md.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/app/edit_history.h"
#include "server/app/history_keeper.h"
#include "server/app/revert_plan.h"
#include "server/shard/log_record.h"

namespace terrazzo::bench {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr WorldId kWorld{7};
constexpr std::int64_t kSide = 10'000;  // cells
constexpr std::size_t kUsers = 50;
constexpr std::uint64_t kBeginUs = 1'700'000'000'000'000, kDayUs = 86'400'000'000;
constexpr std::uint64_t kDays = 10;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "terrazzo-history-bench: {}\n", why);
  std::exit(1);
}
void check(const Status& status) {
  if (!status) give_up(status.error().message);
}

UserId user(std::size_t number) {
  return UserId{number * 2 + 1};
}

// The log of two cores: strokes of users who walk about, each in his own place, four shards.
class Log {
 public:
  Log(io::DataDirectory& data, std::size_t segment_bytes) : data_(data), segment_bytes_(segment_bytes) {
    for (std::size_t i = 0; i < kUsers; ++i) walkers_.push_back({place(), place()});
  }
  void write(std::uint64_t edits) {
    for (std::uint64_t i = 0; i < edits; ++i) stroke(i, kBeginUs + kDays * kDayUs / edits * i);
    for (std::uint32_t core = 1; core <= 2; ++core) leave_open(core);
  }
  std::uint64_t sealed_bytes() const { return sealed_bytes_; }
  map::CellPos newest() const { return newest_; }
  map::CellPos oldest() const { return oldest_; }

 private:
  struct Held {
    std::vector<storage::Record> records;
    std::vector<std::unique_ptr<std::vector<std::byte>>> payloads;
    std::size_t bytes = 0;
    std::uint32_t number = 1;
  };
  std::int64_t place() { return static_cast<std::int64_t>(random_() % kSide); }

  void stroke(std::uint64_t number, std::uint64_t time_us) {
    const std::size_t who = random_() % kUsers;
    auto& [x, y] = walkers_[who];
    if (random_() % 1000 == 0) x = place(), y = place();
    x = std::clamp<std::int64_t>(x + static_cast<std::int64_t>(random_() % 3) - 1, 0, kSide - 1);
    y = std::clamp<std::int64_t>(y + static_cast<std::int64_t>(random_() % 3) - 1, 0, kSide - 1);
    newest_ = {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
    if (number == 0) oldest_ = newest_;
    const map::ShardPos shard = map::shard_of(newest_);
    const map::Cell cell{static_cast<std::uint32_t>(1 + random_() % 200)};
    const map::Op op{map::OpKind::set, 1, map::Rect::of_size(x, y, 1, 1), {}, {}, {&cell, 1}};
    shard::EditRequest request;
    request.shard = {kWorld, shard};
    request.origin.session = SessionId{who + 1};
    request.origin.user = user(who);
    request.edit.id = EditId{number + 1};
    request.edit.ops = {&op, 1};
    request.time_us = time_us;
    before_.clear();
    shard::encode_pre_image({}, request.edit.ops, scratch_, before_);
    auto payload = std::make_unique<std::vector<std::byte>>();
    shard::encode_edit(request, 0, {shard::PreImageKind::cells, before_, 0, 0}, *payload);
    const auto core = static_cast<std::uint32_t>(1 + (shard.x + shard.y) % 2);
    Held& held = held_[core];
    held.bytes += payload->size() + 56;
    held.records.push_back(
        {storage::RecordKind::edit, {kWorld, shard.x, shard.y}, Lsn{++lsns_[{shard.x, shard.y}]}, *payload});
    held.payloads.push_back(std::move(payload));
    if (held.bytes >= segment_bytes_) seal(core);
  }

  std::vector<std::byte> take(std::uint32_t core, const io::SegmentName& name) {
    Held& held = held_[core];
    storage::WalWriter writer(core, name.incarnation, name.number, 4 * storage::kPageBytes);
    for (const storage::Record& record : held.records) writer.append(record);
    const auto group = writer.next_group();
    if (!group) return {};
    std::vector<std::byte> bytes(group->bytes.begin(), group->bytes.end());
    held.records.clear();
    held.payloads.clear();
    held.bytes = 0;
    ++held.number;
    return bytes;
  }
  void seal(std::uint32_t core) {
    const io::SegmentName name{core, Incarnation{1}, held_[core].number};
    const auto sealed = storage::seal_segment(take(core, name), name, app::chunks_of_record);
    if (!sealed) give_up(sealed.error().message);
    sealed_bytes_ += sealed->file.size();
    check(data_.write_history(name, sealed->file));
  }
  // The segment that a server would be writing.
  void leave_open(std::uint32_t core) {
    const io::SegmentName name{core, Incarnation{1}, held_[core].number};
    const std::vector<std::byte> bytes = take(core, name);
    if (bytes.empty()) return;
    const auto fd = data_.create_segment(core, name.incarnation, name.number, std::max(segment_bytes_, bytes.size()));
    if (!fd) give_up(fd.error().message);
    if (::pwrite(*fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) give_up("a log is not written");
    ::close(*fd);
  }

  io::DataDirectory& data_;
  const std::size_t segment_bytes_;
  std::mt19937_64 random_{1};
  std::vector<std::pair<std::int64_t, std::int64_t>> walkers_;
  std::map<std::uint32_t, Held> held_;  // by core
  std::map<std::pair<std::int32_t, std::int32_t>, std::uint64_t> lsns_;
  std::vector<std::byte> before_;
  shard::PreImageScratch scratch_;
  std::uint64_t sealed_bytes_ = 0;
  map::CellPos newest_, oldest_;
};

// The median of a few rounds.
template <class Ask>
void row(const std::string& what, int rounds, Ask&& ask) {
  std::vector<double> took;
  std::string found;
  for (int round = 0; round < rounds; ++round) {
    const auto before = Clock::now();
    found = ask();
    took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  std::ranges::sort(took);
  fmt::print("  {:<52} {:>9.1f} ms   {}\n", what, took[took.size() / 2], found);
}

void ask_history(const io::DataDirectory& data, const Log& log, std::uint64_t edits, int rounds) {
  const std::uint64_t now = kBeginUs + kDays * kDayUs;
  const auto history = [&](const std::string& what, const http::HistoryAsk& ask, std::optional<UserId> who = {}) {
    row(what, rounds, [&] {
      const auto page = app::find_edits(data, kWorld, ask, who);
      if (!page) give_up(page.error().message);
      return fmt::format("{} edits", page->entries.size());
    });
  };
  const map::Rect place = map::Rect::of_size(log.newest().x - 50, log.newest().y - 50, 100, 100);
  history("the newest 50", {});
  history("of one user, the newest 50", {}, user(3));
  history("of nobody", {}, UserId{2});
  http::HistoryAsk ask;
  ask.area = place;
  history("in 100×100 cells, the newest 50", ask);
  ask.limit = 1000;
  history("in 100×100 cells, the newest 1000", ask);
  ask.area.reset();
  ask.since_us = now - kDayUs / 24;
  history("of the last hour, the newest 1000", ask);
  ask = {};
  ask.before = http::EditPlace{kBeginUs + kDays * kDayUs / 2, SessionId{1}, EditId{edits / 2}};
  history("the page of 50 in the middle of the past", ask);
  const auto blame = [&](const std::string& what, map::CellPos at) {
    http::HistoryAsk one;
    one.area = map::Rect::of_size(at.x, at.y, 1, 1);
    one.limit = 1;
    history(what, one);
  };
  blame("blame of the cell painted last", log.newest());
  blame("blame of the cell painted first", log.oldest());
  blame("blame of a cell that nobody painted", {-5, -5});
}

void ask_revert(const io::DataDirectory& data, int rounds) {
  app::PinsGather now;
  now.world = kWorld;
  now.states = {{kWorld, 0}};
  for (const map::ShardPos at : {map::ShardPos{0, 0}, map::ShardPos{1, 0}, map::ShardPos{0, 1}, map::ShardPos{1, 1}})
    now.found.push_back({at, {}, std::vector<shardfile::Entry>(1), {}, {}});
  const auto revert = [&](const std::string& what, http::RevertAsk ask) {
    ask.preview = true;
    row(what, rounds, [&] {
      const auto plan = app::plan_revert(data, now, ask, user(3));
      if (!plan) return plan.error().message.substr(0, 60);
      return fmt::format("{} edits, {} cells, {} skipped", plan->info.edits, plan->info.cells, plan->info.skipped);
    });
  };
  http::RevertAsk hour, day, area;
  hour.since_us = kBeginUs + kDays * kDayUs - kDayUs / 24;
  day.since_us = kBeginUs + (kDays - 1) * kDayUs;
  area.area = map::Rect::of_size(0, 0, 2000, 2000);
  revert("preview of a revert: one user's last hour", hour);
  revert("preview of a revert: one user's last day", day);
  revert("preview of a revert: one user in 2000×2000 cells", area);
}

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  using namespace terrazzo;
  using namespace terrazzo::bench;
  std::uint64_t edits = 10'000'000;
  int rounds = 3;
  CLI::App app{"terrazzo-history-bench: history, blame and previews of reverts on a world of many edits"};
  app.add_option("--edits", edits)->check(CLI::Range(1000, 100'000'000))->capture_default_str();
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 100))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::string folder = (fs::temp_directory_path() / "terrazzo-history-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) give_up("no folder can be made");
  {
    auto data = io::DataDirectory::open(folder + "/data");
    if (!data) give_up(data.error().message);
    Log log(**data, edits >= 1'000'000 ? 64 << 20 : 1 << 20);
    const auto before = Clock::now();
    log.write(edits);
    fmt::print("{} edits of {} users in {} days, {} MiB sealed, made in {:.0f} s\n", edits, kUsers, kDays,
               log.sealed_bytes() >> 20, std::chrono::duration<double>(Clock::now() - before).count());
    ask_history(**data, log, edits, rounds);
    ask_revert(**data, rounds);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return 0;
}
