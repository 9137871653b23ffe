// What a shard keeps of its own with a checkpoint of its store, and when it wants one.
#include <algorithm>
#include <cstring>

#include "server/shard/shard_state.h"

namespace terrazzo::shard {
namespace {

// Replaying 16 MiB of log takes a fraction of a second; a checkpoint per 16 MiB costs little beside writing them.
constexpr std::uint64_t kCheckpointLogBytes = 16 << 20;
// Of the shard's own bytes in a checkpoint, before the table of applied edits.
constexpr std::size_t kAuxNumbers = 3;

// Precedes the own bytes of a branch in a checkpoint.
struct BranchAux {
  std::uint64_t head, bytes;
};

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
  const auto* const from = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), from, from + sizeof value);
}
template <class T>
bool take(std::span<const std::byte>& from, T& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return true;
}

}  // namespace

std::size_t Shard::State::own_aux_bytes() const {
  return kAuxNumbers * sizeof(std::uint64_t) + applied.encoded_bytes();
}

// `before`: what comes first.
void Shard::State::add_own_aux(storage::AuxParts& out, std::vector<std::byte> before) const {
  for (const std::uint64_t number : {last_coordinated, version, born}) append(before, number);
  out.add(std::make_unique<storage::AuxBytes>(std::move(before)));
  out.add(applied.bytes());
}

std::unique_ptr<storage::AuxSource> Shard::State::aux() const {
  auto all = std::make_unique<storage::AuxParts>();
  add_own_aux(*all, {});
  for (const auto& branch : branches) {
    const State& b = *branch->state_;
    if (!b.head) continue;
    std::vector<std::byte> name;
    append(name, BranchAux{b.own_branch.head, b.own_aux_bytes()});
    b.add_own_aux(*all, std::move(name));
  }
  for (const auto& [number, own] : left_aside) {
    std::vector<std::byte> name;
    append(name, BranchAux{number, own->size()});
    all->add(std::make_unique<storage::AuxBytes>(std::move(name)));
    all->add(std::make_unique<storage::AuxBytes>(own));
  }
  return all;
}

Status Shard::State::read_own_aux(std::span<const std::byte>& rest) {
  if (!take(rest, last_coordinated) || !take(rest, version) || !take(rest, born))
    return Error{ErrorCode::internal, "the shard's own state is damaged"};
  return applied.decode(rest);
}

Status Shard::State::read_aux() {
  const std::vector<std::byte> bytes = store->aux();
  std::span<const std::byte> rest = bytes;
  if (rest.empty()) return {};  // a new store
  if (Status own = read_own_aux(rest); !own) return own;
  while (!rest.empty()) {
    BranchAux entry{};
    if (!take(rest, entry) || entry.bytes > rest.size())
      return Error{ErrorCode::internal, "what the shard knows of its branches is damaged"};
    const auto number = static_cast<storage::HeadId>(entry.head);
    if (store->has_head(number))
      left_aside[number] = std::make_shared<const std::vector<std::byte>>(
          rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(entry.bytes));
    rest = rest.subspan(entry.bytes);
  }
  return {};
}

// Nobody's session is remembered: those who go on with the copy are others.
void Shard::State::append_aux_as_of(std::uint64_t of_version, std::vector<std::byte>& out) const {
  for (const std::uint64_t number : {last_coordinated, of_version, born}) append(out, number);
  append(out, std::uint64_t{0});
}

void Shard::State::add_pins_before(const storage::PinInfo& of, std::vector<storage::PinInfo>& pins) const {
  for (const storage::PinInfo& pin : head.pins()) {
    const bool older = pin.kind == storage::PinKind::version
                           ? pin.id < of.id
                           : pin.kind == storage::PinKind::undo_point && pin.lsn <= of.lsn;
    if (older) pins.push_back(pin);
  }
}

std::optional<ShardContent> Shard::content_of(std::uint64_t version, std::span<const LineVersion> branches) const {
  const State& s = *state_;
  const auto pinned = [](const State& line, std::uint64_t id) {
    return line.head ? line.head.find_pin(storage::PinKind::version, id) : nullptr;
  };
  const storage::PinInfo* const of = pinned(s, version);
  if (of == nullptr) return std::nullopt;
  ShardContent content{of->lsn, of->top, {}, {}, {}};
  s.add_pins_before(*of, content.pins);
  s.append_aux_as_of(version, content.aux);
  for (const auto& branch : s.branches) {
    const State& b = *branch->state_;
    const auto asked = std::ranges::find(branches, b.key.world, &LineVersion::line);
    const storage::PinInfo* const at = asked == branches.end() ? nullptr : pinned(b, asked->version);
    if (at == nullptr) continue;
    content.branches.push_back({b.own_branch.head, at->lsn, at->top});
    b.add_pins_before(*at, content.pins);
    std::vector<std::byte> own;
    b.append_aux_as_of(asked->version, own);
    append(content.aux, BranchAux{b.own_branch.head, own.size()});
    content.aux.insert(content.aux.end(), own.begin(), own.end());
  }
  return content;
}

bool Shard::wants_checkpoint() const {
  return state_->log_bytes >= kCheckpointLogBytes && state_->store && !state_->store->checkpoint_running();
}

void Shard::look_checkpoint(storage::Missing& missing) {
  std::size_t bytes = state_->own_aux_bytes();
  for (const auto& branch : state_->branches) bytes += sizeof(BranchAux) + branch->state_->own_aux_bytes();
  for (const auto& [number, own] : state_->left_aside) bytes += sizeof(BranchAux) + own->size();
  state_->store->look_checkpoint(bytes, missing);
}

Result<storage::CheckpointStep> Shard::begin_checkpoint() {
  TZ_ASSERT(state_->store != nullptr);
  state_->log_bytes = 0;
  return state_->store->begin_checkpoint(state_->aux());
}

storage::CheckpointStep Shard::checkpoint_work(std::size_t pages, storage::Missing* missing) {
  return state_->store->checkpoint_work(pages, missing);
}

Result<storage::CheckpointStep> Shard::checkpoint_synced(Status outcome) {
  return state_->store->checkpoint_synced(std::move(outcome));
}
}  // namespace terrazzo::shard
