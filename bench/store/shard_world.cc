#include "bench/store/shard_world.h"

#include <fcntl.h>
#include <unistd.h>

#include <limits>

#include "bench/store/peer.h"
#include "server/io/ready_pages.h"

namespace terrazzo::bench {
namespace {

constexpr WorldId kWorld{1};

std::shared_ptr<const map::World> world() {
  static const std::shared_ptr<const map::World> one = [] {
    auto made = std::make_shared<map::World>();
    made->id = kWorld;
    made->layers.resize(16);
    for (std::size_t i = 0; i < 16; ++i) made->layers[i].id = static_cast<map::LayerId>(i);
    return made;
  }();
  return one;
}

}  // namespace

LogFile::LogFile(const std::filesystem::path& path, std::uint64_t bytes)
    : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
      bytes_(bytes),
      writer_(0, Incarnation{1}, 1, bytes) {
  const std::vector<char> zeros(1 << 20);
  for (std::uint64_t at = 0; at < bytes; at += zeros.size())
    if (::pwrite(fd_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0)
      give_up("the log's file cannot be written");
  ::fsync(fd_);
}

LogFile::~LogFile() {
  ::close(fd_);
}

std::uint64_t LogFile::log(const storage::Record& record) {
  const std::uint64_t sequence = writer_.append(record);
  if (writer_.pending_bytes() > 1 << 20) write(false);
  return sequence;
}

void LogFile::write(bool sync) {
  const auto group = writer_.next_group();
  if (!group) return;
  // The same file again and again, as segments are.
  const auto at = static_cast<off_t>(group->offset % (bytes_ - (std::uint64_t{4} << 20)));
  if (::pwrite(fd_, group->bytes.data(), group->bytes.size(), at) < 0) give_up("the log cannot be written");
  if (sync && ::fdatasync(fd_) != 0) give_up("the log cannot be synced");
  writer_.group_synced({});
}

void LogFile::outcome(shard::EditOutcome outcome) {
  if (outcome.error) give_up("an edit was refused: " + outcome.error->message);
}

BenchShard::BenchShard(const std::filesystem::path& path, map::ShardPos position, proto::Encoder& encoder)
    : position_(position) {
  const bool there = std::filesystem::exists(path);
  auto file = there ? io::MmapPageFile::open(path.string()) : io::MmapPageFile::create(path.string());
  if (!file) give_up(file.error().message);
  file_ = *std::move(file);
  const storage::ShardIdentity identity{kWorld, position.x, position.y};
  auto store = there ? storage::ShardStore::open(*file_, identity) : storage::ShardStore::create(*file_, identity);
  if (!store) give_up(store.error().message);
  store_ = store->get();
  shard_ = std::make_unique<shard::Shard>(shard::ShardKey{kWorld, position}, world(), shard::RunInfo{Incarnation{1}},
                                          encoder, encoded_, *std::move(store), shard::Shard::StoreFactory());
  shard_->recovered();
}

BenchShard::~BenchShard() = default;

std::unique_ptr<shard::EditRequest> BenchShard::request(map::ShardPos position, std::uint64_t id) {
  auto request = std::make_unique<shard::EditRequest>();
  request->shard = {kWorld, position};
  request->origin.session = SessionId{1};
  request->edit.id = EditId{id};
  return request;
}

void BenchShard::edit(std::span<const map::Op> ops, shard::ShardOutput& out) {
  const auto asked = request(position_, ++edits_);
  asked->edit.ops = ops;
  shard_->edit(*asked, out);
}

void BenchShard::restore(shard::Restore what, shard::ShardOutput& out) {
  const auto asked = request(position_, ++edits_);
  asked->restore = std::move(what);
  shard_->edit(*asked, out);
}

void BenchShard::prepare() {
  if (!workers_) workers_ = std::make_unique<app::WorkerPool>(1, 1, [](unsigned) {});
  workers_->collect(0);
  if (preparing_ || !shard_->wants_ready()) return;
  auto job = [this, request = shard_->ask_ready()]() mutable -> app::WorkerPool::Done {
    const bool grown = io::make_ready(file_->fd(), file_->base(), request);
    return [this, request = std::move(request), grown] {
      preparing_ = false;
      shard_->made_ready(request, grown);
    };
  };
  preparing_ = workers_->submit(0, std::move(job));
}

void BenchShard::checkpoint() {
  auto step = shard_->begin_checkpoint();
  while (step && *step != storage::CheckpointStep::done) {
    if (*step == storage::CheckpointStep::work) {
      step = shard_->checkpoint_work(std::numeric_limits<std::uint32_t>::max());
    } else {
      if (::fdatasync(file_->fd()) != 0) give_up("a shard's file cannot be synced");
      step = shard_->checkpoint_synced({});
    }
  }
  if (!step) give_up(step.error().message);
}

}  // namespace terrazzo::bench
