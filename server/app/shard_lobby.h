#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "server/app/mesh_kinds.h"
#include "server/app/node.h"
#include "server/app/page_bringer.h"
#include "server/app/shard_table.h"
#include "server/runtime/mesh.h"

namespace terrazzo::app {

class ShardLobbyOutput {
 public:
  virtual ~ShardLobbyOutput() = default;
  // Carries the message out. Everything it touches is in memory.
  virtual void run(ShardSlot& slot, const runtime::MeshMessage& message) = 0;
  // It cannot be carried out: the shard cannot be opened, or what it asks for is damaged.
  virtual void refuse(const runtime::MeshMessage& message, const Error& why) = 0;
};

// Where messages for one core's shards wait while workers open or make the shard's file, or bring what the message will
// touch into memory. The messages of a shard are carried out in the order they came; other shards go on.
class ShardLobby {
 public:
  ShardLobby(Node& node, shard::CoreId self, ShardTable& shards, PageBringer& pages, ShardLobbyOutput& out)
      : node_(node), self_(self), shards_(shards), pages_(pages), out_(out) {}

  // Edits, subscriptions, refreshes, cells to be read, interests given up, claims, rounds of PinsGather, and the
  // beginning of a move.
  void admit(const shard::ShardKey& asked, const runtime::MeshMessage& message);
  // The shard is on its way here from another core: its messages wait until arrived().
  void expect(const shard::ShardKey& key);
  void arrived(const shard::ShardKey& key, ShardSlot& slot);
  // Asks again for what the workers had no room for.
  void tick();
  bool has_retries() const { return !retries_.empty(); }
  // Whether edits of this world wait.
  bool edits_wait(WorldId world) const;
  bool idle() const { return lines_.empty(); }
  std::size_t waiting() const;  // messages

  std::uint64_t opened() const { return opened_; }
  std::uint64_t waits() const { return waits_; }      // of messages
  std::uint64_t wait_ns() const { return wait_ns_; }  // lines were closed

 private:
  struct Line {
    std::deque<runtime::MeshMessage> waiting;
    ShardSlot* slot = nullptr;  // null: its file is being opened, or it is on its way
    std::uint64_t since_ns = 0;
  };
  enum class Step : std::uint8_t { run, refused, wait };
  // What comes first: `wait` when workers have been asked for something.
  Step step(const shard::ShardKey& key, ShardSlot& slot, const runtime::MeshMessage& message);
  void wait(const shard::ShardKey& key, ShardSlot* slot, const runtime::MeshMessage& message);
  void open(const shard::ShardKey& key);
  void opened(const shard::ShardKey& key, Result<ShardFile> file);
  void create(const shard::ShardKey& key, ShardSlot& slot);
  void go_on(const shard::ShardKey& key);
  void end(const shard::ShardKey& key);

  Node& node_;
  const shard::CoreId self_;
  ShardTable& shards_;
  PageBringer& pages_;
  ShardLobbyOutput& out_;
  std::unordered_map<shard::ShardKey, Line, ShardKeyHash> lines_;
  std::vector<shard::ShardKey> retries_;
  storage::Missing missing_;  // scratch
  std::uint64_t opened_ = 0, waits_ = 0, wait_ns_ = 0;
};

}  // namespace terrazzo::app
