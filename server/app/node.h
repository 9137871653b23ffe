#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/strong_id.h"
#include "server/app/authenticator.h"
#include "server/app/backup_board.h"
#include "server/app/certificate_store.h"
#include "server/app/config.h"
#include "server/app/history_counters.h"
#include "server/app/history_reach.h"
#include "server/app/resume_tokens.h"
#include "server/app/session_table.h"
#include "server/app/stamp_clock.h"
#include "server/app/user_table.h"
#include "server/app/worker_pool.h"
#include "server/app/world_directory.h"
#include "server/catalog/branch_registry.h"
#include "server/catalog/user_names.h"
#include "server/catalog/version_registry.h"
#include "server/io/data_directory.h"
#include "server/runtime/mesh.h"

namespace terrazzo::app {

// What all cores of one process share: set up before they run, then read-only, or safe from any thread by itself.
struct Node {
  Config config;
  int cores = 1;
  Incarnation incarnation;
  std::unique_ptr<io::DataDirectory> data;
  WorldDirectory worlds;
  std::mutex metadata;  // held by the worker that changes a world's
  catalog::VersionRegistry versions;
  catalog::BranchRegistry branches;
  BackupBoard backups;
  SessionTable sessions;
  UserTable users;
  catalog::UserNames user_names;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<CertificateStore> certificates;  // none: connections are not sealed
  std::unique_ptr<ResumeTokens> resume_tokens;
  std::unique_ptr<runtime::Mesh> mesh;
  std::unique_ptr<WorkerPool> workers;
  // For reading cold pages and opening shards: people wait for these, so they do not queue behind sealing and backups.
  std::unique_ptr<WorkerPool> page_workers;

  StampClock stamps;
  HistoryCounters history;
  HistoryReach reach;
  std::atomic<bool> draining{false};  // SIGTERM came
  std::atomic<int> moves_running{0};  // of shards; cores stay until there are none
  std::atomic<int> cores_drained{0};  // cores without connections; a core goes when all are
};

}  // namespace terrazzo::app
