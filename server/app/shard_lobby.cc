#include "server/app/shard_lobby.h"

#include <utility>

#include "server/runtime/clock.h"

namespace terrazzo::app {
namespace {

MeshKind kind_of(const runtime::MeshMessage& message) {
  return static_cast<MeshKind>(message.kind);
}

// Whose line of the shard it is about.
WorldId world_of(const runtime::MeshMessage& message, WorldId otherwise) {
  switch (kind_of(message)) {
    case MeshKind::edit:
      return boxed_in<shard::EditRequest>(message).shard.world;
    case MeshKind::subscribe:
      return boxed_in<shard::SubscribeRequest>(message).shard.world;
    case MeshKind::refresh:
      return boxed_in<shard::RefreshRequest>(message).shard.world;
    case MeshKind::interest_off:
      return boxed_in<shard::InterestOff>(message).shard.world;
    case MeshKind::claim_part:
      return boxed_in<shard::ClaimPart>(message).shard.world;
    case MeshKind::read_cells:
      return boxed_in<shard::CellsRequest>(message).shard.world;
    default:
      return otherwise;
  }
}

}  // namespace

void ShardLobby::admit(const shard::ShardKey& asked, const runtime::MeshMessage& message) {
  // All lines of a shard wait for one file, in one order.
  const shard::ShardKey key = main_key(asked);
  ShardSlot* const slot = shards_.find(key);
  if (slot != nullptr && !slot->in_line) {
    const Step next = step(key, *slot, message);
    if (next == Step::run) return out_.run(*slot, message);
    if (next == Step::wait) wait(key, slot, message);
    return;
  }
  if (const auto line = lines_.find(key); line != lines_.end()) {
    ++waits_;
    line->second.waiting.push_back(message);
    return;
  }
  if (const Error* const why = shards_.damage(key)) return out_.refuse(message, *why);
  // Nobody can be interested in a shard that is closed.
  if (kind_of(message) == MeshKind::interest_off) return unboxed<shard::InterestOff>(message).reset();
  wait(key, nullptr, message);
  open(key);
}

void ShardLobby::wait(const shard::ShardKey& key, ShardSlot* slot, const runtime::MeshMessage& message) {
  ++waits_;
  Line& line = lines_[key];
  line.slot = slot;
  line.since_ns = runtime::monotonic_ns();
  line.waiting.push_back(message);
  if (slot != nullptr) slot->in_line = true;
}

ShardLobby::Step ShardLobby::step(const shard::ShardKey& key, ShardSlot& slot, const runtime::MeshMessage& message) {
  shard::Shard* const line = shards_.line(slot, world_of(message, key.world));
  if (line == nullptr) {
    out_.refuse(message, Error{ErrorCode::not_found, "the branch was dropped"});
    return Step::refused;
  }
  shard::Shard& shard = *line;
  missing_.clear();
  if (kind_of(message) == MeshKind::edit) {
    const auto& request = boxed_in<shard::EditRequest>(message);
    if (!slot.no_file && shard.lacks_store(request)) {
      create(key, slot);
      return Step::wait;
    }
    shard.look(request, missing_);
    // Read-only by now, and says so itself.
    if (missing_.damaged) slot.shard->read_only(PageBringer::damage(slot, *missing_.damaged));
  } else {
    if (kind_of(message) == MeshKind::subscribe) shard.look(boxed_in<shard::SubscribeRequest>(message), missing_);
    if (kind_of(message) == MeshKind::refresh) shard.look(boxed_in<shard::RefreshRequest>(message), missing_);
    if (kind_of(message) == MeshKind::read_cells) shard.look(boxed_in<shard::CellsRequest>(message), missing_);
    if (missing_.damaged) {
      out_.refuse(message, PageBringer::damage(slot, *missing_.damaged));
      return Step::refused;
    }
  }
  if (missing_.nothing() || missing_.damaged) return Step::run;
  if (!pages_.bring(slot, std::move(missing_.pages), [this, key] { go_on(key); })) retries_.push_back(key);
  return Step::wait;
}

void ShardLobby::go_on(const shard::ShardKey& key) {
  Line& line = lines_.at(key);
  while (!line.waiting.empty()) {
    const runtime::MeshMessage message = line.waiting.front();
    const Step next = step(key, *line.slot, message);
    if (next == Step::wait) return;
    line.waiting.pop_front();
    if (next == Step::run) out_.run(*line.slot, message);
    line.slot->no_file.reset();
  }
  end(key);
}

void ShardLobby::end(const shard::ShardKey& key) {
  const auto line = lines_.find(key);
  wait_ns_ += runtime::monotonic_ns() - line->second.since_ns;
  if (line->second.slot != nullptr) line->second.slot->in_line = false;
  lines_.erase(line);
}

void ShardLobby::expect(const shard::ShardKey& key) {
  const auto [line, is_new] = lines_.try_emplace(key);
  TZ_ASSERT(is_new && shards_.find(key) == nullptr);
  line->second.since_ns = runtime::monotonic_ns();
}

void ShardLobby::arrived(const shard::ShardKey& key, ShardSlot& slot) {
  lines_.at(key).slot = &slot;
  slot.in_line = true;
  go_on(key);
}

void ShardLobby::open(const shard::ShardKey& key) {
  const bool asked = node_.page_workers->submit(self_, [this, key]() -> WorkerPool::Done {
    auto file = std::make_shared<Result<ShardFile>>(open_shard_file(node_, key));
    return [this, key, file] { opened(key, std::move(*file)); };
  });
  if (!asked) retries_.push_back(key);
}

void ShardLobby::opened(const shard::ShardKey& key, Result<ShardFile> file) {
  const Result<ShardSlot*> slot = shards_.open(key, std::move(file));
  Line& line = lines_.at(key);
  if (!slot) {
    for (const runtime::MeshMessage& message : line.waiting) out_.refuse(message, slot.error());
    return end(key);
  }
  ++opened_;
  line.slot = *slot;
  line.slot->in_line = true;
  go_on(key);
}

void ShardLobby::create(const shard::ShardKey& key, ShardSlot& slot) {
  const bool asked = node_.page_workers->submit(self_, [this, key, &slot]() -> WorkerPool::Done {
    auto file = std::make_shared<Result<ShardFile>>(create_shard_file(node_, key));
    return [this, key, &slot, file] {
      shards_.give_file(slot, std::move(*file));
      go_on(key);
    };
  });
  if (!asked) retries_.push_back(key);
}

void ShardLobby::tick() {
  for (const shard::ShardKey& key : std::exchange(retries_, {})) {
    if (lines_.at(key).slot == nullptr) {
      open(key);
    } else {
      go_on(key);
    }
  }
}

std::size_t ShardLobby::waiting() const {
  std::size_t count = 0;
  for (const auto& [key, line] : lines_) count += line.waiting.size();
  return count;
}

bool ShardLobby::edits_wait(WorldId world) const {
  for (const auto& [key, line] : lines_) {
    if (key.world != main_world(world)) continue;
    for (const runtime::MeshMessage& message : line.waiting)
      if (kind_of(message) == MeshKind::edit && world_of(message, key.world) == world) return true;
  }
  return false;
}

}  // namespace terrazzo::app
