#include "server/shard/undo_stack.h"

namespace terrazzo::shard {

bool UndoStack::refuse(ErrorCode code, const char* why) {
  error_ = Error{code, why};
  return true;
}

bool UndoStack::take(const UserStep& step) {
  const bool is_edit = !step.undo, takes_back = step.undo && !step.undo->redo;
  const EditName& edit = subject(step);
  if (wish_.redo && is_edit && !wish_.edit)
    return refuse(ErrorCode::not_found, "nothing to redo: nothing was undone since your last edit");
  if (wish_.edit && edit != *wish_.edit) {
    if (!wish_.redo || !is_edit) return false;
    return refuse(
        ErrorCode::conflict,
        "this edit cannot be redone: it was not undone since your last edit, which ended what could be redone");
  }
  if (!seen_.insert(edit).second) return false;
  if (takes_back == wish_.redo) return true;
  if (!wish_.edit) return false;
  return refuse(ErrorCode::conflict, wish_.redo ? "this edit is not undone: there is nothing to redo"
                                                : "this edit is undone already: redo brings it back");
}

Error UndoStack::nothing() const {
  if (wish_.edit)
    return {ErrorCode::not_found,
            "no edit with this number and author is in what the server keeps of the past: it never was, or it is older "
            "than --history-days and --history-mib keep"};
  return {ErrorCode::not_found, wish_.redo ? "nothing to redo: you have undone nothing here"
                                           : "nothing to undo: what the server keeps of the past has no edit of yours "
                                             "here that is not undone"};
}

}  // namespace terrazzo::shard
