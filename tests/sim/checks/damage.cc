#include "tests/sim/checks/damage.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/branch_world.h"
#include "map/coords.h"

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "a damaged page costs its shard only";

}  // namespace

bool Damage::only_bits(const Faults& faults) {
  for (const Fault other :
       {Fault::sync_fail, Fault::write_fail, Fault::short_write, Fault::read_fail, Fault::disk_full})
    if (faults.counted(other) != 0) return false;
  return true;
}

void Damage::submitted(std::uint32_t client, EditId edit, const std::string& world, std::span<const map::Op> ops) {
  Sent& sent = sent_[{client, edit.value}];
  sent.world = world;
  const auto add = [&](const map::Rect& cells) {
    const map::Rect shards = map::shards_of(cells);
    for (std::int64_t y = shards.y0; y < shards.y1; ++y)
      for (std::int64_t x = shards.x0; x < shards.x1; ++x)
        sent.shards.emplace(static_cast<std::int32_t>(x), static_cast<std::int32_t>(y));
  };
  for (const map::Op& op : ops) {
    add(op.rect);
    if (op.kind == map::OpKind::copy) add(map::source_of(op));
  }
}

bool Damage::touches_rotten(const Sent& sent, Server& server) const {
  const app::Node& node = server.assembly().node;
  const auto world = node.worlds.find(sent.world);
  return world && std::ranges::any_of(sent.shards, [&](const auto& shard) {
           return rotten_.contains(node.data->shard_path(main_world(world->id), shard.first, shard.second));
         });
}

bool Damage::is_unknown(std::uint32_t client, EditId edit, const Error& error, Server& server) const {
  const auto found = sent_.find({client, edit.value});
  if (found == sent_.end() || !is_damage(error)) return false;
  return !server.running() || touches_rotten(found->second, server);
}

void Damage::rejected(std::uint32_t client, EditId edit, const Error& error, Server& server, const Faults& faults) {
  const auto found = sent_.find({client, edit.value});
  if (found == sent_.end()) return;
  if (!is_damage(error) || !only_bits(faults) || !server.running()) return;
  if (!touches_rotten(found->second, server))
    verdict_.fail(kClaim, fmt::format("edit {} of client {} was refused, and no page of its shards had rotted: {}",
                                      edit.value, client, error.message));
}

void Damage::start_failed(const std::string& why, const Faults& faults) {
  if (!only_bits(faults)) return;
  const auto is_named = [&](const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);  // <x>_<y>.shard
    std::string place = "shard " + name.substr(0, name.find('.'));
    std::ranges::replace(place, '_', ',');
    return why.find(name) != std::string::npos || why.find(place) != std::string::npos;
  };
  if (std::ranges::none_of(rotten_, is_named))
    verdict_.fail(kClaim, "a start failed with words that name no shard whose file had rotted: " + why);
}

}  // namespace terrazzo::sim
