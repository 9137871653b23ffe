#include <fmt/format.h>

#include <charconv>
#include <chrono>

#include "cli/commands.h"
#include "cli/server.h"

namespace terrazzo::cli {
namespace {

struct Named {
  SessionId author;
  EditId edit;
};

Result<Named> named(const std::string& text) {
  Named name;
  if (text.empty()) return name;
  const char* const end = text.data() + text.size();
  const auto author = std::from_chars(text.data(), end, name.author.value);
  const bool colon = author.ec == std::errc() && author.ptr != end && *author.ptr == ':';
  if (colon && std::from_chars(author.ptr + 1, end, name.edit.value).ptr == end && name.edit.value != 0) return name;
  return Error{ErrorCode::bad_message, "--edit takes AUTHOR:NUMBER, two numbers as undo and redo print them"};
}

Status take_back(const CommandLine& line, bool redo) {
  const Result<Named> wanted = named(line.edit);
  if (!wanted) return wanted.error();
  Result<std::unique_ptr<client::Client>> client = enter(line, line.world);
  if (!client) return client.error();
  std::optional<client::UndoDone> done;
  const auto told = [&](const client::Event& event) {
    if (const auto* undone = std::get_if<client::UndoDone>(&event)) done = *undone;
  };
  const Result<EditId> id =
      redo ? (*client)->redo(wanted->edit, wanted->author, told) : (*client)->undo(wanted->edit, wanted->author, told);
  if (!id) return id.error();
  const bool answered =
      (*client)->wait_until([&] { return done || (*client)->rejection(*id); }, std::chrono::seconds(30));
  if (const auto why = (*client)->rejection(*id)) return *why;
  if (!answered) return Error{ErrorCode::overloaded, "the server did not answer within 30 s"};
  fmt::print("edit {}:{} is {}: {} cells", done->author.value, done->edit.value, redo ? "done again" : "taken back",
             done->restored);
  if (done->skipped != 0) fmt::print(", {} left alone that were changed since", done->skipped);
  fmt::print("\n");
  return {};
}

}  // namespace

Status undo(const CommandLine& line) {
  return take_back(line, false);
}
Status redo(const CommandLine& line) {
  return take_back(line, true);
}

}  // namespace terrazzo::cli
