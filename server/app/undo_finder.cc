#include "server/app/undo_finder.h"

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
  static Error not_yours() { return {ErrorCode::forbidden, "this edit is somebody else's: everybody undoes his own"}; }

  const io::DataDirectory& data_;
  const UndoQuery& query_;
  shard::UndoStack stack_;
  std::map<NewestFirst::Key, Step, NewestFirst> steps_;  // of the user, not judged yet
  std::optional<Result<UndoFound>> judged_;              // while the undo itself is looked for
  bool foreign_ = false;                                 // somebody else's edit has the name that is wanted
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
  Step& step = steps_[{head->time_us, name}];
  step.step = {name, head->time_us, head->undo};
  // A part that was rolled forward by a start that did not come to its end is there twice.
  const map::ShardPos shard{record.shard.x, record.shard.y};
  if (std::ranges::find(step.parts, shard, &LoggedPart::shard) != step.parts.end()) return;
  step.parts.push_back({shard, record.lsn, std::vector<std::byte>(record.payload.begin(), record.payload.end())});
}

// Of the steps that are newer than anything left unread.
std::optional<Result<UndoFound>> Finder::decide(std::uint64_t bound) {
  while (!steps_.empty() && (steps_.begin()->first.first > bound || bound == 0)) {
    Step step = std::move(steps_.extract(steps_.begin()).mapped());
    const shard::EditName& name = step.step.name;
    if (name == query_.own && step.step.undo) return UndoFound{step.step.undo->edit, std::move(step.parts), true};
    // What a session asked for before comes before in its log.
    const bool cannot_come =
        !query_.may_be_applied || (name.author == query_.own.author && name.edit < query_.own.edit);
    if (!judged_ && stack_.take(step.step)) {
      if (stack_.error()) {
        judged_ = Result<UndoFound>(*stack_.error());
      } else {
        judged_ = Result<UndoFound>(UndoFound{shard::subject(step.step), std::move(step.parts), false});
      }
    }
    if (judged_ && cannot_come) return judged_;
  }
  if (judged_ && bound == 0) return judged_;
  if (foreign_ && !query_.may_be_applied) return Result<UndoFound>(not_yours());
  return std::nullopt;
}

}  // namespace

Result<UndoFound> find_undo(const io::DataDirectory& data, const UndoQuery& query) {
  return Finder(data, query).find();
}

}  // namespace terrazzo::app
