#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "proto/codec.h"
#include "server/session/session_output.h"

namespace terrazzo::session {

// Keeps every effect for the test to look at. What a connection was told is one list in its order: messages in the JSON
// form, frames as {"type":"frame","text":…}, the end as {"type":"close","code":…,"reason":…}.
class RecordingOutput final : public SessionOutput {
 public:
  void send(Connection connection, const proto::ServerMessage& message) override {
    proto::ByteBuffer bytes;
    encoder_.append(proto::Form::json, message, bytes);
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    told[key(connection)].push_back(nlohmann::json::parse(text, text + bytes.size()));
  }
  void send_frame(std::span<const Connection> connections, const SharedBytes& frame) override {
    const std::string text(reinterpret_cast<const char*>(frame.bytes().data()), frame.size());
    for (const Connection connection : connections)
      told[key(connection)].push_back({{"type", "frame"}, {"text", text}});
  }
  void send_edit(std::span<const Connection> connections, const SharedBytes& frame,
                 std::vector<Connection>& refused) override {
    for (const Connection connection : connections) {
      if (std::ranges::find(full, connection) != full.end()) {
        refused.push_back(connection);
      } else {
        send_frame({&connection, 1}, frame);
      }
    }
  }
  void send_to_many(proto::Form, std::span<const Connection> connections, const proto::ServerMessage& message,
                    std::vector<Connection>& refused) override {
    for (const Connection connection : connections) {
      if (std::ranges::find(full, connection) != full.end()) {
        refused.push_back(connection);
      } else {
        send(connection, message);
      }
    }
  }
  void send_presence(proto::Form, std::span<const Connection> connections, const SharedNote& note, PresenceIsFor,
                     std::vector<Connection>* refused) override {
    for (const Connection connection : connections) {
      const bool no_room =
          std::ranges::find(full, connection) != full.end() || std::ranges::find(busy, connection) != busy.end();
      if (refused != nullptr && no_room) {
        refused->push_back(connection);
      } else {
        send(connection, message_of(*note));
      }
    }
  }
  void tell_room(Connection connection) override { tell_rooms.push_back(connection); }
  void refresh(std::unique_ptr<shard::RefreshRequest> request) override { refreshes.push_back(std::move(request)); }
  void close(Connection connection, std::uint16_t code, std::string_view reason) override {
    told[key(connection)].push_back({{"type", "close"}, {"code", code}, {"reason", std::string(reason)}});
  }
  void edit(std::unique_ptr<shard::EditRequest> request) override { edits.push_back(std::move(request)); }
  void coordinate(std::unique_ptr<shard::CoordinatedRequest> request) override {
    coordinated.push_back(std::move(request));
  }
  void undo(std::unique_ptr<shard::UndoRequest> request) override { undos.push_back(std::move(request)); }
  void subscribe(std::unique_ptr<shard::SubscribeRequest> request) override { requests.push_back(std::move(request)); }
  void claim(std::unique_ptr<shard::ClaimRequest> request) override { claims.push_back(std::move(request)); }
  void interest_off(std::unique_ptr<shard::InterestOff> off) override { offs.push_back(std::move(off)); }
  bool is_behind() const override { return behind; }
  void presence(const SharedNote& note) override { notes.push_back(note); }
  void ask_presence(const PresenceAsk& ask) override { asked.push_back(ask); }
  void chat(const SharedChat& note) override { chats.push_back(note); }
  void presence_to(const shard::Origin& newcomer, const SharedNote& note) override {
    notes_to.push_back({newcomer, note});
  }
  void speaks_for(SessionId session, Connection connection) override { speakers.push_back({session, connection}); }
  void silent(SessionId session, Connection connection) override { silenced.push_back({session, connection}); }

  static std::pair<std::uint32_t, std::uint32_t> key(Connection c) { return {c.slot, c.generation}; }

  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<nlohmann::json>> told;
  std::vector<std::unique_ptr<shard::EditRequest>> edits;
  std::vector<std::unique_ptr<shard::CoordinatedRequest>> coordinated;
  std::vector<std::unique_ptr<shard::UndoRequest>> undos;
  std::vector<std::unique_ptr<shard::SubscribeRequest>> requests;
  std::vector<std::unique_ptr<shard::RefreshRequest>> refreshes;
  std::vector<std::unique_ptr<shard::InterestOff>> offs;
  std::vector<std::unique_ptr<shard::ClaimRequest>> claims;
  std::vector<Connection> full;  // the test's word: nothing that can wait goes to these
  std::vector<Connection> busy;  // and to these no presence
  std::vector<Connection> tell_rooms;
  bool behind = false;
  std::vector<SharedNote> notes;
  std::vector<SharedChat> chats;
  std::vector<std::pair<shard::Origin, SharedNote>> notes_to;
  std::vector<PresenceAsk> asked;
  std::vector<std::pair<SessionId, Connection>> speakers, silenced;

 private:
  proto::Encoder encoder_;
};

}  // namespace terrazzo::session
