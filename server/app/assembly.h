#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "server/app/core_io.h"
#include "server/app/core_services.h"
#include "server/app/node.h"
#include "server/app/recovery.h"

namespace terrazzo::app {

// A server but for its threads, sockets and signals: what runs the cores is the caller's (server.cc on threads, the
// simulator of tests/sim one after another in virtual time).
struct Assembly {
  // Jobs of the workers point into cores: they end first.
  ~Assembly();

  Node node;
  std::vector<std::unique_ptr<CoreServices>> cores;
};

struct AssemblySizes {
  unsigned worker_threads = 2;
  unsigned page_threads = 4;           // they wait for the disk more than they work
  std::uint32_t mesh_capacity = 4096;  // messages per pair of cores before the sender keeps them itself
  std::size_t mesh_backlog_max = runtime::Mesh::kBacklogMax;  // of those, before it takes no more edits
};

// Takes the data folder that the node's configuration names and reads what is known of its worlds.
Status open_data(Node& node);
// The mesh, the workers and node.cores cores with these loops, then recovery: everything is ready for
// CoreServices::run().
Result<RecoveryReport> make_cores(Assembly& assembly, std::vector<CoreIo> io, const std::vector<int>& listeners,
                                  const AssemblySizes& sizes);

}  // namespace terrazzo::app
