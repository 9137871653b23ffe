#include "tests/sim/checks/saved_versions.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tests/sim/playground.h"

namespace terrazzo::sim {

SavedVersions::Moment SavedVersions::now(const std::string& world) {
  Moment moment{truth_->shards(world.c_str()), {}};
  if (world != kDiary) return moment;
  for (const auto& [client, page] : diary_.pages()) moment.durable[client] = page.durable;
  return moment;
}

void SavedVersions::saved(const std::string& world, std::uint64_t version, Moment asked) {
  Saved& saved = saved_[{world, version}];
  saved.asked = std::move(asked);
  for (const auto& [client, durable] : saved.asked.durable) saved.written[client] = diary_.pages().at(client).drawn;
}

void SavedVersions::gone(const std::string& branch) {
  std::erase_if(saved_, [&](const auto& entry) { return entry.first.first == branch; });
}

void SavedVersions::check(Server& server) {
  for (const auto& [name, saved] : saved_) {
    check_listed(name, server);
    check_shards(name, saved);
    check_registers(name, saved);
  }
}

void SavedVersions::fail(const Name& name, const std::string& what) {
  verdict_.fail("a version that was saved is there",
                fmt::format("version {} of \"{}\" {}", name.second, name.first, what));
}

void SavedVersions::check_listed(const Name& name, Server& server) {
  const app::Node& node = server.assembly().node;
  const auto world = node.worlds.find(name.first);
  const auto listed = world ? node.versions.list(world->id) : std::vector<catalog::NamedVersion>();
  if (std::ranges::find(listed, name.second, &catalog::NamedVersion::id) == listed.end())
    fail(name, "is not in the server's list");
}

void SavedVersions::check_shards(const Name& name, const Saved& saved) {
  for (const map::ShardPos at : saved.asked.shards) {
    const std::optional<bool> has = truth_->has_version(name.first.c_str(), name.second, at);
    if (has && !*has) fail(name, fmt::format("has no state in shard {},{}", at.x, at.y));
  }
}

void SavedVersions::check_registers(const Name& name, const Saved& saved) {
  for (const auto& [client, durable] : saved.asked.durable) {
    std::optional<std::uint32_t> first;
    for (const map::CellPos at : diary_.pages().at(client).cells(client)) {
      const auto value = truth_->cell_of_version(name.first.c_str(), name.second, kLayers[0], at);
      if (!value) continue;
      if (*value < durable || *value > saved.written.at(client))
        fail(name, fmt::format("has {} in the register of client {} at {},{}, which held {} to {}", *value, client,
                               at.x, at.y, durable, saved.written.at(client)));
      if (first && *first != *value)
        fail(name, fmt::format("has {} and {} in the registers of client {}", *first, *value, client));
      first = value;
    }
  }
}

}  // namespace terrazzo::sim
