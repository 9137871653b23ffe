#include "tests/sim/scribes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "an undo does what a plain model says";

}  // namespace

void Scribes::come(int authors) {
  for (int i = 0; i < authors; ++i) {
    Author author;
    author.self = cast_.come(kDiary);
    author.other = cast_.come(kDiary);
    author.slate = slates_++;
    author.rate = static_cast<double>(random_.log_between(2, 30));
    authors_.push_back(std::move(author));
  }
}

bool Scribes::plays(std::uint32_t client) const {
  return std::ranges::any_of(authors_, [&](const Author& a) { return a.self == client || a.other == client; });
}

void Scribes::begin() {
  ++turn_;
  for (std::size_t i = 0; i < authors_.size(); ++i) later(i);
}

void Scribes::later(std::size_t author) {
  const auto delay = static_cast<std::uint64_t>(random_.exponential(authors_[author].rate) * double{kSecond});
  cast_.machine.schedule.after(delay, [this, author, turn = turn_] {
    if (turn != turn_ || !cast_.active()) return;
    act(authors_[author]);
    later(author);
  });
}

// ---- what they do ----

std::vector<int> Scribes::some_cells() {
  std::vector<int> cells;
  const double density = random_.chance(0.5) ? 0.2 : 0.8;
  for (int cell = 0; cell < SlateModel::kMural; ++cell)
    if (random_.chance(density)) cells.push_back(cell);
  if (cells.empty()) cells.push_back(static_cast<int>(random_.below(SlateModel::kMural)));
  return cells;
}

void Scribes::act(Author& author) {
  Client* const self = cast_.client(author.self);
  if (author.over || author.ask || self == nullptr || self->machine().world() == nullptr) return;
  // All edits of a slate are of one session, so that they can be named.
  if (author.session != self->machine().session()) {
    if (author.session.value != 0) clean_slate(author);
    author.session = self->machine().session();
    return;
  }
  const auto choice = random_.below(100);
  if (author.model.counting().empty() || choice < 30) return write(author, false);
  if (choice < 42) return write(author, true);
  if (choice < 45) return paint_mural(author, *self);
  if (choice < 53) return ask_in_vain(author);
  take_back(author, choice >= 78 && !author.model.undone().empty());
}

void Scribes::write(Author& author, bool by_other) {
  const std::uint32_t number = by_other ? author.other : author.self;
  Client* const client = cast_.client(number);
  if (client == nullptr || client->machine().world() == nullptr) return;
  Ask ask{by_other ? Ask::Kind::overwrite : Ask::Kind::write, number, {}, some_cells(), ++value_ % (kTiles - 1) + 1};
  client::EditDraft draft;
  for (const int cell : ask.cells) draft.set(kLayers[0], slate_cell(author.slate, cell), map::Cell{ask.value});
  const Result<EditId> id = client->machine().edit(std::move(draft), map::AckMode::durable);
  if (!id) return;
  ask.id = *id;
  author.ask = std::move(ask);
}

void Scribes::paint_mural(Author& author, Client& client) {
  const map::Rect wall = mural(author.slate);
  if (!std::exchange(author.sees_mural, true))
    if (const auto view = client.machine().subscribe(wall, {})) client.views.push_back({*view, wall});
  Ask ask{Ask::Kind::write, author.self, {}, {SlateModel::kMural}, ++value_ % (kTiles - 1) + 1};
  client::EditDraft draft;
  draft.fill(kLayers[0], wall, map::Cell{ask.value});
  const Result<EditId> id = client.machine().edit(std::move(draft), map::AckMode::durable);
  if (!id) return;
  ask.id = *id;
  author.ask = std::move(ask);
}

void Scribes::undo(Author& author, Client& client, proto::Undo wanted, Ask ask) {
  const Result<EditId> id = client.machine().undo(wanted);
  if (!id) return;
  ask.client = client.number();
  ask.id = *id;
  author.ask = std::move(ask);
}

void Scribes::take_back(Author& author, bool redo) {
  const std::vector<EditId>& from = redo ? author.model.undone() : author.model.counting();
  proto::Undo wanted;
  wanted.redo = redo;
  Ask ask;
  ask.kind = redo ? Ask::Kind::redo : Ask::Kind::undo;
  ask.about = from.back();
  if (random_.chance(0.3)) ask.about = wanted.edit = from[random_.below(from.size())];
  undo(author, *cast_.client(author.self), wanted, std::move(ask));
}

// What must be refused, and with which code.
void Scribes::ask_in_vain(Author& author) {
  proto::Undo wanted;
  Ask ask;
  ask.kind = Ask::Kind::in_vain;
  std::uint32_t asks = author.self;
  const auto choice = random_.below(3);
  if (choice == 0) {
    asks = author.other;
    wanted.edit = author.model.counting().back();
    wanted.author = author.session;
    ask.code = ErrorCode::forbidden;
  } else if (choice == 1 || author.model.undone().empty()) {
    wanted.edit = author.model.counting().back();
    wanted.redo = true;
    ask.code = ErrorCode::conflict;
  } else {
    wanted.edit = author.model.undone().front();
    ask.code = ErrorCode::conflict;
  }
  Client* const client = cast_.client(asks);
  if (client != nullptr && client->machine().world() != nullptr) undo(author, *client, wanted, std::move(ask));
}

// ---- what comes of it ----

Scribes::Author* Scribes::who_asked(std::uint32_t client, EditId id) {
  for (Author& author : authors_)
    if (author.ask && author.ask->client == client && author.ask->id == id) return &author;
  return nullptr;
}

void Scribes::told(std::uint32_t client, const client::Event& event) {
  if (const auto* durable = std::get_if<client::EditDurable>(&event)) {
    if (Author* const author = who_asked(client, durable->edit)) written(*author);
  } else if (const auto* undone = std::get_if<client::UndoDone>(&event)) {
    if (Author* const author = who_asked(client, undone->id)) done(*author, *undone);
  } else if (const auto* rejected = std::get_if<client::EditRejected>(&event)) {
    if (Author* const author = who_asked(client, rejected->edit)) refused(*author, *rejected);
  }
}

void Scribes::written(Author& author) {
  const Ask ask = *std::exchange(author.ask, std::nullopt);
  if (ask.kind == Ask::Kind::overwrite) return author.model.overwritten(ask.cells, ask.value);
  author.model.wrote(ask.id, ask.cells, ask.value);
  author.written_in = cast_.client(author.self)->machine().incarnation();
}

void Scribes::done(Author& author, const client::UndoDone& event) {
  const Ask ask = *std::exchange(author.ask, std::nullopt);
  const std::string what = fmt::format("{} {} of client {} on slate {}", event.redo ? "redo" : "undo", event.id.value,
                                       ask.client, author.slate);
  if (ask.kind == Ask::Kind::in_vain)
    return cast_.verdict.fail(
        kClaim, fmt::format("{}, which is to be refused as {}, was done", what, error_code_name(ask.code)));
  const bool over_restart = cast_.client(author.self)->machine().incarnation() != author.written_in;
  // Records that nobody keeps cannot say what the undo did that is asked for once more.
  const bool forgotten = over_restart && cast_.server.config().history_mib == 0;
  if (forgotten) return clean_slate(author);
  const bool over_shards = author.model.shards_of(ask.about) > 1;
  const SlateModel::Count count = author.model.take_back(ask.about, event.redo);
  if (event.edit != ask.about || event.author != author.session)
    return cast_.verdict.fail(kClaim, fmt::format("{} is about edit {} of session {}, and should be about {}", what,
                                                  event.edit.value, event.author.value, ask.about.value));
  if (count != SlateModel::Count{event.restored, event.skipped})
    return cast_.verdict.fail(kClaim, fmt::format("{} restored {} cells and skipped {}; {} and {} is right", what,
                                                  event.restored, event.skipped, count.restored, count.skipped));
  cast_.mark(event.redo ? Mark::redone : Mark::undone);
  if (over_shards) cast_.mark(Mark::undone_over_shards);
  if (count.skipped != 0) cast_.mark(Mark::undo_skipped);
  if (over_restart) cast_.mark(Mark::undone_after_restart);
  if (count.restored >= kMuralSize * kMuralSize) cast_.mark(Mark::mural_undone);
}

void Scribes::refused(Author& author, const client::EditRejected& event) {
  const Ask ask = *std::exchange(author.ask, std::nullopt);
  if (ask.kind == Ask::Kind::in_vain) {
    if (event.error.code == ask.code) return cast_.mark(Mark::undo_refused);
    if (cast_.excused(event.error)) return;  // nothing was to happen, whatever the words
  }
  if (cast_.excused(event.error)) return clean_slate(author);
  cast_.verdict.fail(kClaim, fmt::format("what client {} asked for on slate {} ({}, edit {}) was refused as {}: {}",
                                         ask.client, author.slate, static_cast<int>(ask.kind), ask.id.value,
                                         error_code_name(event.error.code), event.error.message));
}

void Scribes::clean_slate(Author& author) {
  author.ask.reset();
  author.model = {};
  author.session = {};
  author.sees_mural = false;
  if (slates_ == kSlatesMax) {
    author.over = true;
    return;
  }
  author.slate = slates_++;
}

void Scribes::gone(std::uint32_t client) {
  for (Author& author : authors_) {
    if (author.self == client) {
      author.self = cast_.come(kDiary);
      clean_slate(author);
    } else if (author.other == client) {
      author.other = cast_.come(kDiary);
      if (author.ask && author.ask->client == client) clean_slate(author);
    }
  }
}

void Scribes::check(Truth& truth) const {
  for (const Author& author : authors_)
    if (!author.over && !author.ask) check_slate(author.slate, author.model, truth, cast_.verdict);
}

}  // namespace terrazzo::sim
