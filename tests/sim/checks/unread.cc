#include "tests/sim/checks/unread.h"

#include <fmt/format.h>

#include <utility>

namespace terrazzo::sim {

void Unread::reads_again(std::uint32_t client, std::map<map::ShardPos, Lsn> newest, std::uint64_t bytes_most) {
  clients_[client] = {std::move(newest), bytes_most, 0};
}

void Unread::heard(std::uint32_t client, const proto::ServerMessage& message, std::size_t bytes) {
  const auto* const applied = std::get_if<proto::Applied>(&message);
  const auto found = clients_.find(client);
  if (applied == nullptr || found == clients_.end()) return;
  Waited& waited = found->second;
  const auto newest = waited.newest.find(applied->shard);
  if (newest == waited.newest.end() || applied->lsn > newest->second) return;
  waited.bytes += bytes;
  if (waited.bytes > waited.bytes_most)
    verdict_.fail("every queue is bounded",
                  fmt::format("client {} read nothing for a while, and {} bytes of edits waited for it, at most {}",
                              client, waited.bytes, waited.bytes_most));
}

}  // namespace terrazzo::sim
