#include "tests/sim/client.h"

#include <algorithm>
#include <utility>

namespace terrazzo::sim {
namespace {

// As client-lib/src/client.cc has them.
constexpr std::size_t kQueuedBytesMax = 1 << 20;
constexpr std::uint64_t kTick = 500 * kMillisecond;

}  // namespace

Client::Client(Machine& machine, Network& network, std::uint32_t number, std::string world, std::size_t edits_held_max,
               ClientObserver& observer)
    : world_(machine),
      network_(network),
      number_(number),
      name_(std::move(world)),
      observer_(observer),
      random_(machine.random.split()),
      form_(random_.chance(0.7) ? proto::Form::binary : proto::Form::json),
      peer_(machine, network, form_,
            {[this] { sync_->connected(world_.schedule.now() / kMicrosecond); },
             [this](std::span<const std::byte> payload) { take(payload); },
             [this](std::uint16_t code, std::string reason) { lost(code, reason); },
             [this] { sync_->writable_again(); }}) {
  options_.form = form_;
  options_.edits_held_max = edits_held_max;
  options_.seed = random_.next();
  options_.name = "client " + std::to_string(number);
  options_.ping_interval_ms = static_cast<std::uint32_t>(random_.log_between(1000, 10000));
  options_.silence_max_ms = options_.ping_interval_ms * 2;
  options_.cache_bytes_max = random_.log_between(1 << 12, 1 << 20);
  sync_ = std::make_unique<client::SyncMachine>(options_, static_cast<client::SyncOutput&>(*this));
}

Client::~Client() = default;

void Client::start() {
  const Status opened = sync_->open(name_);
  TZ_ASSERT(opened.ok());
  dial();
  tick();
}

void Client::dial() {
  ++connection_;
  sync_->connecting();
  observer_.connected(number_, connection_);
  peer_.connect();
  // No answer to the handshake: the way there may be broken.
  world_.schedule.after(options_.connect_timeout_ms * kMillisecond,
                        [this, here = std::weak_ptr<int>(alive_), connection = connection_] {
                          if (here.expired() || connection != connection_) return;
                          if (sync_->state() == client::State::connecting) peer_.drop();
                        });
}

void Client::tick() {
  world_.schedule.after(kTick, [this, here = std::weak_ptr<int>(alive_)] {
    if (here.expired()) return;
    const client::State state = sync_->state();
    const bool connected = peer_.link() != 0 && state != client::State::connecting;
    if (connected && sync_->tick(world_.schedule.now() / kMicrosecond)) peer_.drop();
    tick();
  });
}

void Client::send(const proto::ClientMessage& message) {
  payload_.clear();
  encoder_.append(form_, message, payload_);
  peer_.send(payload_);
}

bool Client::writable() const {
  return peer_.queued_bytes() < kQueuedBytesMax;
}

void Client::drop() {
  world_.schedule.after(1, [this, here = std::weak_ptr<int>(alive_), link = peer_.link()] {
    if (!here.expired() && peer_.link() == link) peer_.drop();
  });
}

void Client::emit(client::Event event) {
  observer_.told(number_, event);
  const auto* changed = std::get_if<client::StateChanged>(&event);
  // The world may not be there yet, or the server cannot say at the moment.
  if (changed != nullptr && changed->state == client::State::ready && changed->error) open_again();
}

void Client::open_again() {
  world_.schedule.after(kSecond, [this, here = std::weak_ptr<int>(alive_)] {
    if (!here.expired() && sync_->state() == client::State::ready) static_cast<void>(sync_->open(name_));
  });
}

void Client::take(std::span<const std::byte> payload) {
  Arena arena;
  const auto messages = proto::decode_server_messages(form_, payload, arena);
  TZ_ASSERT(messages.ok());
  const Network::Link link = peer_.link();
  message_bytes_ = payload.size() / std::max<std::size_t>(messages->size(), 1);
  for (const proto::ServerMessage& message : *messages) {
    observer_.heard(number_, connection_, sync_->incarnation(), message);
    sync_->received(message, world_.schedule.now() / kMicrosecond);
    if (peer_.link() != link) return;
  }
}

void Client::lost(std::uint16_t code, const std::string& reason) {
  sync_->disconnected(code, reason);
  if (sync_->state() != client::State::waiting) return;
  const std::uint64_t delay = sync_->retry_in_ms();
  world_.schedule.after(delay * kMillisecond + 1, [this, here = std::weak_ptr<int>(alive_)] {
    if (!here.expired() && peer_.link() == 0) dial();
  });
}

}  // namespace terrazzo::sim
