#include "terrazzo/client.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <deque>
#include <random>
#include <utility>

#include "client-lib/src/net/reactor_loop.h"
#include "client-lib/src/net/url.h"
#include "client-lib/src/net/websocket.h"
#include "client-lib/src/sync/sync_machine.h"
#include "proto/codec.h"

namespace terrazzo::client {
namespace {

using std::chrono::milliseconds;
// What may wait to be written before edits are kept back: the network is the bottleneck then, and memory is better
// spent.
constexpr std::size_t kQueuedBytesMax = 1 << 20;
constexpr milliseconds kTick{500};

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

ConnectOptions with_seed(ConnectOptions options) {
  std::random_device device;
  if (options.seed == 0) options.seed = std::uint64_t{device()} << 32 | device();
  return options;
}

}  // namespace

// Carries the machine's effects out. Not moved once made: handlers hold its address.
struct Client::Core final : SyncOutput {
  Core(Reactor& own_reactor, ConnectOptions own_options)
      : reactor(own_reactor),
        options(with_seed(std::move(own_options))),
        machine(options, *this),
        socket(reactor, options.form, options.message_bytes_max, options,
               {[this] { on_open(); }, [this](std::span<const std::byte> bytes) { on_message(bytes); },
                [this](std::uint16_t code, std::string reason) { on_closed(code, reason); },
                [this] { machine.writable_again(); }}),
        tick_timer(reactor.loop().io),
        retry_timer(reactor.loop().io),
        presence_timer(reactor.loop().io) {}

  // ---- SyncOutput ----
  void send(const proto::ClientMessage& message) override {
    payload.clear();
    encoder.append(options.form, message, payload);
    ++statistics.messages_sent;
    statistics.bytes_sent += payload.size();
    socket.send(payload);
  }
  bool writable() const override { return socket.queued_bytes() < kQueuedBytesMax; }
  void drop() override { socket.drop(); }
  void emit(Event event) override {
    note_callbacks(event);
    if (callback) return callback(event);
    events.push_back(std::move(event));
    if (events.size() <= options.events_max) return;
    events.pop_front();
    ++lost_events;
  }
  void note_callbacks(const Event& event) {
    if (edit_callbacks.empty()) return;
    const auto run = [&](EditId id, bool last) {
      const auto found = edit_callbacks.find(id);
      if (found == edit_callbacks.end()) return;
      const EditCallback done = found->second;
      if (last) edit_callbacks.erase(found);
      done(event);
    };
    if (const auto* applied = std::get_if<EditApplied>(&event)) run(applied->edit, false);
    if (const auto* durable = std::get_if<EditDurable>(&event)) run(durable->edit, true);
    if (const auto* undone = std::get_if<UndoDone>(&event)) run(undone->id, true);
    if (const auto* rejected = std::get_if<EditRejected>(&event)) run(rejected->edit, true);
  }

  Result<EditId> undo(const proto::Undo& wanted, EditCallback done) {
    // As for an edit.
    const EditId next{machine.held().last().value + 1};
    if (done) edit_callbacks[next] = std::move(done);
    const Result<EditId> id = machine.undo(wanted);
    if (!id) edit_callbacks.erase(next);
    return id;
  }

  // ---- the connection ----
  // What the program is told comes last, here and below: it may connect or close the client then.
  void start() {
    socket.connect(url, options.connect_timeout_ms);
    arm_tick();
    machine.connecting();
  }
  void on_open() {
    ++statistics.connections;
    machine.connected(now_us());
  }
  void on_message(std::span<const std::byte> bytes) {
    ++statistics.messages_received;
    statistics.bytes_received += bytes.size();
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) {
      aligned.resize((bytes.size() + 7) / 8);
      std::memcpy(aligned.data(), bytes.data(), bytes.size());
      bytes = {reinterpret_cast<const std::byte*>(aligned.data()), bytes.size()};
    }
    arena.reset();
    const auto messages = proto::decode_server_messages(options.form, bytes, arena);
    if (!messages) {
      socket.drop();
      return emit(ServerError{messages.error()});
    }
    for (const proto::ServerMessage& message : *messages) machine.received(message, now_us());
    arm_presence();  // the world may just have been opened
  }
  void on_closed(std::uint16_t code, const std::string& reason) {
    if (!machine.wants_connection()) return;  // closed() was told by stop()
    machine.disconnected(code, reason);
    if (machine.state() != State::waiting) return;
    retry_timer.expires_after(milliseconds(machine.retry_in_ms()));
    retry_timer.async_wait([this, here = std::weak_ptr<void>(alive)](const boost::system::error_code& error) {
      if (!error && !here.expired() && machine.state() == State::waiting) start();
    });
  }
  void arm_tick() {
    tick_timer.expires_after(kTick);
    tick_timer.async_wait([this, here = std::weak_ptr<void>(alive)](const boost::system::error_code& error) {
      if (error || here.expired() || !machine.wants_connection()) return;
      if (machine.tick(now_us())) socket.drop();
      arm_tick();
    });
  }
  // When a presence waits for its time.
  void arm_presence() {
    const auto due = machine.presence_due_us();
    if (!due || presence_armed) return;
    presence_armed = true;
    const std::uint64_t now = now_us();
    // What waits because the connection takes nothing is looked at again as often as it may be sent.
    const std::uint64_t interval = 1'000'000 / std::max(options.presence_per_second, 1u);
    presence_timer.expires_after(std::chrono::microseconds(*due > now ? *due - now : interval));
    presence_timer.async_wait([this, here = std::weak_ptr<void>(alive)](const boost::system::error_code& error) {
      if (error || here.expired()) return;
      presence_armed = false;
      machine.tick_presence(now_us());
      arm_presence();
    });
  }
  void stop() {
    if (!machine.wants_connection()) return;
    tick_timer.cancel();
    retry_timer.cancel();
    socket.close();
    machine.closed();
  }

  Reactor& reactor;
  const ConnectOptions options;
  Url url;
  proto::Encoder encoder;
  proto::ByteBuffer payload;
  std::vector<std::uint64_t> aligned;
  Arena arena;
  std::deque<Event> events;
  std::uint64_t lost_events = 0;
  std::function<void(const Event&)> callback;
  std::map<EditId, EditCallback> edit_callbacks;
  Statistics statistics;
  SyncMachine machine;
  WebSocket socket;
  boost::asio::steady_timer tick_timer, retry_timer, presence_timer;
  bool presence_armed = false;
  // Handlers of timers that were due when the client went find it gone.
  std::shared_ptr<void> alive = std::make_shared<int>(0);
};

Client::Client(ConnectOptions options)
    : own_reactor_(new Reactor), core_(new Core(*own_reactor_, std::move(options))) {}
Client::Client(Reactor& reactor, ConnectOptions options) : core_(new Core(reactor, std::move(options))) {}

Client::~Client() {
  core_->callback = [](const Event&) {};
}

Status Client::connect() {
  Result<Url> url = parse_websocket_url(core_->options.url);
  if (!url) return url.error();
  core_->url = *std::move(url);
  if (!core_->machine.wants_connection()) core_->start();
  return {};
}

void Client::close() {
  core_->stop();
}
void Client::drop_connection() {
  core_->socket.drop();
}
void Client::set_token(std::string token) {
  core_->machine.set_token(std::move(token));
}
Status Client::open(std::string_view world) {
  return core_->machine.open(world);
}
State Client::state() const {
  return core_->machine.state();
}
const std::optional<Error>& Client::last_error() const {
  return core_->machine.last_error();
}
SessionId Client::session() const {
  return core_->machine.session();
}
Incarnation Client::incarnation() const {
  return core_->machine.incarnation();
}
std::string_view Client::role() const {
  return core_->machine.role();
}
const proto::Limits& Client::limits() const {
  return core_->machine.limits();
}
const map::World* Client::world() const {
  return core_->machine.world();
}

Result<SubscriptionId> Client::subscribe(const map::Rect& rect, std::span<const map::LayerId> layers) {
  return core_->machine.subscribe(rect, layers);
}
Status Client::move_subscription(SubscriptionId subscription, const map::Rect& rect) {
  return core_->machine.move_subscription(subscription, rect);
}
void Client::unsubscribe(SubscriptionId subscription) {
  core_->machine.unsubscribe(subscription);
}
bool Client::is_ready(SubscriptionId subscription) const {
  return core_->machine.is_ready(subscription);
}

Result<EditId> Client::edit(const EditDraft& draft, map::AckMode ack, EditCallback done) {
  // Known before the edit is made, so that no event is missed.
  const EditId next{core_->machine.held().last().value + 1};
  if (done) core_->edit_callbacks[next] = std::move(done);
  const Result<EditId> id = core_->machine.edit(draft, ack);
  if (!id) core_->edit_callbacks.erase(next);
  return id;
}

Result<EditId> Client::edit(std::span<const map::Op> ops, std::span<const map::Condition> conditions, map::AckMode ack,
                            EditCallback done) {
  EditDraft draft;
  for (const map::Op& op : ops) draft.add(op);
  for (const map::Condition& condition : conditions) {
    if (condition.cells.empty()) {
      draft.require(condition.layer, condition.rect, condition.cell);
    } else {
      draft.require(condition.layer, condition.rect, condition.cells);
    }
  }
  return edit(draft, ack, std::move(done));
}

Result<EditId> Client::undo(EditId edit, SessionId author, EditCallback done) {
  return core_->undo({{}, false, edit, author}, std::move(done));
}
Result<EditId> Client::redo(EditId edit, SessionId author, EditCallback done) {
  return core_->undo({{}, true, edit, author}, std::move(done));
}

bool Client::is_applied(EditId edit) const {
  return core_->machine.held().is_applied(edit) && !core_->machine.undos().contains(edit);
}
bool Client::is_durable(EditId edit) const {
  return core_->machine.held().is_durable(edit) && !core_->machine.undos().contains(edit);
}
std::optional<Error> Client::rejection(EditId edit) const {
  return core_->machine.held().rejection(edit);
}

std::size_t Client::edits_waiting() const {
  const auto& table = core_->machine.held().table();
  const auto edits = std::ranges::count_if(table, [](const auto& entry) { return !entry.second.durable; });
  return static_cast<std::size_t>(edits) + core_->machine.undos().size();
}

std::optional<map::Cell> Client::read(map::LayerId layer, map::CellPos position, View view) const {
  return core_->machine.replica().read(layer, position, view == View::optimistic);
}

bool Client::read_chunk(map::LayerId layer, map::ChunkPos chunk, std::span<map::Cell, map::kChunkCells> out,
                        View view) const {
  const CellBlock* block = core_->machine.replica().block({layer, chunk}, view == View::optimistic);
  if (block == nullptr) return false;
  block->copy_to(out);
  return true;
}

bool Client::read_rect(map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out, View view) const {
  TZ_ASSERT(out.size() == rect.area());
  bool whole = true;
  map::for_each_chunk_part(rect, [&](map::ChunkPos chunk, const map::Rect& part) {
    const CellBlock* block = core_->machine.replica().block({layer, chunk}, view == View::optimistic);
    whole = whole && block != nullptr;
    for (std::int64_t y = part.y0; y < part.y1; ++y)
      for (std::int64_t x = part.x0; x < part.x1; ++x)
        out[static_cast<std::size_t>((y - rect.y0) * rect.width() + (x - rect.x0))] =
            block == nullptr
                ? map::Cell{}
                : block->at(map::index_in_chunk({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}));
  });
  return whole;
}

std::optional<Lsn> Client::revision(map::LayerId layer, map::ChunkPos chunk) const {
  return core_->machine.replica().revision({layer, chunk});
}

void Client::set_presence(const Presence& presence) {
  core_->machine.set_presence(presence, now_us());
  core_->arm_presence();
}

void Client::follow(std::optional<SessionId> session) {
  core_->machine.follow(session.value_or(SessionId{}));
}

std::optional<SessionId> Client::followed() const {
  const SessionId session = core_->machine.followed();
  return session.value == 0 ? std::nullopt : std::optional(session);
}

std::vector<Peer> Client::peers() const {
  std::vector<Peer> peers;
  for (const auto& [session, peer] : core_->machine.peers()) peers.push_back(peer);
  return peers;
}

std::optional<Peer> Client::peer(SessionId session) const {
  const auto found = core_->machine.peers().find(session);
  return found == core_->machine.peers().end() ? std::nullopt : std::optional(found->second);
}

Result<ClaimId> Client::claim(const map::Rect& rect, std::span<const map::LayerId> layers, milliseconds ttl) {
  return core_->machine.claim(rect, layers, ttl);
}
void Client::release(ClaimId claim) {
  core_->machine.release(claim);
}
void Client::break_claim(SessionId session, ClaimId claim) {
  core_->machine.break_claim(session, claim);
}
bool Client::holds(ClaimId claim) const {
  return core_->machine.claims().holds(claim);
}
std::vector<Claim> Client::claims() const {
  return core_->machine.claims().claims();
}

Status Client::chat(std::string_view text) {
  return core_->machine.chat(text);
}

void Client::ping() {
  core_->machine.ping(now_us());
}

Statistics Client::statistics() const {
  Statistics s = core_->statistics;
  s.edits_resent = core_->machine.edits_resent();
  s.edits_held = core_->machine.held().table().size();
  s.chunks_cached = core_->machine.replica().cache().size();
  s.chunk_bytes_cached = core_->machine.replica().cache().bytes();
  s.round_trip_us = core_->machine.round_trip_us();
  return s;
}

std::size_t Client::run_once(milliseconds timeout) {
  return core_->reactor.run_once(timeout);
}

std::vector<Event> Client::poll() {
  core_->reactor.run_once(milliseconds(0));
  std::vector<Event> out;
  if (const std::uint64_t lost = std::exchange(core_->lost_events, 0)) out.push_back(EventsLost{lost});
  out.insert(out.end(), std::make_move_iterator(core_->events.begin()), std::make_move_iterator(core_->events.end()));
  core_->events.clear();
  return out;
}

void Client::on_event(std::function<void(const Event&)> callback) {
  core_->callback = std::move(callback);
}

bool Client::wait_until(const std::function<bool()>& predicate, milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (!predicate()) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    core_->reactor.run_once(std::min(left, milliseconds(100)));
  }
  return true;
}

Status Client::wait_live(milliseconds timeout) {
  const auto settled = [this] {
    const State now = state();
    return now == State::live || now == State::failed || (now == State::ready && last_error());
  };
  if (wait_until(settled, timeout) && state() == State::live) return {};
  if (last_error()) return *last_error();
  return Error{ErrorCode::overloaded, "the server did not answer within " + std::to_string(timeout.count()) + " ms"};
}

bool Client::wait_durable(milliseconds timeout) {
  return wait_until([this] { return edits_waiting() == 0; }, timeout);
}

}  // namespace terrazzo::client
