#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "base/error.h"
#include "server/shard/messages.h"

namespace terrazzo::shard {

// One edit, undo or redo of a user.
struct UserStep {
  EditName name;
  std::uint64_t time_us = 0;
  std::optional<UndoOf> undo;  // nothing: an edit
};

// What somebody wants undone or redone.
struct UndoWish {
  bool redo = false;
  std::optional<EditName> edit;  // nothing: the newest
};

// Which step of a user's past an undo or redo is about. Nothing of it is kept anywhere: it follows from the log read
// backwards. The newest step about an edit says whether it counts or is taken back. Undone is the newest that counts,
// where an edit that was redone is as new as its redo; redone is what was taken back last, unless the user has edited
// since. Pure.
class UndoStack {
 public:
  explicit UndoStack(const UndoWish& wish) : wish_(wish) {}

  // Takes the user's steps, the newest first, until it says yes: this step is to be taken back (a redo takes back an
  // undo), or there is an error(). Steps of one name count once.
  bool take(const UserStep& step);
  // Why no step is it; also when all have been taken.
  const std::optional<Error>& error() const { return error_; }
  Error nothing() const;

 private:
  bool refuse(ErrorCode code, const char* why);

  const UndoWish wish_;
  std::set<EditName> seen_;
  std::optional<Error> error_;
};

// The edit a step is about.
constexpr const EditName& subject(const UserStep& step) {
  return step.undo ? step.undo->edit : step.name;
}

}  // namespace terrazzo::shard
