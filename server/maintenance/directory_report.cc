#include "server/maintenance/directory_report.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "map/formats/world_json.h"
#include "server/io/read_only_page_file.h"
#include "server/shard/undo_points.h"

namespace terrazzo::maintenance {
namespace {

using shardfile::Entry;
using shardfile::Tag;

// Counts what the leaves of one layer hold. A tree that changes underneath is left out, never followed out of the file.
class LayerCount {
 public:
  LayerCount(const shardfile::TreeReader& reader, ShardReport::Layer& layer) : reader_(reader), layer_(layer) {}
  void count(const Entry& entry, int levels) {
    if (entry.tag() == Tag::page && levels > 0) {
      if (!reader_.inside(entry.value)) return;
      for (const Entry& child : reader_.node(entry.value)) count(shardfile::load(child), levels - 1);
      return;
    }
    const std::uint64_t chunks = levels == 0 ? 1 : levels == 1 ? 256 : 65536;
    if (entry.tag() == Tag::page) layer_.cells += chunks;
    if (entry.tag() == Tag::uniform) layer_.uniform += chunks;
    if (entry.tag() == Tag::blob) layer_.blobs += chunks;
  }

 private:
  const shardfile::TreeReader& reader_;
  ShardReport::Layer& layer_;
};

// `progress` is told how many of the 256 are done.
void count_layers(io::ReadOnlyPageFile& file, const storage::ShardStore& store, ShardReport& report,
                  const std::function<void(unsigned layers_done)>& progress) {
  const shardfile::TreeReader reader({file.base(), std::size_t{file.page_count()} * storage::kPageBytes}, store.top());
  const Entry top = reader.top();
  for (unsigned id = 0; id < shardfile::kNodeEntries; ++id) {
    const Entry entry = top.tag() == Tag::page && reader.inside(top.value) ? reader.node(top.value)[id] : top;
    progress(id);
    if (entry.revision() == 0) continue;
    report.layers.push_back({id, 0, 0, 0});
    LayerCount(reader, report.layers.back()).count(entry, 2);
  }
}

ShardReport report_shard(const std::string& path, WorldId world, const io::ShardFile& at,
                         const std::function<void(unsigned layers_done)>& progress) {
  ShardReport report;
  report.x = at.x;
  report.y = at.y;
  // A running server may replace the chains of the root between two looks.
  for (int tries = 0; tries < 3; ++tries) {
    const Result<std::unique_ptr<io::ReadOnlyPageFile>> file =
        io::ReadOnlyPageFile::open(path, io::Reads::here_and_there);
    if (!file) {
      report.problem = file.error().message;
      return report;
    }
    report.bytes = std::uint64_t{(*file)->page_count()} * storage::kPageBytes;
    const auto store = storage::ShardStore::open(**file, {world, at.x, at.y});
    report.problem = store ? "" : store.error().message;
    if (!store) continue;
    report.generation = (*store)->generation();
    report.lsn = (*store)->durable_lsn().value;
    report.pages = (*store)->pages();
    report.branches = (*store)->branches().size();
    for (const storage::PinInfo& pin : (*store)->pins()) {
      report.versions += pin.kind == storage::PinKind::version && !pin.dropping ? 1u : 0u;
      // Of a huge edit two states are kept: the one before it counts.
      const bool before = pin.kind == storage::PinKind::undo_point && (pin.id & shard::written_by(0)) == 0;
      report.undo_points += before && !pin.dropping ? 1u : 0u;
    }
    count_layers(**file, **store, report, progress);
    return report;
  }
  return report;
}

std::uint64_t size_of(const std::string& path) {
  std::error_code gone;
  const std::uintmax_t bytes = std::filesystem::file_size(path, gone);
  return gone ? 0 : bytes;
}

// What a walk through all of it will look at.
std::uint64_t shard_bytes(const io::DataDirectory& data) {
  std::uint64_t bytes = 0;
  if (const auto worlds = data.list_worlds(); worlds)
    for (const WorldId id : *worlds)
      if (const auto shards = data.list_shards(id); shards)
        for (const io::ShardFile& at : *shards) bytes += size_of(data.shard_path(id, at.x, at.y));
  return bytes;
}

std::string mib(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

DirectoryReport report_directory(
    const io::DataDirectory& data,
    const std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>& progress) {
  DirectoryReport report;
  report.path = data.path();
  report.holder = data.holder();
  report.incarnation = data.incarnation().value;
  std::uint64_t done = 0;
  const std::uint64_t total = progress ? shard_bytes(data) : 0;
  const auto report_shards = [&](WorldId id, WorldReport& world) {
    const auto shards = data.list_shards(id);
    if (!shards) return;
    for (const io::ShardFile& at : *shards) {
      const std::string path = data.shard_path(id, at.x, at.y);
      const std::uint64_t bytes = size_of(path);
      const auto tell = [&](unsigned layers_done) {
        if (progress) progress(path, done + bytes * layers_done / shardfile::kNodeEntries, total);
      };
      tell(0);  // opening one counts, too
      world.shards.push_back(report_shard(path, id, at, tell));
      tell(shardfile::kNodeEntries);
      done += bytes;
    }
  };
  if (const auto worlds = data.list_worlds(); worlds) {
    for (const WorldId id : *worlds) {
      WorldReport world;
      world.id = id;
      const Result<std::string> text = data.read_world(id);
      const auto parsed = text ? formats::world_from_json(*text) : Result<map::World>(text.error());
      if (parsed) {
        world.name = parsed->name;
      } else {
        world.problem = parsed.error().message;
      }
      report_shards(id, world);
      report.worlds.push_back(std::move(world));
    }
  }
  if (const auto segments = data.list_segments(); segments) {
    report.segments = segments->size();
    for (const io::SegmentName& name : *segments) report.segment_bytes += data.segment_size(name);
  }
  if (const auto assets = data.list_assets(); assets) report.assets = assets->size();
  return report;
}

std::string to_text(const DirectoryReport& report) {
  std::string text = fmt::format(
      "{}\n  run {} times; {}\n  log: {} segments, {}; {} assets\n", report.path, report.incarnation,
      report.holder.empty() ? "no server is using it"
                            : "in use by process " + report.holder + "; shards are shown as of their last checkpoints",
      report.segments, mib(report.segment_bytes), report.assets);
  for (const WorldReport& world : report.worlds) {
    text += fmt::format("world {} \"{}\": {} shards{}\n", world.id.value, world.name, world.shards.size(),
                        world.problem.empty() ? "" : "; PROBLEM: " + world.problem);
    for (const ShardReport& shard : world.shards) {
      if (!shard.problem.empty()) {
        text += fmt::format("  shard {},{}: PROBLEM: {}\n", shard.x, shard.y, shard.problem);
        continue;
      }
      text += fmt::format(
          "  shard {},{}: {}, {} edits, checkpoint {}; pages: {} used, {} free; {} versions, {} undo points, {} "
          "branches\n",
          shard.x, shard.y, mib(shard.bytes), shard.lsn, shard.generation, shard.pages.live, shard.pages.free,
          shard.versions, shard.undo_points, shard.branches);
      for (const ShardReport::Layer& layer : shard.layers)
        text += fmt::format("    layer {}: {} chunks of cells, {} of one tile, {} of objects\n", layer.id, layer.cells,
                            layer.uniform, layer.blobs);
    }
  }
  return text;
}

std::string to_json(const DirectoryReport& report) {
  nlohmann::json worlds = nlohmann::json::array();
  for (const WorldReport& world : report.worlds) {
    nlohmann::json shards = nlohmann::json::array();
    for (const ShardReport& shard : world.shards) {
      nlohmann::json layers = nlohmann::json::array();
      for (const ShardReport::Layer& layer : shard.layers)
        layers.push_back(
            {{"id", layer.id}, {"cells", layer.cells}, {"uniform", layer.uniform}, {"blobs", layer.blobs}});
      shards.push_back({{"shard", {shard.x, shard.y}},
                        {"bytes", shard.bytes},
                        {"generation", shard.generation},
                        {"lsn", shard.lsn},
                        {"pages_used", shard.pages.live},
                        {"pages_free", shard.pages.free},
                        {"versions", shard.versions},
                        {"undo_points", shard.undo_points},
                        {"branches", shard.branches},
                        {"layers", layers},
                        {"problem", shard.problem}});
    }
    worlds.push_back(
        {{"id", std::to_string(world.id.value)}, {"name", world.name}, {"problem", world.problem}, {"shards", shards}});
  }
  const nlohmann::json all{{"path", report.path},
                           {"holder", report.holder},
                           {"incarnation", report.incarnation},
                           {"segments", report.segments},
                           {"segment_bytes", report.segment_bytes},
                           {"assets", report.assets},
                           {"worlds", worlds}};
  return all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace terrazzo::maintenance
