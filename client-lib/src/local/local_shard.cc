#include "terrazzo/local_shard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "shardfile/process_identity.h"
#include "shardfile/published_root.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::client {
namespace {

constexpr std::size_t kPageBytes = shardfile::kPageBytes;

Error failed(const std::string& path, const char* what) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::internal;
  return {code, fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

}  // namespace

struct LocalShard::State {
  std::string path;
  int fd = -1;
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  shardfile::PublishedRoot* root = nullptr;
  shardfile::ReaderSlot* slot = nullptr;
  std::uint64_t identity = 0;

  std::uint64_t run = 0;
  shardfile::Publication now;

  ~State() {
    if (slot != nullptr) root->leave(*slot, identity);
    if (root != nullptr) ::munmap(root, kPageBytes);
    if (base != nullptr) ::munmap(base, bytes);
    if (fd >= 0) ::close(fd);
  }
  Status map_root();
  Status map_file(std::size_t wanted);
};

Status LocalShard::State::map_root() {
  const std::string page = path.substr(0, path.rfind('.')) + ".readers";
  const int page_fd = ::open(page.c_str(), O_RDWR | O_CLOEXEC);
  if (page_fd < 0 && errno == ENOENT)
    return Error{ErrorCode::overloaded, path + ": no server publishes it; is one running, with --publish-ms above 0?"};
  if (page_fd < 0) return failed(page, "cannot be opened for reading and writing");
  struct stat about {};
  void* memory = MAP_FAILED;
  if (::fstat(page_fd, &about) == 0 && static_cast<std::size_t>(about.st_size) >= kPageBytes)
    memory = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
  ::close(page_fd);
  if (memory == MAP_FAILED) return Error{ErrorCode::internal, page + " cannot be mapped"};
  root = static_cast<shardfile::PublishedRoot*>(memory);
  if (root->magic.load() == shardfile::kPublishedMagic) return {};
  return Error{ErrorCode::internal, page + " is no page of a Terrazzo server; remove it and restart the server"};
}

Status LocalShard::State::map_file(std::size_t wanted) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return failed(path, "cannot be looked at");
  const auto size = static_cast<std::size_t>(about.st_size) / kPageBytes * kPageBytes;
  if (size < wanted) return Error{ErrorCode::internal, path + " is shorter than the server says; was it cut off?"};
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return failed(path, "cannot be mapped");
  if (base != nullptr) ::munmap(base, bytes);
  base = static_cast<std::byte*>(memory);
  bytes = size;
  return {};
}

LocalShard::LocalShard(std::unique_ptr<State> state) : state_(std::move(state)) {}
LocalShard::~LocalShard() = default;

Result<std::unique_ptr<LocalShard>> LocalShard::open(const std::string& file, std::chrono::milliseconds patience) {
  auto state = std::make_unique<State>();
  state->path = file;
  state->fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->fd < 0) return failed(file, "cannot be opened");
  if (Status mapped = state->map_root(); !mapped) return mapped.error();
  state->identity = shardfile::own_identity();
  if (state->identity == 0) return Error{ErrorCode::internal, "/proc/self/stat cannot be read; is /proc mounted?"};
  state->slot = state->root->take_slot(state->identity);
  if (state->slot == nullptr)
    return Error{ErrorCode::overloaded,
                 fmt::format("{}: {} readers look at it already; share one", file, shardfile::kReaderSlots)};
  std::unique_ptr<LocalShard> shard(new LocalShard(std::move(state)));
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const Status refreshed = shard->refresh();
    if (refreshed) return shard;
    if (refreshed.error().code != ErrorCode::overloaded || std::chrono::steady_clock::now() > until)
      return refreshed.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Status LocalShard::refresh() {
  State& s = *state_;
  if (s.slot->reader.load() != s.identity)
    return Error{ErrorCode::internal,
                 s.path + ": the server does not see this process; run it in the server's PID namespace"};
  const std::uint64_t run = s.root->run.load(std::memory_order_acquire);
  const std::optional<shardfile::Publication> found = s.root->claim(*s.slot);
  if (!found || found->snapshot == 0)
    return Error{ErrorCode::overloaded, s.path + ": nothing is published; the server has gone, or has just started"};
  const std::size_t wanted = std::size_t{found->pages} * kPageBytes;
  if (wanted > s.bytes)
    if (Status mapped = s.map_file(wanted); !mapped) return mapped;
  s.run = run;
  s.now = *found;
  return {};
}

Lsn LocalShard::lsn() const {
  return Lsn{state_->now.lsn};
}

Result<LocalChunk> LocalShard::chunk(map::LayerId layer, map::ChunkPos chunk) const {
  const shardfile::TreeReader reader({state_->base, state_->bytes}, state_->now.top);
  const shardfile::ChunkView view = reader.read(layer, map::index_in_shard(chunk));
  if (view.damaged) return Error{ErrorCode::internal, state_->path + " is damaged: terrazzo-server verify says where"};
  LocalChunk found;
  found.fill = map::Cell{view.fill};
  found.revision = Lsn{view.revision};
  if (view.cells != nullptr) found.cells = {reinterpret_cast<const map::Cell*>(view.cells), map::kChunkCells};
  return found;
}

bool LocalShard::still_valid() const {
  // What was read before must not be looked at after what tells that it was good.
  std::atomic_thread_fence(std::memory_order_acquire);
  return state_->root->run.load(std::memory_order_acquire) == state_->run &&
         state_->slot->reader.load(std::memory_order_acquire) == state_->identity;
}

}  // namespace terrazzo::client
