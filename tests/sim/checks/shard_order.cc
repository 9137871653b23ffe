#include "tests/sim/checks/shard_order.h"

#include <fmt/format.h>

#include <algorithm>

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "one order per shard";

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x9E3779B97F4A7C15ull;
}

std::uint64_t content_of(const proto::Applied& message) {
  std::uint64_t hash = message.ops.size();
  for (const map::Op& op : message.ops) {
    for (const std::int64_t value : {op.rect.x0, op.rect.y0, op.rect.x1, op.rect.y1})
      hash = mixed(hash, static_cast<std::uint64_t>(value));
    hash = mixed(hash, static_cast<std::uint64_t>(op.kind));
    hash = mixed(hash, op.layer);
    hash = mixed(hash, op.cell.bits);
    for (const map::Cell cell : op.cells) hash = mixed(hash, cell.bits);
  }
  return hash;
}

}  // namespace

void ShardOrder::connected(std::uint32_t client) {
  std::erase_if(newest_, [&](const auto& entry) { return entry.first.first == client; });
}

void ShardOrder::heard(std::uint32_t client, const std::string& world, Incarnation incarnation,
                       const proto::ServerMessage& message) {
  const auto shard = [&](map::ShardPos position) { return Shard{world, position.x, position.y}; };
  if (const auto* edit = std::get_if<proto::Applied>(&message)) {
    applied(client, shard(edit->shard), incarnation, *edit);
  } else if (const auto* mark = std::get_if<proto::Durable>(&message)) {
    durable(shard(mark->shard), incarnation, mark->lsn);
  } else if (const auto* ack = std::get_if<proto::Ack>(&message)) {
    // Over several shards it is durable by the coordinator's record: its parts may come to stand elsewhere.
    if (ack->durable && ack->shards.size() == 1)
      for (const proto::ShardMark& each : ack->shards) durable(shard(each.shard), incarnation, each.lsn);
  } else if (const auto* refreshed = std::get_if<proto::Refreshed>(&message)) {
    newest_[{client, shard(refreshed->shard)}] = refreshed->lsn.value;
  }
}

void ShardOrder::applied(std::uint32_t client, const Shard& shard, Incarnation incarnation,
                         const proto::Applied& message) {
  const auto at = [&] {
    return fmt::format("edit {} of shard {},{} in \"{}\", run {}", message.lsn.value, message.shard.x, message.shard.y,
                       std::get<0>(shard), incarnation.value);
  };
  std::uint64_t& newest = newest_[{client, shard}];
  if (message.lsn.value <= newest)
    verdict_.fail(kClaim, fmt::format("client {} heard {} after edit {}", client, at(), newest));
  newest = message.lsn.value;

  const Edit edit{message.author, message.edit, content_of(message)};
  const auto [known, is_new] = edits_.try_emplace({shard, incarnation.value, message.lsn.value}, edit);
  if (!is_new && known->second != edit)
    verdict_.fail(kClaim,
                  fmt::format("two clients heard of different edits: {} is edit {} of {}, or edit {} of {}", at(),
                              edit.id.value, edit.author.value, known->second.id.value, known->second.author.value));
  if (!is_new) return;
  // A run goes on where the durable edits of the runs before end.
  for (const auto& [before, lsn] : durable_[shard])
    if (before < incarnation.value && lsn >= message.lsn.value)
      verdict_.fail(kClaim, fmt::format("{}: run {} had told that the edits up to {} are durable", at(), before, lsn));
}

void ShardOrder::durable(const Shard& shard, Incarnation incarnation, Lsn lsn) {
  std::uint64_t& told = durable_[shard][incarnation.value];
  told = std::max(told, lsn.value);
}

}  // namespace terrazzo::sim
