#pragma once

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "map/formats/world_json.h"
#include "proto/ws/frame_codec.h"
#include "server/app/mesh_kinds.h"
#include "server/net/frame_pool.h"
#include "server/net/outbox.h"
#include "server/session/home.h"
#include "server/shard/fanout.h"
#include "server/shard/shard.h"
#include "tests/shard/memory_page_file.h"

namespace terrazzo::app {

// Painter 0 and its viewers, all on one core, with everything between the bytes of a message and the outboxes: home and
// shard talk through the messages that cores send each other, the log stays in memory, nothing reaches the kernel.
class LoneCore final : public session::SessionOutput, public session::SessionDirectory, public shard::ShardOutput {
 public:
  static constexpr WorldId kWorld{7};
  static constexpr map::Rect kPlace{0, 0, 256, 256};  // 64 chunks

  explicit LoneCore(std::uint32_t viewers, proto::Form form = proto::Form::binary) : form_(form) {
    world_->id = kWorld;
    world_->name = std::string(1, 'w');  // GCC 12 warns falsely of a literal here
    world_->layers.resize(1);
    world_->layers[0].id = 1;
    world_->tilesets.resize(1);
    world_->tilesets[0].tile_count = 1000;
    shard_ = std::make_unique<shard::Shard>(shard::ShardKey{kWorld, {0, 0}}, world_, shard::RunInfo{Incarnation{1}},
                                            encoder_, encoded_, nullptr, [this] {
                                              return storage::ShardStore::create(file_, {kWorld, 0, 0});
                                            });
    shard_->recovered();
    outboxes_.resize(viewers + 1);
    for (std::uint32_t slot = 0; slot <= viewers; ++slot) {
      home_.connected({slot, 1}, slot == 0 ? proto::Form::binary : form);
      say(slot, proto::Hello{});
      say(slot, proto::Open{"w"});
    }
    paint_everything();
    for (std::uint32_t slot = 1; slot <= viewers; ++slot) subscribe(slot);
    drain();
  }

  // A brush stroke of a viewer-less painter: one cell, another chunk each time.
  void edit() {
    const std::uint64_t id = ++edits_;
    const map::Cell cell{static_cast<std::uint32_t>(id % 999 + 1)};
    const auto x = static_cast<std::int64_t>(id * 37 % 256), y = static_cast<std::int64_t>(id * 101 % 256);
    const map::Op op{map::OpKind::set, 1, map::Rect::of_size(x, y, 1, 1), {}, {}, {&cell, 1}};
    say(0, map::Edit{EditId{id}, map::AckMode::durable, {&op, 1}, {}});
    shard_->log_durable(sequence_, *this);
    deliver();
  }
  void subscribe(std::uint32_t slot) {
    proto::Subscribe message;
    message.sub = 1;
    message.rect = kPlace;
    say(slot, message);
  }
  // Everything queued was taken by the kernel.
  void drain() {
    for (net::Outbox& outbox : outboxes_) {
      while (!outbox.empty()) {
        const msghdr* message = outbox.begin_send();
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < message->msg_iovlen; ++i) bytes += message->msg_iov[i].iov_len;
        sent_bytes += bytes;
        outbox.sent(bytes, frames_);
      }
    }
  }
  std::uint64_t sent_bytes = 0;

 private:
  void paint_everything() {
    std::vector<map::Cell> cells(64 * 64);
    for (std::int64_t y = kPlace.y0; y < kPlace.y1; y += 64) {
      for (std::int64_t x = kPlace.x0; x < kPlace.x1; x += 64) {
        // As in real maps: some forty tiles in most chunks.
        for (std::size_t i = 0; i < cells.size(); ++i)
          cells[i].bits = static_cast<std::uint32_t>((i * 2654435761u >> 16) % 40 + 1);
        const map::Op op{map::OpKind::set, 1, map::Rect::of_size(x, y, 64, 64), {}, {}, cells};
        say(0, map::Edit{EditId{++edits_}, map::AckMode::durable, {&op, 1}, {}});
      }
    }
    shard_->log_durable(sequence_, *this);
    deliver();
  }
  void say(std::uint32_t slot, const proto::ClientMessage& message) {
    bytes_.clear();
    encoder_.append(slot == 0 ? proto::Form::binary : form_, message, bytes_);
    home_.message({slot, 1}, bytes_);
    deliver();
  }
  void deliver() {
    while (!mail_.empty()) {
      delivering_.swap(mail_);
      for (const runtime::MeshMessage& message : delivering_) take(message);
      delivering_.clear();
    }
  }
  void take(const runtime::MeshMessage& message) {
    switch (static_cast<MeshKind>(message.kind)) {
      case MeshKind::edit:
        return shard_->edit(*unboxed<shard::EditRequest>(message), *this);
      case MeshKind::subscribe:
        return shard_->subscribe(*unboxed<shard::SubscribeRequest>(message), *this);
      case MeshKind::interest_off:
        return shard_->interest_off(*unboxed<shard::InterestOff>(message));
      case MeshKind::states:
        return home_.states(*unboxed<shard::StatesReply>(message));
      case MeshKind::publication:
        return home_.publication(*shared_in<shard::Publication>(message));
      case MeshKind::outcome:
        return home_.outcome(outcome_in(message));
      case MeshKind::durable:
        return home_.durable(durable_in(message));
      default:
        std::abort();
    }
  }

  // session::SessionOutput
  void send(session::Connection connection, const proto::ServerMessage& message) override {
    payload_.clear();
    const proto::Form form = connection.slot == 0 ? proto::Form::binary : form_;
    encoder_.append(form, message, payload_);
    outboxes_[connection.slot].push(
        frames_.hold(proto::ws::whole_frame(proto::ws::opcode_of(form), payload_, answers_)), frames_);
  }
  void send_frame(std::span<const session::Connection> connections, const SharedBytes& frame) override {
    net::HeldFrame* held = frames_.hold(frame);
    for (const session::Connection connection : connections) outboxes_[connection.slot].push(held, frames_);
  }
  void send_edit(std::span<const session::Connection> connections, const SharedBytes& frame,
                 std::vector<session::Connection>&) override {
    send_frame(connections, frame);
  }
  void send_to_many(proto::Form, std::span<const session::Connection>, const proto::ServerMessage&,
                    std::vector<session::Connection>&) override {
    std::abort();
  }
  void send_presence(proto::Form, std::span<const session::Connection>, const session::SharedNote&,
                     session::PresenceIsFor, std::vector<session::Connection>*) override {
    std::abort();
  }
  void tell_room(session::Connection) override {}
  void close(session::Connection, std::uint16_t, std::string_view) override { std::abort(); }
  void edit(std::unique_ptr<shard::EditRequest> request) override {
    mail_.push_back(boxed(MeshKind::edit, std::move(request)));
  }
  void coordinate(std::unique_ptr<shard::CoordinatedRequest>) override { std::abort(); }
  void undo(std::unique_ptr<shard::UndoRequest>) override { std::abort(); }
  void subscribe(std::unique_ptr<shard::SubscribeRequest> request) override {
    mail_.push_back(boxed(MeshKind::subscribe, std::move(request)));
  }
  void refresh(std::unique_ptr<shard::RefreshRequest>) override { std::abort(); }
  void interest_off(std::unique_ptr<shard::InterestOff> off) override {
    mail_.push_back(boxed(MeshKind::interest_off, std::move(off)));
  }
  void claim(std::unique_ptr<shard::ClaimRequest>) override {}  // there are none to look for
  bool is_behind() const override { return false; }
  void presence(const session::SharedNote&) override {}
  void ask_presence(const session::PresenceAsk&) override {}
  void presence_to(const shard::Origin&, const session::SharedNote&) override {}
  void chat(const session::SharedChat&) override {}
  void speaks_for(SessionId, session::Connection) override {}
  void silent(SessionId, session::Connection) override {}

  // session::SessionDirectory
  Result<session::Identity> authenticate(std::string_view) override {
    return session::Identity{"ada", identity::WorldRoles::everywhere(session::Role::editor)};
  }
  std::shared_ptr<const map::World> find_world(std::string_view) override { return world_; }
  std::string world_json(const map::World& world) override { return formats::world_to_json(world); }
  SessionId new_session() override { return SessionId{++sessions_}; }
  std::string resume_token(SessionId) override { return "token"; }
  Result<SessionId> session_of(std::string_view) override { return SessionId{1}; }
  Incarnation incarnation() const override { return Incarnation{1}; }
  UserId user_id(const session::Identity&, std::string_view) override { return UserId{1}; }
  std::uint64_t time_us() override { return ++time_us_; }

  // shard::ShardOutput
  std::uint64_t log(const storage::Record&) override { return ++sequence_; }
  std::optional<Error> busy() const override { return std::nullopt; }
  void publish(shard::CoreMask, shard::SharedPublication publication) override {
    mail_.push_back(shared(MeshKind::publication, std::move(publication)));
  }
  void reply(std::unique_ptr<shard::StatesReply> reply) override {
    mail_.push_back(boxed(MeshKind::states, std::move(reply)));
  }
  void outcome(shard::EditOutcome outcome) override { mail_.push_back(packed(std::move(outcome))); }
  void durable(shard::CoreMask, const shard::DurableMark& mark) override { mail_.push_back(packed(mark)); }
  void forward(std::unique_ptr<shard::EditRequest>) override { std::abort(); }

  proto::Form form_;
  std::shared_ptr<map::World> world_ = std::make_shared<map::World>();
  shard::MemoryPageFile file_;
  proto::Encoder encoder_;
  shard::EncodedChunks encoded_{16 << 20};
  std::unique_ptr<shard::Shard> shard_;
  session::SessionLimits limits_;
  session::Home home_{0, limits_, *this, *this};
  net::FramePool frames_;
  BlockPool answers_{256, 1024};
  std::vector<net::Outbox> outboxes_;
  std::vector<runtime::MeshMessage> mail_, delivering_;
  proto::ByteBuffer bytes_, payload_;
  std::uint64_t edits_ = 0, sessions_ = 0, sequence_ = 0, time_us_ = 0;
};

}  // namespace terrazzo::app
