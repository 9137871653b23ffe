#include "server/app/undo_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "server/app/past.h"
#include "server/shard/log_record.h"

namespace terrazzo::app {
namespace {

struct Step {
  shard::UserStep step;
  std::vector<LoggedPart> parts;
  std::size_t parts_all = 0;  // as its records say; 0: one, or as many as there are: they were not counted then
  bool whole() const { return parts.size() >= parts_all; }
};
struct NewestFirst {
  using Key = std::pair<std::uint64_t, shard::EditName>;  // time, name
  bool operator()(const Key& a, const Key& b) const { return a > b; }
};

class Finder {
 public:
  Finder(const io::DataDirectory& data, const UndoQuery& query) : data_(data), query_(query), stack_(query.wish) {}

  Result<UndoFound> find() {
    Result<Past> past = Past::open(data_);
    if (!past) return past.error();
    while (true) {
      const std::uint64_t bound = past->bound();
      if (std::optional<Result<UndoFound>> found = decide(bound)) return *std::move(found);
      if (bound == 0) return foreign_ ? Result<UndoFound>(not_yours()) : Result<UndoFound>(stack_.nothing());
      const Status read = past->read_next([this](const storage::Record& record) {
        if (record.shard.world == query_.world) look_at(record);
      });
      if (!read) return read.error();
    }
  }

 private:
  void look_at(const storage::Record& record);
  std::optional<Result<UndoFound>> decide(std::uint64_t bound);
  Result<UndoFound> judged();
  static Error not_yours() { return {ErrorCode::forbidden, "this edit is somebody else's: everybody undoes his own"}; }

  const io::DataDirectory& data_;
  const UndoQuery& query_;
  shard::UndoStack stack_;
  std::map<NewestFirst::Key, Step, NewestFirst> steps_;  // of the user, not judged yet
  // What is to be taken back, while its other parts are looked for, or the undo itself.
  std::optional<Step> taken_;
  bool cannot_come_ = false;  // what is left unread does not have the undo itself
  bool foreign_ = false;      // somebody else's edit has the name that is wanted
};

void Finder::look_at(const storage::Record& record) {
  const auto head = shard::peek_edit(record.payload);
  if (!head || head->user.value == 0) return;
  const shard::EditName name{head->author, head->edit.id};
  if (head->user != query_.user) {
    foreign_ = foreign_ || (query_.wish.edit && name == *query_.wish.edit);
    return;
  }
  if (head->time_us >= query_.time_us && name != query_.own) return;
  Step& step = taken_ && taken_->step.name == name ? *taken_ : steps_[{head->time_us, name}];
  step.step = {name, head->time_us, head->undo};
  step.parts_all = head->parts;
  // A part that was rolled forward by a start that did not come to its end is there twice.
  const map::ShardPos shard{record.shard.x, record.shard.y};
  if (std::ranges::find(step.parts, shard, &LoggedPart::shard) != step.parts.end()) return;
  step.parts.push_back({shard, record.lsn, std::vector<std::byte>(record.payload.begin(), record.payload.end())});
}

// Of the steps that are newer than anything left unread.
std::optional<Result<UndoFound>> Finder::decide(std::uint64_t bound) {
  const auto is_judged = [this] { return taken_ || stack_.error(); };
  while (!cannot_come_ && !steps_.empty() && (steps_.begin()->first.first > bound || bound == 0)) {
    const Step& newest = steps_.begin()->second;
    const bool is_own = newest.step.name == query_.own && newest.step.undo;
    // A part may have come to its shard, and to that core's log, long after the others.
    if (is_own && !newest.whole() && bound != 0) return std::nullopt;
    Step step = std::move(steps_.extract(steps_.begin()).mapped());
    const shard::EditName name = step.step.name;
    if (is_own)
      return UndoFound{step.step.undo->edit, std::move(step.parts), true};
    if (!is_judged() && stack_.take(step.step) && !stack_.error()) taken_ = std::move(step);
    // What a session asked for before comes before in its log.
    cannot_come_ =
        is_judged() && (!query_.may_be_applied || (name.author == query_.own.author && name.edit < query_.own.edit));
  }
  if (is_judged() && (cannot_come_ || bound == 0)) {
    if (taken_ && !taken_->whole() && bound != 0) return std::nullopt;
    return judged();
  }
  if (foreign_ && !query_.may_be_applied) return Result<UndoFound>(not_yours());
  return std::nullopt;
}

// All of it or nothing: what was one edit over several shards is one step.
Result<UndoFound> Finder::judged() {
  if (stack_.error()) return *stack_.error();
  if (taken_->whole()) return UndoFound{shard::subject(taken_->step), std::move(taken_->parts), false};
  return Error{
      ErrorCode::not_found,
      fmt::format("edit {} of session {} is one over {} shards, and what the server keeps of the past has {} of "
                  "them: it is not taken back by half. The rest is older than --history-days and "
                  "--history-mib keep, or waits for a shard that cannot be written until the server restarts",
                  taken_->step.name.edit.value, taken_->step.name.author.value, taken_->parts_all,
                  taken_->parts.size())};
}

}  // namespace

Result<UndoFound> find_undo(const io::DataDirectory& data, const UndoQuery& query) {
  return Finder(data, query).find();
}

}  // namespace terrazzo::app
