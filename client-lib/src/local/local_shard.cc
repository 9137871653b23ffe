#include "terrazzo/local_shard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <thread>

#include "shardfile/bus_guard.h"
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

// <x>_<y>.shard
std::optional<map::ShardPos> position_in(const std::string& path) {
  const char* at = path.data() + path.rfind('/') + 1;
  const char* const end = path.data() + path.size();
  map::ShardPos position;
  const auto column = std::from_chars(at, end, position.x);
  if (column.ec != std::errc() || column.ptr == end || *column.ptr != '_') return std::nullopt;
  const auto row = std::from_chars(column.ptr + 1, end, position.y);
  if (row.ec != std::errc() || std::string_view(row.ptr, end) != ".shard") return std::nullopt;
  return position;
}

}  // namespace

std::string local_shard_file(const std::string& data_folder, WorldId world, map::ShardPos shard) {
  return fmt::format("{}/worlds/{}/{}_{}.shard", data_folder, world.value, shard.x, shard.y);
}

void guard_local_shards() {
  shardfile::install_bus_guard();
}

struct LocalShard::State {
  std::string path;
  map::ShardPos position;
  int fd = -1;
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  shardfile::GuardedRange file_guard, root_guard;
  shardfile::PublishedRoot* root = nullptr;
  shardfile::ReaderSlot* slot = nullptr;
  std::uint64_t identity = 0;

  std::uint64_t run = 0;
  shardfile::Publication now;  // snapshot 0: no view

  ~State() {
    if (slot != nullptr) root->leave(*slot, identity);
    file_guard.clear();
    root_guard.clear();
    if (root != nullptr) ::munmap(root, kPageBytes);
    if (base != nullptr) ::munmap(base, bytes);
    if (fd >= 0) ::close(fd);
  }
  Status map_root();
  Status map_file(std::size_t wanted);
  bool holds() const;
  Error why_not() const;
  Error cut_off() const {
    return {ErrorCode::internal,
            path + ": somebody cut it off while it was in use; stop the server and restore it from a backup"};
  }
  shardfile::ChunkView look(map::LayerId layer, map::ChunkPos chunk) const;
  bool has(map::ChunkPos chunk) const { return map::shard_of(chunk) == position; }
  Error elsewhere(const char* what) const;
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
  root_guard.set(memory, kPageBytes);
  if (root->magic.load() == shardfile::kPublishedMagic) return {};
  return Error{ErrorCode::internal,
               page +
                   " is not of a Terrazzo server, or of one of another version; bring the program and "
                   "the server to the same version"};
}

Status LocalShard::State::map_file(std::size_t wanted) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return failed(path, "cannot be looked at");
  const auto size = static_cast<std::size_t>(about.st_size) / kPageBytes * kPageBytes;
  if (size < wanted) return cut_off();
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return failed(path, "cannot be mapped");
  file_guard.set(memory, size);
  if (base != nullptr) ::munmap(base, bytes);
  base = static_cast<std::byte*>(memory);
  bytes = size;
  return {};
}

// The reader's half of the sequence lock of PublishedRoot::evict().
bool LocalShard::State::holds() const {
  // What was read before must not be looked at after what tells that it was good.
  std::atomic_thread_fence(std::memory_order_acquire);
  return slot->claimed.load(std::memory_order_acquire) == now.snapshot && now.snapshot != 0 &&
         root->run.load(std::memory_order_acquire) == run && slot->reader.load(std::memory_order_acquire) == identity &&
         !file_guard.faulted();
}

Error LocalShard::State::why_not() const {
  if (file_guard.faulted()) return cut_off();
  if (root_guard.faulted())
    return {ErrorCode::internal, path + ": somebody cut off the page beside it; open the shard again"};
  if (slot->reader.load() != identity)
    return {ErrorCode::internal, path + ": the server does not see this process; run it in the server's PID namespace"};
  if (root->run.load() != run)
    return {ErrorCode::conflict, path + ": your view was closed by a restart of the server; refresh() makes a new one"};
  if (slot->claimed.load() == shardfile::kEvicted)
    return {ErrorCode::conflict, path +
                                     ": your view was closed: it had been overtaken for longer than the server's "
                                     "--reader-hold-s allows; refresh() shows the newest state"};
  return {ErrorCode::conflict, path + ": there is no view since refresh() failed; call it again"};
}

Error LocalShard::State::elsewhere(const char* what) const {
  const map::Rect cells = map::cells_of(position);
  return {ErrorCode::out_of_bounds, fmt::format("{}: the {} is outside; it has cells {},{} to {},{}", path, what,
                                                cells.x0, cells.y0, cells.x1 - 1, cells.y1 - 1)};
}

shardfile::ChunkView LocalShard::State::look(map::LayerId layer, map::ChunkPos chunk) const {
  // Not beyond the pages of this state: what lies there is not the view's, whatever a closed view's nodes say.
  const shardfile::TreeReader reader({base, std::size_t{now.pages} * kPageBytes}, now.top);
  return reader.read(layer, map::index_in_shard(chunk));
}

LocalShard::LocalShard(std::unique_ptr<State> state) : state_(std::move(state)) {}
LocalShard::~LocalShard() = default;

Result<std::unique_ptr<LocalShard>> LocalShard::open(const std::string& file, std::chrono::milliseconds patience) {
  auto state = std::make_unique<State>();
  state->path = file;
  const std::optional<map::ShardPos> position = position_in(file);
  if (!position) return Error{ErrorCode::bad_message, file + ": a shard's file is called <x>_<y>.shard"};
  state->position = *position;
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
    // What a server published that was killed is still there, but nobody will ever publish anything newer.
    const Status refreshed = shardfile::process_gone(shard->state_->root->server.load())
                                 ? Error{ErrorCode::overloaded, file + ": the server that had it open has gone"}
                                 : shard->refresh();
    if (refreshed) return shard;
    if (refreshed.error().code != ErrorCode::overloaded || std::chrono::steady_clock::now() > until)
      return refreshed.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

map::ShardPos LocalShard::position() const {
  return state_->position;
}

Status LocalShard::refresh() {
  State& s = *state_;
  // Nothing to write where nothing is new: a store to what the server reads would cost more than the rest.
  if (s.holds() && s.root->snapshot.load(std::memory_order_acquire) == s.now.snapshot) return {};
  if (s.slot->reader.load() != s.identity) return s.why_not();
  const std::uint64_t run = s.root->run.load(std::memory_order_acquire);
  const std::optional<shardfile::Publication> found = s.root->claim(*s.slot);
  if (!found || found->snapshot == 0)
    return Error{ErrorCode::overloaded, s.path + ": nothing is published; the server has gone, or has just started"};
  s.now = {};
  const std::size_t wanted = std::size_t{found->pages} * kPageBytes;
  if (wanted > s.bytes || s.file_guard.faulted())
    if (Status mapped = s.map_file(wanted); !mapped) return mapped;
  s.run = run;
  s.now = *found;
  return {};
}

Lsn LocalShard::lsn() const {
  return Lsn{state_->now.lsn};
}

Lsn LocalShard::newest_lsn() const {
  const std::optional<shardfile::Publication> newest = state_->root->read();
  return newest && newest->snapshot != 0 ? Lsn{newest->lsn} : lsn();
}

Result<LocalChunk> LocalShard::chunk(map::LayerId layer, map::ChunkPos chunk) const {
  const State& s = *state_;
  if (!s.has(chunk)) return s.elsewhere("chunk");
  const shardfile::ChunkView view = s.look(layer, chunk);
  if (!s.holds()) return s.why_not();
  if (view.damaged) return Error{ErrorCode::internal, s.path + " is damaged: terrazzo-server verify says where"};
  LocalChunk found;
  found.fill = map::Cell{view.fill};
  found.revision = Lsn{view.revision};
  if (view.cells != nullptr) found.cells = {reinterpret_cast<const map::Cell*>(view.cells), map::kChunkCells};
  return found;
}

Status LocalShard::read(map::LayerId layer, const map::Rect& area, std::span<map::Cell> out) const {
  const State& s = *state_;
  if (area.empty() || !map::cells_of(s.position).contains(area)) return s.elsewhere("area");
  if (out.size() != area.area())
    return Error{ErrorCode::bad_message,
                 fmt::format("{} cells of room are not the area's {}", out.size(), area.area())};
  const map::Rect chunks = map::chunks_of(area);
  for (std::int64_t row = chunks.y0; row < chunks.y1; ++row) {
    for (std::int64_t column = chunks.x0; column < chunks.x1; ++column) {
      const map::ChunkPos at{static_cast<std::int32_t>(column), static_cast<std::int32_t>(row)};
      const Result<LocalChunk> found = chunk(layer, at);
      if (!found) return found.error();
      const map::Rect part = map::cells_of(at).intersect(area);
      for (std::int64_t y = part.y0; y < part.y1; ++y) {
        map::Cell* const to = out.data() + (y - area.y0) * area.width() + (part.x0 - area.x0);
        const map::CellPos first{static_cast<std::int32_t>(part.x0), static_cast<std::int32_t>(y)};
        if (found->cells.empty())
          std::fill_n(to, part.width(), found->fill);
        else
          std::copy_n(found->cells.data() + map::index_in_chunk(first), part.width(), to);
      }
    }
  }
  return valid();
}

Status LocalShard::valid() const {
  if (state_->holds()) return {};
  return state_->why_not();
}

}  // namespace terrazzo::client
