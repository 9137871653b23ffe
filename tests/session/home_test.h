#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "one_world_directory.h"
#include "recording_output.h"
#include "server/session/home.h"

namespace terrazzo::session {

using nlohmann::json;

inline SharedBytes frame_of(std::string_view text) {
  SharedBytes bytes = SharedBytes::allocate(text.size());
  std::memcpy(bytes.writable().data(), text.data(), text.size());
  return bytes;
}

// A home core on its own: connections say JSON, the test answers in the place of owners and other cores.
class HomeTest : public testing::Test {
 protected:
  static constexpr shard::CoreId kCore = 3;
  static SessionLimits small_limits() {
    SessionLimits limits;
    limits.wire.edits_in_flight_max = 4;
    limits.wire.chunks_per_subscription_max = 64;
    limits.wire.subscriptions_max = 3;
    return limits;
  }

  // ---- connections ----
  Connection connect(proto::Form form = proto::Form::json) {
    const Connection connection{next_slot_, 40 + next_slot_};
    ++next_slot_;
    home.connected(connection, form);
    return connection;
  }
  void say(Connection connection, std::string_view text) { home.message(connection, std::as_bytes(std::span(text))); }
  void say_binary(Connection connection, const proto::ClientMessage& message) {
    proto::ByteBuffer bytes;
    encoder_.append(proto::Form::binary, message, bytes);
    home.message(connection, bytes);
  }
  // Says hello and opens the island; forgets what it was told.
  Connection enter(std::string_view token = "ada", proto::Form form = proto::Form::json) {
    const Connection connection = connect(form);
    if (form == proto::Form::json) {
      say(connection, R"([{"type":"hello","protocol":1,"token":")" + std::string(token) +
                          R"("},{"type":"open","world":"island"}])");
    } else {
      proto::Hello hello;
      hello.token = token;
      say_binary(connection, hello);
      say_binary(connection, proto::Open{"island"});
    }
    EXPECT_EQ(types(connection), (Words{"welcome", "world"}));
    return connection;
  }
  void subscribe(Connection connection, std::uint32_t sub, const map::Rect& rect) {
    say(connection,
        json{{"type", "subscribe"}, {"sub", sub}, {"rect", {rect.x0, rect.y0, rect.width(), rect.height()}}}.dump());
  }
  // Sets one cell, by default in the shard 0,0.
  void edit(Connection connection, std::uint64_t id, std::string_view ack = "durable", std::int64_t x = 0) {
    say(connection, json{{"type", "edit"},
                         {"id", id},
                         {"ack", ack},
                         {"ops", {{{"op", "set"}, {"layer", 1}, {"x", x}, {"y", 0}, {"cells", {7}}}}}}
                        .dump());
  }
  // The cells of a rectangle of chunks.
  static map::Rect chunks(std::int64_t x, std::int64_t y, std::int64_t w, std::int64_t h) {
    return map::Rect::of_size(x * 32, y * 32, w * 32, h * 32);
  }

  // ---- what they were told; each call takes it away ----
  using Words = std::vector<std::string>;
  std::vector<json> told(Connection connection) {
    return std::exchange(out.told[RecordingOutput::key(connection)], {});
  }
  Words types(Connection connection) {
    Words words;
    for (const json& message : told(connection)) {
      const std::string type = message.at("type");
      words.push_back(type == "frame" ? message.at("text").get<std::string>() : type);
    }
    return words;
  }
  // The code of the one error, reject or close that the connection was told of.
  std::string code(Connection connection) {
    const std::vector<json> messages = told(connection);
    if (messages.size() != 1) return "not one message but " + json(messages).dump();
    const json& code = messages[0].value("code", json("none: " + messages[0].dump()));
    return code.is_string() ? code.get<std::string>() : code.dump();
  }

  // The one message that the connection was told is an error about this subscription.
  void expect_refused(Connection connection, std::uint32_t sub, std::string_view code) {
    const std::vector<json> messages = told(connection);
    ASSERT_EQ(messages.size(), 1u) << json(messages).dump();
    EXPECT_EQ(messages[0].at("type"), "error");
    EXPECT_EQ(messages[0].at("code"), code);
    ASSERT_TRUE(messages[0].contains("sub")) << messages[0].dump();
    EXPECT_EQ(messages[0].at("sub"), sub);
  }

  // ---- in the place of owners ----
  void answer(const shard::SubscribeRequest& request, std::uint64_t lsn, std::vector<std::string> frames = {},
              std::uint64_t durable = 0) {
    shard::StatesReply reply;
    reply.origin = request.origin;
    reply.sub = request.sub;
    reply.ticket = request.ticket;
    reply.shard = request.shard.position;
    reply.mark = {request.shard.position, Lsn{lsn}};
    reply.durable = Lsn{durable};
    for (const std::string& text : frames) reply.frames.push_back(frame_of(text));
    home.states(reply);
  }
  void answer_all() {
    for (const auto& request : std::exchange(out.requests, {})) answer(*request, 1);
  }
  // A connection that watches the rectangle.
  Connection watcher(const map::Rect& rect, std::string_view token = "ada") {
    const Connection connection = enter(token);
    subscribe(connection, 1, rect);
    answer_all();
    EXPECT_EQ(types(connection), Words{"subscribed"});
    return connection;
  }
  void publish(map::ShardPos position, std::uint64_t lsn, std::vector<map::Rect> touched, std::string_view json_text,
               std::string_view binary_text = {}) {
    shard::Publication publication;
    publication.shard = {kIsland, position};
    publication.lsn = Lsn{lsn};
    publication.touched.assign(touched.begin(), touched.end());
    if (!json_text.empty()) publication.frame[static_cast<std::size_t>(proto::Form::json)] = frame_of(json_text);
    if (!binary_text.empty()) publication.frame[static_cast<std::size_t>(proto::Form::binary)] = frame_of(binary_text);
    home.publication(publication);
  }
  // One chunk.
  static map::Rect one(std::int64_t x, std::int64_t y) { return map::Rect::of_size(x, y, 1, 1); }
  // Somebody's presence, from whatever core.
  static SharedNote seen_at(SessionId session, map::CellPos cursor, std::vector<map::Rect> places = {one(0, 0)}) {
    boost::intrusive_ptr<PresenceNote> note(new PresenceNote);
    note->world = kIsland;
    note->session = session;
    note->cursor = cursor;
    note->chunks.assign(places.begin(), places.end());
    return note;
  }
  void settle(const shard::Origin& origin, std::uint64_t id, const proto::ShardMark& mark,
              shard::EditOutcome::Stage stage, std::optional<Error> error = {}) {
    home.outcome({origin, WorldId{}, EditId{id}, mark, stage, 0, 0, 0, std::move(error)});
  }

  SessionLimits limits = small_limits();
  OneWorldDirectory directory;
  RecordingOutput out;
  Home home{kCore, limits, directory, out};

 private:
  proto::Encoder encoder_;
  std::uint32_t next_slot_ = 0;
};

}  // namespace terrazzo::session
