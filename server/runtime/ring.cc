#include "server/runtime/ring.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/assert.h"
#include "server/runtime/clock.h"
#include "server/runtime/ring_buffers.h"

namespace terrazzo::runtime {
namespace {

static_assert(Completion::kHasBuffer == IORING_CQE_F_BUFFER && Completion::kMore == IORING_CQE_F_MORE &&
              Completion::kBufferShift == IORING_CQE_BUFFER_SHIFT);

// Largest count one write may have (the kernel stops at 2^31 - 4096); more is written in turns.
constexpr std::size_t kWriteBytesMax = std::size_t{1} << 30;
// Multishot receives give many completions per entry, so the completion queue is larger than the submission queue.
constexpr std::uint32_t kCompletionsPerEntry = 4;

// Sets of set-up flags, best first: one submitting thread, and completion work only when that thread asks for it (6.1);
// no interrupts for completion work (5.19); anything older. R_DISABLED lets the thread that uses the ring be the one
// that starts it.
constexpr unsigned kSetups[] = {
    IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED,
};

constexpr std::size_t kSetupOf5_19 = 1;

// 0 or -errno.
int set_up(std::uint32_t entries, RingAge age, ::io_uring& ring, unsigned& flags) {
  int error = -EINVAL;
  for (const unsigned setup : std::span(kSetups).subspan(age == RingAge::linux_5_19 ? kSetupOf5_19 : 0)) {
    ::io_uring_params params{};
    params.flags = setup | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * kCompletionsPerEntry;
    error = ::io_uring_queue_init_params(entries, &ring, &params);
    flags = setup;
    if (error != -EINVAL) return error;
  }
  return error;
}

std::string denial(int error) {
  std::string sysctl;
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> sysctl;
  const std::string name = fmt::format("io_uring_setup: {} ({})", std::strerror(-error), -error);
  if ((error == -EPERM || error == -EACCES) && (sysctl == "1" || sysctl == "2"))
    return name + ": the sysctl kernel.io_uring_disabled is " + sysctl +
           "; set it to 0 (sysctl -w kernel.io_uring_disabled=0) or, where it is 1, put the server's user into "
           "kernel.io_uring_group";
  if (error == -ENOSYS)
    return name +
           ": this kernel is built without io_uring or older than 5.19, or a seccomp profile says so; it is in Linux "
           "5.19 "
           "and newer";
  if (error == -EPERM || error == -EACCES)
    return name +
           ": most likely a seccomp profile forbids it (Docker's and Podman's default ones do); start the "
           "container with a profile that allows io_uring_setup, io_uring_enter and io_uring_register (the "
           "compose file brings one), or run outside a container on Linux 5.19 or newer";
  if (error == -ENOMEM)
    return name +
           ": the limit on locked memory is too small for the ring; raise it (ulimit -l, LimitMEMLOCK=, or the "
           "container's memlock ulimit)";
  if (error == -EMFILE || error == -ENFILE)
    return name + ": no file descriptor left; raise the limit (ulimit -n, LimitNOFILE=)";
  return name;
}

bool provided_buffers_work(::io_uring& ring) {
  const std::size_t bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  ::io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(memory);
  registration.ring_entries = 8;
  constexpr std::uint16_t kProbeGroup = 0xffff;
  registration.bgid = kProbeGroup;
  const bool works = ::io_uring_register_buf_ring(&ring, &registration, 0) == 0;
  if (works) ::io_uring_unregister_buf_ring(&ring, kProbeGroup);
  ::munmap(memory, bytes);
  return works;
}

RingFeatures features_of(::io_uring& ring, unsigned setup, RingAge age) {
  RingFeatures features;
  features.defer_taskrun = (setup & IORING_SETUP_DEFER_TASKRUN) != 0;
  if (::io_uring_probe* probe = ::io_uring_get_probe_ring(&ring); probe != nullptr) {
    // Multishot has no bit of its own. Accept learned it in 5.19, with IORING_OP_SOCKET; receive in 6.0, with SEND_ZC.
    features.multishot_accept = ::io_uring_opcode_supported(probe, IORING_OP_SOCKET) != 0;
    features.multishot_receive = age == RingAge::newest && ::io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
    features.message_ring = ::io_uring_opcode_supported(probe, IORING_OP_MSG_RING) != 0;
    ::io_uring_free_probe(probe);
  }
  features.provided_buffers = provided_buffers_work(ring);
  features.available =
      features.provided_buffers && features.multishot_accept && (ring.features & IORING_FEAT_NODROP) != 0;
  if (!features.available)
    features.why_not =
        "io_uring is there, but without provided buffers or multishot accept: Linux 5.19 or newer is needed";
  return features;
}

}  // namespace

RingFeatures probe_ring() {
  ::io_uring ring{};
  unsigned setup = 0;
  const int error = set_up(8, RingAge::newest, ring, setup);
  if (error < 0) {
    RingFeatures features;
    features.why_not = denial(error);
    return features;
  }
  RingFeatures features = features_of(ring, setup, RingAge::newest);
  ::io_uring_queue_exit(&ring);
  return features;
}

namespace {

// One write_and_datasync under way: a write that completes when its data is durable (RWF_DSYNC), which takes one trip
// through the kernel's workers where a write linked to a data sync takes two (docs/decisions/0007). A short write is
// followed by one of the rest.
struct WriteOperation final : Completion {
  void complete(std::int32_t result, std::uint32_t) override;

  Ring* ring = nullptr;
  std::vector<WriteOperation*>* idle = nullptr;
  int fd = -1;
  std::span<const std::byte> rest;
  std::uint64_t offset = 0;
  Completion* done = nullptr;

  void start();
  void finish(std::int32_t result) {
    Completion* const caller = std::exchange(done, nullptr);
    idle->push_back(this);
    if (caller != nullptr) caller->complete(result, 0);
  }
};

void WriteOperation::start() {
  const std::size_t count = std::min(rest.size(), kWriteBytesMax);
  ::io_uring_sqe* entry = ring->next_entry(this);
  ::io_uring_prep_write(entry, fd, rest.data(), static_cast<unsigned>(count), offset);
  entry->rw_flags = RWF_DSYNC;
}

void WriteOperation::complete(std::int32_t result, std::uint32_t) {
  if (result == -EINTR || result == -EAGAIN) return start();
  if (result < 0) return finish(result);
  const auto written = static_cast<std::size_t>(result);
  if (written == 0 && !rest.empty()) return finish(-EIO);
  TZ_ASSERT(written <= rest.size());
  rest = rest.subspan(written);
  offset += written;
  if (!rest.empty()) return start();
  finish(0);
}

}  // namespace

struct Ring::State {
  // Reads the eventfd that other threads write to. An eventfd and not MSG_RING: anybody may write to it (a thread
  // without a ring, a signal handler), a ring that one thread alone may submit to cannot be the sender's, and waking a
  // parked core was measured to take as long either way.
  struct WakeUp final : Completion {
    explicit WakeUp(Ring::State& s) : state(s) {}
    void complete(std::int32_t, std::uint32_t) override { state.woken(); }
    Ring::State& state;
  };

  ::io_uring ring{};
  RingFeatures features;
  unsigned setup = 0;
  bool started = false, running_completions = false;
  std::thread::id owner;
  std::uint64_t system_calls = 0;
  std::unique_ptr<RingBuffers> buffers;
  int wake_fd = -1;
  std::uint64_t wake_count = 0;
  std::atomic<bool> wake_pending{false};
  WakeUp wake_up{*this};
  Ring* self = nullptr;
  std::vector<std::unique_ptr<WriteOperation>> writes;
  std::vector<WriteOperation*> idle_writes;

  ~State() {
    ::io_uring_queue_exit(&ring);
    if (wake_fd >= 0) ::close(wake_fd);
  }

  void start() {
    if (started) return;
    // io_uring_enable_rings() by hand: the shared library of liburing 2.3 forgot to export it.
    TZ_ASSERT(::syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
    started = true;
    owner = std::this_thread::get_id();
  }

  void arm_wake_up() { ::io_uring_prep_read(self->next_entry(&wake_up), wake_fd, &wake_count, sizeof(wake_count), 0); }

  void woken() {
    // An exchange and not a store: it reads what the waker wrote, so that everything the waker did before wake() is
    // seen.
    wake_pending.exchange(false, std::memory_order_acq_rel);
    arm_wake_up();
  }

  // Errors that say "later" are answered by the next call; others mean that we used the ring wrongly.
  void check(int result) const {
    const bool later =
        result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
    TZ_ASSERT(result >= 0 || later);
  }

  void submit() {
    start();
    ++system_calls;
    check(::io_uring_submit(&ring));
  }

  void run_completions() {
    TZ_ASSERT(!running_completions);
    running_completions = true;
    unsigned head = 0, count = 0;
    ::io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring, head, entry) {
      auto* const completion = static_cast<Completion*>(::io_uring_cqe_get_data(entry));
      if (completion != nullptr) completion->complete(entry->res, entry->flags);
      ++count;
    }
    ::io_uring_cq_advance(&ring, count);
    running_completions = false;
  }
};

Ring::Ring(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->self = this;
}
Ring::~Ring() = default;

Result<std::unique_ptr<Ring>> Ring::create(std::uint32_t entries, std::uint16_t receive_buffers, RingAge age) {
  auto state = std::make_unique<State>();
  // queue_exit on a ring that was never set up would unmap address zero.
  ::io_uring ring{};
  const int error = set_up(entries, age, ring, state->setup);
  if (error < 0) {
    state->ring.ring_fd = -1;
    (void)state.release();
    return Error{ErrorCode::unsupported, denial(error)};
  }
  state->ring = ring;
  state->features = features_of(state->ring, state->setup, age);
  if (!state->features.available) return Error{ErrorCode::unsupported, state->features.why_not};
  if (receive_buffers != 0) state->buffers = std::make_unique<RingBuffers>(state->ring, receive_buffers);
  state->wake_fd = ::eventfd(0, EFD_CLOEXEC);
  if (state->wake_fd < 0)
    return Error{ErrorCode::internal, fmt::format("eventfd: {}; raise the limit on open files", std::strerror(errno))};
  std::unique_ptr<Ring> made(new Ring(std::move(state)));
  made->state_->arm_wake_up();
  return made;
}

const RingFeatures& Ring::features() const {
  return state_->features;
}
std::uint64_t Ring::system_calls() const {
  return state_->system_calls;
}
bool Ring::usable_here() const {
  return !state_->started || state_->owner == std::this_thread::get_id();
}
bool Ring::all_submitted() const {
  return ::io_uring_sq_ready(&state_->ring) == 0;
}

void Ring::make_room(std::uint32_t count) {
  TZ_ASSERT(count <= state_->ring.sq.ring_entries);
  while (::io_uring_sq_space_left(&state_->ring) < count) state_->submit();
}

::io_uring_sqe* Ring::next_entry(Completion* done) {
  make_room(1);
  ::io_uring_sqe* const entry = ::io_uring_get_sqe(&state_->ring);
  TZ_ASSERT(entry != nullptr);
  std::memset(entry, 0, sizeof(*entry));
  ::io_uring_sqe_set_data(entry, done);
  return entry;
}

// ---- sockets ----

void Ring::accept(int listen_fd, Completion* done) {
  ::io_uring_prep_multishot_accept(next_entry(done), listen_fd, nullptr, nullptr, SOCK_CLOEXEC);
}

void Ring::receive(int fd, Completion* done) {
  TZ_ASSERT(state_->buffers != nullptr);
  ::io_uring_sqe* const entry = next_entry(done);
  if (state_->features.multishot_receive) {
    ::io_uring_prep_recv_multishot(entry, fd, nullptr, 0, 0);
  } else {
    ::io_uring_prep_recv(entry, fd, nullptr, kReceiveBytes, 0);
  }
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = RingBuffers::kGroup;
}

void Ring::stop_receiving(int, Completion* done) {
  ::io_uring_prep_cancel(next_entry(nullptr), done, 0);
}

std::span<const std::byte> Ring::buffer(std::uint16_t id, std::size_t size) const {
  return state_->buffers->bytes(id, size);
}
void Ring::give_back(std::uint16_t id) {
  state_->buffers->give_back(id);
}

void Ring::send(int fd, const msghdr* message, Completion* done) {
  ::io_uring_prep_sendmsg(next_entry(done), fd, message, MSG_NOSIGNAL | MSG_WAITALL);
}

void Ring::close(int fd) {
  ++state_->system_calls;
  ::close(fd);
}

// ---- files ----

void Ring::write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done) {
  if (state_->idle_writes.empty()) {
    state_->writes.push_back(std::make_unique<WriteOperation>());
    state_->writes.back()->ring = this;
    state_->writes.back()->idle = &state_->idle_writes;
    state_->idle_writes.push_back(state_->writes.back().get());
  }
  WriteOperation* const operation = state_->idle_writes.back();
  state_->idle_writes.pop_back();
  operation->fd = fd;
  operation->rest = bytes;
  operation->offset = offset;
  operation->done = done;
  operation->start();
}

void Ring::datasync(int fd, Completion* done) {
  ::io_uring_prep_fsync(next_entry(done), fd, IORING_FSYNC_DATASYNC);
}

// ---- waiting ----

void Ring::wake() {
  if (state_->wake_pending.exchange(true, std::memory_order_acq_rel)) return;  // one is on its way
  const std::uint64_t one = 1;
  const ssize_t written = ::write(state_->wake_fd, &one, sizeof(one));
  TZ_ASSERT(written == sizeof(one));
}

void Ring::submit_and_wait(std::uint64_t timeout_ns) {
  state_->start();
  ::io_uring& ring = state_->ring;
  if (timeout_ns == 0) {
    const unsigned kernel_flags = IO_URING_READ_ONCE(*ring.sq.kflags);
    if (::io_uring_sq_ready(&ring) != 0 || (kernel_flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
      ++state_->system_calls;
      state_->check(::io_uring_submit_and_get_events(&ring));
    }
  } else {
    ::__kernel_timespec timeout{static_cast<long long>(timeout_ns / kNsPerSecond),
                                static_cast<long long>(timeout_ns % kNsPerSecond)};
    ::io_uring_cqe* first = nullptr;
    ++state_->system_calls;
    state_->check(::io_uring_submit_and_wait_timeout(&ring, &first, 1, &timeout, nullptr));
  }
  state_->run_completions();
}

}  // namespace terrazzo::runtime
