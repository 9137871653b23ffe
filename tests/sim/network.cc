#include "tests/sim/network.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "tests/sim/disk.h"
#include "tests/sim/loop.h"

namespace terrazzo::sim {
namespace {

constexpr int kListenFds = 1 << 20, kSocketFds = kListenFds + 1024;
Network* the_network = nullptr;

}  // namespace

Machine* Machine::running = nullptr;

Network::Network(Machine& machine)
    : machine_(machine),
      random_(machine.random.split()),
      next_fd_(kSocketFds),
      latency_ns_(random_.log_between(20 * kMicrosecond, 20 * kMillisecond)),
      room_low_(random_.log_between(512, 16384)),
      room_high_(room_low_ * random_.log_between(1, 32)) {
  TZ_ASSERT(the_network == nullptr);
  the_network = this;
}

Network::~Network() {
  the_network = nullptr;
}

Network* Network::of(int fd) {
  return fd >= kListenFds ? the_network : nullptr;
}

int Network::listen_fd(int core) {
  return kListenFds + core;
}

Network::Socket* Network::find(Link link) {
  const auto found = sockets_.find(link);
  return found == sockets_.end() ? nullptr : found->second.get();
}

Network::Socket* Network::find(int fd) {
  const auto found = by_fd_.find(fd);
  return found == by_fd_.end() ? nullptr : find(found->second);
}

std::uint64_t Network::latency() {
  std::uint64_t delay = latency_ns_ / 2 + random_.below(latency_ns_);
  if (machine_.faults.strikes(Fault::delay, random_)) delay += random_.log_between(kMillisecond, 5 * kSecond);
  return delay;
}

// Bytes of one direction do not overtake each other.
std::uint64_t Network::arrival(Flow& flow) {
  flow.last_arrival = std::max(flow.last_arrival + 1, machine_.schedule.now() + latency());
  return flow.last_arrival;
}

// ---- clients ----

Network::Link Network::dial(Dialer& dialer) {
  const Link link = ++last_link_;
  auto socket = std::make_unique<Socket>();
  socket->link = link;
  socket->dialer = &dialer;
  socket->room = static_cast<std::size_t>(
      random_.between(static_cast<std::int64_t>(room_low_), static_cast<std::int64_t>(room_high_)));
  sockets_[link] = std::move(socket);
  machine_.schedule.after(latency(), [this, link] { connect(link); });
  return link;
}

void Network::connect(Link link) {
  Socket* const socket = find(link);
  if (socket == nullptr || socket->dialer == nullptr) return;
  std::vector<int> ready;
  for (const auto& [fd, listener] : listeners_)
    if (listener.accept != nullptr) ready.push_back(fd);
  if (ready.empty()) return tell_lost(*socket, latency());
  Listener& listener = listeners_[ready[random_.below(ready.size())]];
  socket->fd = next_fd_++;
  socket->loop = listener.loop;
  socket->connected = true;
  by_fd_[socket->fd] = link;
  listener.loop->complete(listener.accept, socket->fd, runtime::Completion::kMore);
  machine_.schedule.after(latency(), [this, link] {
    Socket* const there = find(link);
    if (there != nullptr && there->dialer != nullptr && !there->telling && !there->black) there->dialer->on_connected();
  });
}

void Network::send(Link link, std::span<const std::byte> bytes) {
  Socket* const socket = find(link);
  if (socket == nullptr || !socket->connected || socket->up.ending) return;
  fly(*socket, true, {bytes.begin(), bytes.end()});
}

std::size_t Network::unsent(Link link) const {
  const auto found = sockets_.find(link);
  return found == sockets_.end() ? 0 : found->second->up.flying + found->second->up.there.size();
}

void Network::close(Link link) {
  Socket* const socket = find(link);
  if (socket == nullptr) return;
  socket->dialer = nullptr;
  if (!socket->black) end_flow(*socket, true);
  drop_if_done(link);
}

bool Network::hold(Link link, bool held) {
  Socket* const socket = find(link);
  if (socket == nullptr) return false;
  socket->held = held;
  if (!held) machine_.schedule.after(1, [this, link] { feed_client(link); });
  return true;
}

// ---- bytes under way ----

void Network::fly(Socket& socket, bool up, std::vector<std::byte> bytes) {
  if (socket.black || bytes.empty()) return;
  Flow& flow = up ? socket.up : socket.down;
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::size_t count = bytes.size() - at;
    if (count > 1 && machine_.faults.strikes(Fault::split, random_)) count = 1 + random_.below(count - 1);
    std::vector<std::byte> piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                 bytes.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    flow.flying += count;
    machine_.schedule.at(arrival(flow),
                         [this, link = socket.link, up, piece = std::move(piece)] { arrive(link, up, piece); });
  }
}

void Network::arrive(Link link, bool up, const std::vector<std::byte>& bytes) {
  Socket* const socket = find(link);
  if (socket == nullptr) return;
  Flow& flow = up ? socket->up : socket->down;
  flow.flying -= bytes.size();
  if (socket->black || socket->reset) return;
  flow.there.insert(flow.there.end(), bytes.begin(), bytes.end());
  if (up) {
    feed_server(*socket);
  } else {
    feed_client(link);
  }
}

// What was sent before still arrives.
void Network::end_flow(Socket& socket, bool up) {
  Flow& flow = up ? socket.up : socket.down;
  if (std::exchange(flow.ending, true)) return;
  machine_.schedule.at(arrival(flow), [this, link = socket.link, up] {
    Socket* const there = find(link);
    if (there == nullptr || there->black) return;
    (up ? there->up : there->down).ended = true;
    if (up) {
      feed_server(*there);
    } else {
      feed_client(link);
    }
    drop_if_done(link);
  });
}

void Network::feed_server(Socket& socket) {
  while (socket.loop != nullptr && socket.receive != nullptr && !socket.up.there.empty()) {
    std::uint16_t buffer = 0;
    std::byte* const to = socket.loop->take_buffer(buffer);
    if (to == nullptr) {
      socket.loop->complete(std::exchange(socket.receive, nullptr), -ENOBUFS, 0);
      return;
    }
    std::size_t count = std::min(socket.up.there.size(), runtime::EventLoop::kReceiveBytes);
    if (count > 1 && machine_.faults.strikes(Fault::split, random_)) count = 1 + random_.below(count - 1);
    std::copy_n(socket.up.there.begin(), count, to);
    socket.up.there.erase(socket.up.there.begin(), socket.up.there.begin() + static_cast<std::ptrdiff_t>(count));
    const auto flags = runtime::Completion::kHasBuffer | runtime::Completion::kMore |
                       std::uint32_t{buffer} << runtime::Completion::kBufferShift;
    socket.loop->complete(socket.receive, static_cast<std::int32_t>(count), flags);
  }
  if (socket.loop != nullptr && socket.receive != nullptr && socket.up.ended)
    socket.loop->complete(std::exchange(socket.receive, nullptr), 0, 0);
}

void Network::feed_client(Link link) {
  Socket* const socket = find(link);
  if (socket == nullptr || socket->held || socket->black) return;
  if (!socket->down.there.empty()) {
    const std::vector<std::byte> bytes(socket->down.there.begin(), socket->down.there.end());
    socket->down.there.clear();
    machine_.schedule.mix(crc32c(bytes));
    if (socket->dialer != nullptr) socket->dialer->on_bytes(bytes);
    Socket* const still = find(link);
    if (still == nullptr) return;
    go_on_sending(*still);
  }
  Socket* const still = find(link);
  if (still != nullptr && still->down.ended && still->down.there.empty()) tell_lost(*still, 0);
}

void Network::tell_lost(Socket& socket, std::uint64_t delay) {
  if (socket.dialer == nullptr || std::exchange(socket.telling, true)) return;
  machine_.schedule.after(delay, [this, link = socket.link] {
    Socket* const there = find(link);
    if (there == nullptr || there->dialer == nullptr) return;
    Dialer* const dialer = std::exchange(there->dialer, nullptr);
    if (!there->black) end_flow(*there, true);
    dialer->on_lost();
    drop_if_done(link);
  });
}

void Network::drop_if_done(Link link) {
  Socket* const socket = find(link);
  if (socket == nullptr || socket->dialer != nullptr || socket->loop != nullptr) return;
  if (socket->fd >= 0) by_fd_.erase(socket->fd);
  sockets_.erase(link);
}

// ---- faults ----

bool Network::cut(Link link) {
  Socket* const socket = find(link);
  if (socket == nullptr || !socket->connected || socket->black || socket->reset) return false;
  socket->reset = true;
  socket->up.there.clear();
  socket->down.there.clear();
  tell_lost(*socket, latency());
  machine_.schedule.after(latency(), [this, link] {
    if (Socket* const there = find(link)) finish_operations(*there, -ECONNRESET, -ECONNRESET);
  });
  return true;
}

bool Network::black_hole(Link link) {
  Socket* const socket = find(link);
  if (socket == nullptr) return false;
  socket->black = true;
  return true;
}

bool Network::black(Link link) const {
  const auto found = sockets_.find(link);
  return found != sockets_.end() && found->second->black;
}

bool Network::quiet() const {
  return std::ranges::all_of(sockets_, [](const auto& entry) {
    const Socket& s = *entry.second;
    const auto empty = [](const Flow& flow) { return flow.flying == 0 && flow.there.empty(); };
    return empty(s.up) && empty(s.down) && s.sending == nullptr;
  });
}

// ---- the server's side ----

void Network::accept(int fd, Loop& loop, runtime::Completion* done) {
  listeners_[fd] = {&loop, done};
}

void Network::receive(int fd, runtime::Completion* done) {
  Socket* const socket = find(fd);
  TZ_ASSERT(socket != nullptr && socket->loop != nullptr && socket->receive == nullptr);
  socket->receive = done;
  if (socket->shut || (socket->reset && socket->dialer == nullptr))
    return socket->loop->complete(std::exchange(socket->receive, nullptr), socket->shut ? 0 : -ECONNRESET, 0);
  feed_server(*socket);
}

void Network::stop_receiving(int fd) {
  Socket* const socket = find(fd);
  if (socket != nullptr && socket->loop != nullptr && socket->receive != nullptr)
    socket->loop->complete(std::exchange(socket->receive, nullptr), -ECANCELED, 0);
}

void Network::send(int fd, const msghdr* message, runtime::Completion* done) {
  Socket* const socket = find(fd);
  TZ_ASSERT(socket != nullptr && socket->loop != nullptr && socket->sending == nullptr);
  socket->sending = done;
  socket->message = message;
  if (socket->shut || socket->reset || socket->dialer == nullptr) {
    // To somebody who is gone: the kernel takes the bytes or says so.
    const bool gone = socket->shut || random_.chance(0.5);
    if (gone) return socket->loop->complete(std::exchange(socket->sending, nullptr), -EPIPE, 0);
    std::size_t size = 0;
    for (std::size_t i = 0; i < message->msg_iovlen; ++i) size += message->msg_iov[i].iov_len;
    return socket->loop->complete(std::exchange(socket->sending, nullptr), static_cast<std::int32_t>(size), 0);
  }
  go_on_sending(*socket);
}

void Network::go_on_sending(Socket& socket) {
  if (socket.sending == nullptr || socket.loop == nullptr) return;
  const std::size_t full = socket.down.there.size() + socket.down.flying;
  if (full >= socket.room) return;
  std::size_t left = socket.room - full;
  if (left > 1 && machine_.faults.strikes(Fault::split, random_)) left = 1 + random_.below(left - 1);
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < socket.message->msg_iovlen && left != 0; ++i) {
    const auto* from = static_cast<const std::byte*>(socket.message->msg_iov[i].iov_base);
    const std::size_t count = std::min(left, socket.message->msg_iov[i].iov_len);
    bytes.insert(bytes.end(), from, from + count);
    left -= count;
  }
  const auto taken = static_cast<std::int32_t>(bytes.size());
  // In a black hole they fill the kernel's buffer.
  if (socket.black) socket.down.flying += bytes.size();
  if (machine_.disk == nullptr || !machine_.disk->dead()) fly(socket, false, std::move(bytes));
  socket.loop->complete(std::exchange(socket.sending, nullptr), taken, 0);
}

void Network::finish_operations(Socket& socket, std::int32_t receive_result, std::int32_t send_result) {
  if (socket.loop == nullptr) return;
  if (socket.receive != nullptr) socket.loop->complete(std::exchange(socket.receive, nullptr), receive_result, 0);
  if (socket.sending != nullptr) socket.loop->complete(std::exchange(socket.sending, nullptr), send_result, 0);
}

int Network::shutdown(int fd, int how) {
  if (const auto listener = listeners_.find(fd); listener != listeners_.end()) {
    if (runtime::Completion* const done = std::exchange(listener->second.accept, nullptr))
      listener->second.loop->complete(done, -EINVAL, 0);
    return 0;
  }
  Socket* const socket = find(fd);
  if (socket == nullptr) return 0;
  end_flow(*socket, false);
  if (how == SHUT_WR) return 0;
  socket->shut = true;
  finish_operations(*socket, 0, -EPIPE);
  return 0;
}

int Network::close(int fd) {
  if (listeners_.erase(fd) != 0) return 0;
  Socket* const socket = find(fd);
  if (socket == nullptr) return 0;
  TZ_ASSERT(socket->receive == nullptr && socket->sending == nullptr);
  end_flow(*socket, false);
  socket->loop = nullptr;
  drop_if_done(socket->link);
  return 0;
}

void Network::buffers_free(Loop& loop) {
  for (auto& [link, socket] : sockets_)
    if (socket->loop == &loop) feed_server(*socket);
}

void Network::cancel(Loop& loop) {
  for (auto& [fd, listener] : listeners_)
    if (listener.loop == &loop && listener.accept != nullptr)
      loop.complete(std::exchange(listener.accept, nullptr), -ECANCELED, 0);
  for (auto& [link, socket] : sockets_)
    if (socket->loop == &loop) finish_operations(*socket, -ECANCELED, -ECANCELED);
}

void Network::server_died() {
  listeners_.clear();
  std::vector<Link> ends;
  for (auto& [link, socket] : sockets_) {
    socket->receive = socket->sending = nullptr;
    socket->loop = nullptr;
    if (socket->connected && !socket->black) tell_lost(*socket, latency());
    ends.push_back(link);
  }
  for (const Link link : ends) drop_if_done(link);
}

}  // namespace terrazzo::sim
