#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "proto/codec.h"
#include "server/app/worker_pool.h"
#include "server/io/mmap_page_file.h"
#include "server/shard/shard.h"
#include "server/shard/shard_output.h"
#include "server/storage/shard_store.h"
#include "server/storage/wal.h"

// Shards as a core has them, over real files, with a log that is written to a real file.
namespace terrazzo::bench {

// Takes the place of a core: the log goes to a zero-written file; what would be published or answered is dropped.
class LogFile final : public shard::ShardOutput {
 public:
  LogFile(const std::filesystem::path& path, std::uint64_t bytes);
  ~LogFile() override;

  std::uint64_t log(const storage::Record& record) override;
  // Writes what has gathered; with a data sync if asked.
  void write(bool sync);
  std::uint64_t durable() const { return writer_.durable_sequence(); }
  std::size_t pending() const { return writer_.pending_bytes(); }
  storage::WalWriter& writer() { return writer_; }
  int fd() const { return fd_; }

  std::optional<Error> busy() const override { return std::nullopt; }
  void publish(shard::CoreMask, shard::SharedPublication) override {}
  void reply(std::unique_ptr<shard::StatesReply>) override {}
  void outcome(shard::EditOutcome outcome) override;
  void durable(shard::CoreMask, const shard::DurableMark&) override {}
  void forward(std::unique_ptr<shard::EditRequest>) override {}

 private:
  int fd_;
  std::uint64_t bytes_;
  storage::WalWriter writer_;
};

// One shard, its file and its store.
class BenchShard {
 public:
  // Makes the file, or opens it where there is one.
  BenchShard(const std::filesystem::path& path, map::ShardPos position, proto::Encoder& encoder);
  ~BenchShard();
  shard::Shard& shard() { return *shard_; }
  storage::ShardStore& store() { return *store_; }
  int fd() const { return file_->fd(); }
  // An edit as it comes from a session, ready to be applied.
  static std::unique_ptr<shard::EditRequest> request(map::ShardPos position, std::uint64_t id);
  void edit(std::span<const map::Op> ops, shard::ShardOutput& out);
  void restore(shard::Restore what, shard::ShardOutput& out);
  void checkpoint();
  // Has another thread make pages ready for the edits to come, as a core does; to be called between edits.
  void prepare();
  std::uint64_t edits() const { return edits_; }

 private:
  map::ShardPos position_;
  std::unique_ptr<io::MmapPageFile> file_;
  storage::ShardStore* store_ = nullptr;
  shard::EncodedChunks encoded_{0};
  std::unique_ptr<shard::Shard> shard_;
  std::uint64_t edits_ = 0;
  bool preparing_ = false;
  std::unique_ptr<app::WorkerPool> workers_;  // made by prepare()
};

}  // namespace terrazzo::bench
