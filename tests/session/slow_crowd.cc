#include "slow_crowd.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "map/formats/world_json.h"
#include "proto/ws/frame_codec.h"
#include "server/shard/fanout.h"

namespace terrazzo::session {
namespace {

constexpr map::Rect kPlayground{-96, 0, 96, 96};  // six chunks by three, in both shards

client::ConnectOptions options_of(proto::Form form) {
  client::ConnectOptions options;
  options.form = form;
  options.token = "ada";
  return options;
}

}  // namespace

// ---- the client ----

CrowdClient::CrowdClient(std::uint32_t slot, proto::Form own_form)
    : connection{slot, 0}, form(own_form), machine(options_of(own_form), *this) {}

void CrowdClient::send(const proto::ClientMessage& message) {
  sent.emplace_back();
  encoder_.append(form, message, sent.back());
}

void CrowdClient::read(std::size_t bytes, net::FramePool& frames) {
  while (bytes != 0 && !outbox.empty()) {
    const msghdr* message = outbox.begin_send();
    std::size_t taken = 0;
    for (std::size_t i = 0; i < message->msg_iovlen && taken < bytes; ++i) {
      const auto* first = static_cast<const std::byte*>(message->msg_iov[i].iov_base);
      const std::size_t count = std::min(bytes - taken, message->msg_iov[i].iov_len);
      stream_.insert(stream_.end(), first, first + count);
      taken += count;
    }
    outbox.sent(taken, frames);
    bytes -= taken;
  }
  for (;;) {
    if (stream_.size() < 2) return;
    const std::size_t header_size = proto::ws::header_bytes(stream_);
    if (stream_.size() < header_size) return;
    const proto::ws::FrameHeader header = proto::ws::parse_header(std::span(stream_).first(header_size));
    if (stream_.size() < header_size + header.payload_bytes) return;
    const auto payload_begin = stream_.begin() + static_cast<std::ptrdiff_t>(header_size);
    const auto payload_end = payload_begin + static_cast<std::ptrdiff_t>(header.payload_bytes);
    const proto::ByteBuffer payload(payload_begin, payload_end);
    stream_.erase(stream_.begin(), payload_end);
    Arena arena;
    const auto messages = proto::decode_server_messages(form, payload, arena);
    if (!messages) {
      wrong = "a message cannot be read: " + messages.error().message;
      return;
    }
    for (const proto::ServerMessage& one : *messages) take(one);
  }
}

void CrowdClient::take(const proto::ServerMessage& message) {
  if (const auto* applied = std::get_if<proto::Applied>(&message)) {
    if (stale_.contains(applied->shard))
      wrong = fmt::format("edit {} came while its shard was stale", applied->lsn.value);
    Lsn& newest = newest_[applied->shard];
    if (applied->lsn < newest) wrong = fmt::format("edit {} came after {}", applied->lsn.value, newest.value);
    newest = applied->lsn;
  } else if (const auto* stale = std::get_if<proto::Stale>(&message)) {
    ++times_stale;
    if (!stale_.emplace(stale->shard, stale->lsn).second) wrong = "stale twice";
    if (stale->lsn < newest_[stale->shard]) wrong = "stale from an edit that was seen";
  } else if (const auto* refreshed = std::get_if<proto::Refreshed>(&message)) {
    const auto found = stale_.find(refreshed->shard);
    if (found == stale_.end()) {
      wrong = "refreshed without stale";
    } else {
      if (refreshed->lsn < found->second) wrong = "refreshed to before the edits left out";
      stale_.erase(found);
    }
    newest_[refreshed->shard] = refreshed->lsn;
  } else if (const auto* error = std::get_if<proto::ErrorMessage>(&message)) {
    wrong = "error: " + std::string(error->message);
  } else if (const auto* reject = std::get_if<proto::Reject>(&message)) {
    wrong = "reject: " + std::string(reject->message);
  }
  machine.received(message, 1000);
}

// ---- the crowd ----

SlowCrowd::SlowCrowd(std::uint64_t seed, int clients) : random_(seed) {
  directory_.json = formats::world_to_json(*directory_.world);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    Owned& owned = shards_[i];
    const shard::ShardKey key{kIsland, {i == 0 ? -1 : 0, 0}};
    owned.shard = std::make_unique<shard::Shard>(
        key, directory_.world, shard::RunInfo{Incarnation{4}}, encoder_, encoded_, nullptr, [&owned, key] {
          return storage::ShardStore::create(owned.file, {key.world, key.position.x, key.position.y});
        });
    owned.shard->recovered();
  }
  for (int i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<CrowdClient>(static_cast<std::uint32_t>(i),
                                                     i % 2 == 0 ? proto::Form::binary : proto::Form::json));
    EXPECT_TRUE(clients_.back()->machine.open("island").ok());
    connect(*clients_.back());
  }
}

void SlowCrowd::connect(CrowdClient& client) {
  ++client.connection.generation;
  client.sent.clear();
  client.stream_.clear();
  client.stale_.clear();
  client.newest_.clear();
  client.wants_room = false;
  home_.connected(client.connection, client.form);
  client.machine.connecting();
  client.machine.connected(1000);
}

void SlowCrowd::lose(CrowdClient& client) {
  home_.disconnected(client.connection);
  client.outbox.clear(frames_);
  client.machine.disconnected(0, {});
  connect(client);
}

map::Rect SlowCrowd::some_cells(std::int64_t size_max) {
  const std::int64_t w = pick(1, size_max), h = pick(1, size_max);
  return map::Rect::of_size(pick(kPlayground.x0, kPlayground.x1 - w), pick(0, kPlayground.y1 - h), w, h);
}

void SlowCrowd::paint(CrowdClient& client) {
  if (client.machine.world() == nullptr) return;
  const map::Rect cells = some_cells(pick(0, 5) == 0 ? 60 : 3);
  // Inside one shard: edits over several are the coordinator's.
  const map::Rect side = cells.x0 < 0 ? map::Rect{-96, 0, 0, 96} : map::Rect{0, 0, 96, 96};
  const map::Rect inside = cells.intersect(side);
  const auto layer = static_cast<map::LayerId>(pick(1, 2));
  const map::Cell cell{static_cast<std::uint32_t>(pick(0, kTiles - 1))};
  client::EditDraft draft;
  if (pick(0, 3) == 0) {
    draft.replace(layer, inside, map::Cell{static_cast<std::uint32_t>(pick(0, 3))}, cell);
  } else {
    draft.fill(layer, inside, cell);
  }
  const auto edit =
      client.machine.edit(std::move(draft), pick(0, 1) == 0 ? map::AckMode::applied : map::AckMode::durable);
  EXPECT_TRUE(edit.ok()) << edit.error().message;
}

void SlowCrowd::act(CrowdClient& client) {
  if (client.machine.world() == nullptr) return;
  const auto choice = pick(0, 2);
  const map::Rect cells = some_cells(90);
  if (choice == 0 && client.views.size() < 3) {
    const auto made = client.machine.subscribe(cells, {});
    ASSERT_TRUE(made.ok()) << made.error().message;
    client.views.push_back({*made, cells});
  } else if (choice == 1 && !client.views.empty()) {
    CrowdClient::View& view =
        client.views[static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(client.views.size()) - 1))];
    ASSERT_TRUE(client.machine.move_subscription(view.id, cells).ok());
    view.cells = cells;
  } else if (choice == 2 && client.views.size() > 1) {
    client.machine.unsubscribe(client.views.back().id);
    client.views.pop_back();
  }
}

void SlowCrowd::read(CrowdClient& client, std::size_t bytes) {
  client.read(bytes, frames_);
  if (client.wants_room && client.outbox.bytes() <= kRoomBytes / 4) {
    client.wants_room = false;
    home_.room(client.connection);
  }
}

void SlowCrowd::hear(CrowdClient& client) {
  if (client.sent.empty()) return;
  const proto::ByteBuffer message = std::move(client.sent.front());
  client.sent.pop_front();
  home_.message(client.connection, message);
}

bool SlowCrowd::deliver(Mail& mail) {
  if (mail.empty()) return false;
  const auto message = std::move(mail.front());
  mail.pop_front();
  message();
  return true;
}

void SlowCrowd::step() {
  CrowdClient& client = *clients_[static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(clients_.size()) - 1))];
  const auto choice = pick(0, 999);
  if (choice < 2) {
    lose(client);
  } else if (choice < 12) {
    client.stalled = !client.stalled;
  } else if (choice < 30) {
    act(client);
  } else if (choice < 200) {
    paint(client);
  } else if (choice < 400) {
    hear(client);
  } else if (choice < 600) {
    deliver(to_owner_);
  } else if (choice < 800) {
    deliver(to_home_);
  } else if (choice < 980) {
    if (!client.stalled) read(client, static_cast<std::size_t>(pick(1, 4000)));
  } else {
    for (Owned& owned : shards_) owned.shard->log_durable(sequence_, *this);
    home_.tick(now_ns_ += 50'000'000);
  }
}

void SlowCrowd::settle() {
  for (;;) {
    bool quiet = true;
    for (const auto& client : clients_) {
      client->stalled = false;
      quiet = quiet && client->outbox.empty() && client->sent.empty();
      read(*client, 1 << 20);
      while (!client->sent.empty()) hear(*client);
    }
    while (deliver(to_owner_) || deliver(to_home_)) quiet = false;
    for (Owned& owned : shards_) owned.shard->log_durable(sequence_, *this);
    while (deliver(to_home_)) quiet = false;
    home_.tick(now_ns_ += 200'000'000);
    if (quiet && home_.slow_count() == 0) return;
  }
}

std::uint32_t SlowCrowd::cell_of(map::LayerId layer, map::CellPos position) {
  const storage::ShardStore* store = shards_[position.x < 0 ? 0 : 1].shard->store();
  if (store == nullptr) return 0;
  const storage::ChunkRead read = store->read(layer, map::index_in_shard(map::chunk_of(position)));
  return read.cells == nullptr ? read.fill : read.cells[map::index_in_chunk(position)];
}

std::string SlowCrowd::difference() {
  for (const auto& client : clients_) {
    if (!client->wrong.empty()) return fmt::format("client {}: {}", client->connection.slot, client->wrong);
    for (const CrowdClient::View& view : client->views) {
      if (!client->machine.is_ready(view.id))
        return fmt::format("client {}: a subscription is not ready", client->connection.slot);
      const map::Rect& cells = view.cells;
      for (const map::LayerId layer : {map::LayerId{1}, map::LayerId{2}})
        for (std::int64_t y = cells.y0; y < cells.y1; ++y)
          for (std::int64_t x = cells.x0; x < cells.x1; ++x) {
            const map::CellPos at{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
            for (const bool optimistic : {false, true}) {
              const auto have = client->machine.replica().read(layer, at, optimistic);
              if (!have || have->bits != cell_of(layer, at))
                return fmt::format("client {} ({}) has {} and not {} in layer {} at {},{}", client->connection.slot,
                                   optimistic ? "optimistic" : "confirmed", have ? static_cast<long>(have->bits) : -1,
                                   cell_of(layer, at), layer, x, y);
            }
          }
    }
  }
  return {};
}

// ---- what the home says ----

CrowdClient* SlowCrowd::client_of(Connection connection) {
  CrowdClient* client = clients_[connection.slot].get();
  return client->connection == connection ? client : nullptr;
}

void SlowCrowd::queue(CrowdClient& client, const SharedBytes& frame) {
  client.outbox.push(frames_.hold(frame), frames_);
}

void SlowCrowd::send(Connection connection, const proto::ServerMessage& message) {
  CrowdClient* client = client_of(connection);
  if (client == nullptr) return;
  proto::ByteBuffer payload, frame;
  encoder_.append(client->form, message, payload);
  shard::append_frame(client->form, payload, frame);
  queue(*client, shard::shared(frame));
}

void SlowCrowd::send_frame(std::span<const Connection> connections, const SharedBytes& frame) {
  for (const Connection connection : connections)
    if (CrowdClient* client = client_of(connection)) queue(*client, frame);
}

void SlowCrowd::send_edit(std::span<const Connection> connections, const SharedBytes& frame,
                          std::vector<Connection>& refused) {
  for (const Connection connection : connections) {
    CrowdClient* client = client_of(connection);
    if (client == nullptr) continue;
    if (client->outbox.bytes() > kRoomBytes) {
      refused.push_back(connection);
    } else {
      queue(*client, frame);
      outbox_most_ = std::max(outbox_most_, client->outbox.bytes());
    }
  }
}

void SlowCrowd::tell_room(Connection connection) {
  if (CrowdClient* client = client_of(connection)) client->wants_room = true;
}

void SlowCrowd::close(Connection connection, std::uint16_t, std::string_view reason) {
  if (CrowdClient* client = client_of(connection)) client->wrong = "closed: " + std::string(reason);
}

void SlowCrowd::edit(std::unique_ptr<shard::EditRequest> request) {
  to_owner_.push_back(
      [this, shared = std::shared_ptr(std::move(request))] { shard_of(shared->shard).edit(*shared, *this); });
}

void SlowCrowd::subscribe(std::unique_ptr<shard::SubscribeRequest> request) {
  to_owner_.push_back(
      [this, shared = std::shared_ptr(std::move(request))] { shard_of(shared->shard).subscribe(*shared, *this); });
}

void SlowCrowd::refresh(std::unique_ptr<shard::RefreshRequest> request) {
  to_owner_.push_back(
      [this, shared = std::shared_ptr(std::move(request))] { shard_of(shared->shard).refresh(*shared, *this); });
}

void SlowCrowd::interest_off(std::unique_ptr<shard::InterestOff> off) {
  to_owner_.push_back(
      [this, shared = std::shared_ptr(std::move(off))] { shard_of(shared->shard).interest_off(*shared); });
}

// ---- what the shards say ----

void SlowCrowd::publish(shard::CoreMask, shard::SharedPublication publication) {
  to_home_.push_back([this, publication = std::move(publication)] { home_.publication(*publication); });
}

void SlowCrowd::reply(std::unique_ptr<shard::StatesReply> reply) {
  to_home_.push_back([this, shared = std::shared_ptr(std::move(reply))] { home_.states(*shared); });
}

void SlowCrowd::outcome(shard::EditOutcome outcome) {
  to_home_.push_back([this, outcome = std::move(outcome)] { home_.outcome(outcome); });
}

void SlowCrowd::durable(shard::CoreMask, const shard::DurableMark& mark) {
  to_home_.push_back([this, mark] { home_.durable(mark); });
}

}  // namespace terrazzo::session
