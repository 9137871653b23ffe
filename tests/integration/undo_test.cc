// Undo and redo on a real server, in both forms: whose edits, over shards, over restarts and kills, and every way to
// ask for what is not there.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http_peer.h"
#include "proto/codec.h"
#include "server_process.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using map::Rect;
using proto::Form;

constexpr map::LayerId kLayer = 1;

map::Op fill(const Rect& rect, std::uint32_t tile) {
  return {map::OpKind::fill, kLayer, rect, map::Cell{tile}, {}, {}};
}

// What became of an edit or an undo.
struct Answer {
  std::optional<ErrorCode> refused;
  std::string why;
  std::size_t shards = 0;
  std::optional<proto::Undone> undone;
};
void PrintTo(const Answer& answer, std::ostream* out) {
  *out << (answer.refused ? std::string(error_code_name(*answer.refused)) : "ack") << " " << answer.why;
}

// Somebody at a WebSocket, without the client library.
class Person {
 public:
  Person(std::uint16_t port, Form form, std::string name, const std::string& token = {})
      : form_(form), name_(std::move(name)), token_(token) {
    connect(port, {});
  }
  // A new connection for the same session.
  void come_back(std::uint16_t port) { connect(port, resume_); }

  // Returns the edit's number.
  std::uint64_t edit(const std::vector<map::Op>& ops) {
    const EditId id{++last_id_};
    send(map::Edit{id, map::AckMode::durable, ops, {}});
    EXPECT_FALSE(answer_to(id).refused);
    return id.value;
  }
  Answer undo(EditId edit = {}, SessionId author = {}) { return ask({{}, false, edit, author}); }
  Answer redo(EditId edit = {}, SessionId author = {}) { return ask({{}, true, edit, author}); }
  // Asks without waiting; the number to ask again with.
  EditId begin_undo() {
    const EditId id{++last_id_};
    send(proto::Undo{id, false, {}, {}});
    return id;
  }
  Answer again(EditId id, bool redo = false) {
    send(proto::Undo{id, redo, {}, {}});
    return answer_to(id);
  }
  Answer answer_to(EditId id) {
    Answer answer;
    read_until([&](const proto::ServerMessage& message) {
      if (const auto* ack = std::get_if<proto::Ack>(&message); ack && ack->edit == id) {
        EXPECT_TRUE(ack->durable);
        answer.shards = ack->shards.size();
        answer.undone = ack->undone;
        return true;
      }
      if (const auto* reject = std::get_if<proto::Reject>(&message); reject && reject->edit == id) {
        answer.refused = reject->code;
        answer.why = reject->message;
        return true;
      }
      return false;
    });
    return answer;
  }
  SessionId session() const { return session_; }
  EditId last_id() const { return EditId{last_id_}; }

 private:
  Answer ask(proto::Undo undo) {
    undo.id = EditId{++last_id_};
    send(undo);
    return answer_to(undo.id);
  }
  void connect(std::uint16_t port, const std::string& resume) {
    peer_.emplace(port, form_ == Form::json ? "terrazzo.v1.json" : "terrazzo.v1.flatbuffers");
    proto::Hello hello;
    hello.name = name_;
    hello.token = token_;
    if (!resume.empty()) hello.resume = proto::Resume{resume, {}};
    send(hello);
    send(proto::Open{"w"});
    read_until([&](const proto::ServerMessage& message) {
      if (const auto* welcome = std::get_if<proto::Welcome>(&message)) {
        session_ = welcome->session;
        resume_ = welcome->resume;
      }
      return std::holds_alternative<proto::WorldInfo>(message);
    });
  }
  void send(const proto::ClientMessage& message) {
    proto::ByteBuffer bytes;
    encoder_.append(form_, message, bytes);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_TRUE(form_ == Form::json ? peer_->send_text(text) : peer_->send_binary(text));
  }
  template <class Stop>
  void read_until(Stop&& stop) {
    while (const auto text = peer_->read()) {
      const auto* first = reinterpret_cast<const std::byte*>(text->data());
      const proto::ByteBuffer bytes(first, first + text->size());  // aligned
      Arena arena;
      const auto messages = proto::decode_server_messages(form_, bytes, arena);
      ASSERT_TRUE(messages.ok()) << messages.error().message;
      bool done = false;
      for (const proto::ServerMessage& message : *messages) done = stop(message) || done;
      if (done) return;
    }
    FAIL() << "the connection ended, or no answer came";
  }

  Form form_;
  std::string name_, token_, resume_;
  SessionId session_;
  std::uint64_t last_id_ = 0;
  proto::Encoder encoder_;
  std::optional<WebSocketPeer> peer_;
};

class Undo : public testing::TestWithParam<Form> {
 protected:
  Undo() {
    start();
    make_world(port(), "w");
  }
  void start(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--cores", "2"});
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", flags);
  }
  std::uint16_t port() const { return server_->port(); }
  Person person(const std::string& name) { return Person(port(), GetParam(), name); }
  // What somebody who has seen nothing yet is told; one value: all are that.
  std::vector<std::uint32_t> look(const Rect& rect) {
    client::ConnectOptions options;
    options.url = server_->websocket_url();
    client::Client client(options);
    EXPECT_TRUE(client.connect().ok());
    EXPECT_TRUE(client.open("w").ok());
    EXPECT_TRUE(client.wait_live(10s).ok());
    const auto view = client.subscribe(rect);
    EXPECT_TRUE(view.ok());
    EXPECT_TRUE(client.wait_until([&] { return client.is_ready(*view); }, 10s));
    std::vector<map::Cell> cells(rect.area());
    EXPECT_TRUE(client.read_rect(kLayer, rect, cells, client::View::confirmed));
    std::vector<std::uint32_t> values;
    for (const map::Cell cell : cells) values.push_back(cell.bits);
    return values;
  }
  static std::vector<std::uint32_t> all(const Rect& rect, std::uint32_t value) {
    return std::vector<std::uint32_t>(rect.area(), value);
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_P(Undo, TakesBackTheLastEditAndRedoBringsItBack) {  // UN-1
  Person ada = person("ada");
  const Rect place = Rect::of_size(10, 10, 4, 2);
  const std::uint64_t first = ada.edit({fill(place, 5)}), second = ada.edit({fill(place, 6)});
  const Answer undone = ada.undo();
  ASSERT_TRUE(undone.undone) << testing::PrintToString(undone);
  EXPECT_EQ(undone.undone->edit.value, second);
  EXPECT_EQ(undone.undone->author, ada.session());
  EXPECT_EQ(undone.undone->restored, 8u);
  EXPECT_EQ(undone.undone->skipped, 0u);
  EXPECT_EQ(look(place), all(place, 5));
  EXPECT_EQ(ada.undo().undone->edit.value, first);
  EXPECT_EQ(look(place), all(place, 0));
  EXPECT_EQ(ada.undo().refused, ErrorCode::not_found);
  EXPECT_EQ(ada.redo().undone->edit.value, first);
  EXPECT_EQ(look(place), all(place, 5));
  EXPECT_EQ(ada.redo().undone->edit.value, second);
  EXPECT_EQ(look(place), all(place, 6));
  EXPECT_EQ(ada.redo().refused, ErrorCode::not_found);
  // A redo can be undone, and an edit ends what can be redone.
  EXPECT_EQ(ada.undo().undone->edit.value, second);
  ada.edit({fill(Rect::of_size(0, 0, 1, 1), 1)});
  EXPECT_EQ(ada.redo().refused, ErrorCode::not_found);
}

TEST_P(Undo, LeavesWhatOthersChangedSinceAndWhatOthersDid) {  // UN-2
  Person ada = person("ada"), bob = person("bob");
  const Rect place = Rect::of_size(0, 0, 4, 1);
  ada.edit({fill(place, 5)});
  bob.edit({fill(Rect::of_size(1, 0, 1, 1), 9)});
  const Answer undone = ada.undo();
  ASSERT_TRUE(undone.undone);
  EXPECT_EQ(undone.undone->restored, 3u);
  EXPECT_EQ(undone.undone->skipped, 1u);
  EXPECT_EQ(look(place), (std::vector<std::uint32_t>{0, 9, 0, 0}));
  EXPECT_EQ(ada.redo().undone->restored, 3u);
  EXPECT_EQ(look(place), (std::vector<std::uint32_t>{5, 9, 5, 5}));
  EXPECT_EQ(bob.undo().undone->restored, 1u);
  EXPECT_EQ(look(place), all(place, 5));
}

TEST_P(Undo, IsOneStepOverShards) {
  Person ada = person("ada");
  const Rect border = Rect::of_size(8190, 8190, 4, 4);
  ada.edit({fill(border, 5)});
  const Answer undone = ada.undo();
  ASSERT_TRUE(undone.undone) << testing::PrintToString(undone);
  EXPECT_EQ(undone.shards, 4u);
  EXPECT_EQ(undone.undone->restored, 16u);
  EXPECT_EQ(look(border), all(border, 0));
  EXPECT_EQ(ada.redo().undone->restored, 16u);
  EXPECT_EQ(look(border), all(border, 5));
}

TEST_P(Undo, OfAHugeFillSharesPagesAgainAndSkipsWhatWasPaintedSince) {
  Person ada = person("ada"), bob = person("bob");
  const Rect huge = Rect::of_size(3000, 3000, 10000, 10000), corner = Rect::of_size(2990, 2990, 40, 40);
  bob.edit({fill(corner, 2)});
  ada.edit({fill(huge, 5)});
  bob.edit({fill(Rect::of_size(6000, 6000, 2, 1), 9), fill(Rect::of_size(3000, 3000, 1, 1), 9)});
  const Answer undone = ada.undo();
  ASSERT_TRUE(undone.undone) << testing::PrintToString(undone);
  EXPECT_EQ(undone.undone->restored, 100'000'000u - 3);
  EXPECT_EQ(undone.undone->skipped, 3u);
  std::vector<std::uint32_t> twos = all(corner, 2);
  twos[10 * 40 + 10] = 9;
  EXPECT_EQ(look(corner), twos);
  EXPECT_EQ(look(Rect::of_size(5999, 6000, 4, 1)), (std::vector<std::uint32_t>{0, 9, 9, 0}));
  EXPECT_EQ(look(Rect::of_size(12990, 12990, 20, 20)), all(Rect::of_size(0, 0, 20, 20), 0));
  bob.undo();
  EXPECT_EQ(ada.redo().undone->restored, 100'000'000u - 3);
  EXPECT_EQ(look(Rect::of_size(3001, 3001, 20, 20)), all(Rect::of_size(0, 0, 20, 20), 5));
  EXPECT_EQ(look(Rect::of_size(3000, 3000, 1, 1)), all(Rect::of_size(0, 0, 1, 1), 5));
}

TEST_P(Undo, NamesAnEditAndItsSession) {  // UN-3
  Person ada = person("ada"), bob = person("bob");
  const Rect place = Rect::of_size(0, 0, 1, 1), other = Rect::of_size(1, 0, 1, 1);
  const EditId first{ada.edit({fill(place, 5)})};
  const EditId second{ada.edit({fill(other, 6)})};
  EXPECT_EQ(ada.undo(first).undone->restored, 1u);
  EXPECT_EQ(look(Rect::of_size(0, 0, 2, 1)), (std::vector<std::uint32_t>{0, 6}));
  EXPECT_EQ(ada.undo(first).refused, ErrorCode::conflict);
  EXPECT_EQ(ada.redo(second).refused, ErrorCode::conflict);
  // From another session of the same user, by name; not by somebody else.
  Person phone = person("ada");
  EXPECT_EQ(phone.undo(second).refused, ErrorCode::not_found);
  EXPECT_EQ(bob.undo(second, ada.session()).refused, ErrorCode::forbidden);
  EXPECT_EQ(phone.redo(first, ada.session()).undone->restored, 1u);
  EXPECT_EQ(phone.undo().undone->edit, first);
  EXPECT_EQ(phone.undo().undone->edit, second);
  EXPECT_EQ(look(Rect::of_size(0, 0, 2, 1)), (std::vector<std::uint32_t>{0, 0}));
}

TEST_P(Undo, FindsEverythingAgainAfterARestartAndAKill) {
  const Rect place = Rect::of_size(8190, 5, 4, 1), huge = Rect::of_size(0, 0, 400, 400);
  {
    Person ada = person("ada");
    ada.edit({fill(place, 1)});
    ada.edit({fill(huge, 2)});
    ada.edit({fill(place, 3)});
    EXPECT_TRUE(ada.undo().undone);
  }
  server_->terminate();
  start();
  {
    Person ada = person("ada");
    EXPECT_EQ(ada.redo().undone->restored, 4u);
    EXPECT_EQ(look(place), all(place, 3));
    EXPECT_TRUE(ada.undo().undone);
    EXPECT_EQ(ada.undo().undone->restored, 160'000u);
    EXPECT_EQ(look(Rect::of_size(100, 100, 9, 9)), all(Rect::of_size(0, 0, 9, 9), 0));
  }
  server_->kill();
  start();
  {
    Person ada = person("ada");
    EXPECT_EQ(look(place), all(place, 1));
    EXPECT_TRUE(ada.undo().undone);
    EXPECT_EQ(look(place), all(place, 0));
    EXPECT_EQ(ada.undo().refused, ErrorCode::not_found);
    EXPECT_TRUE(ada.redo().undone);
    EXPECT_EQ(ada.redo().undone->restored, 160'000u);
    EXPECT_TRUE(ada.redo().undone);
    EXPECT_EQ(look(place), all(place, 3));
  }
}

TEST_P(Undo, IsDoneOnceHoweverOftenItIsSent) {  // UN-4
  Person ada = person("ada");
  const Rect place = Rect::of_size(0, 0, 1, 1);
  const std::uint64_t first = ada.edit({fill(place, 5)});
  const std::uint64_t second = ada.edit({fill(place, 6)});
  const EditId undo = ada.begin_undo();
  ada.come_back(port());
  const Answer answer = ada.again(undo);
  ASSERT_TRUE(answer.undone) << testing::PrintToString(answer);
  EXPECT_EQ(answer.undone->edit.value, second);
  EXPECT_EQ(look(place), all(place, 5));
  server_->kill();
  start();
  ada.come_back(port());
  const Answer later = ada.again(undo);
  ASSERT_TRUE(later.undone) << testing::PrintToString(later);
  EXPECT_EQ(later.undone->edit.value, second);
  EXPECT_EQ(later.undone->restored, 1u);
  EXPECT_EQ(look(place), all(place, 5));
  EXPECT_EQ(ada.undo().undone->edit.value, first);
  // Also when more has happened since.
  EXPECT_EQ(ada.again(undo).undone->edit.value, second);
  EXPECT_EQ(look(place), all(place, 0));
}

TEST_P(Undo, OfWhatIsNotThereHasItsCode) {
  Person ada = person("ada");
  EXPECT_EQ(ada.undo().refused, ErrorCode::not_found);
  EXPECT_EQ(ada.redo().refused, ErrorCode::not_found);
  EXPECT_EQ(ada.undo(EditId{77}).refused, ErrorCode::not_found);
  EXPECT_EQ(ada.undo({}, SessionId{5}).refused, ErrorCode::bad_message);
  ada.edit({fill(Rect::of_size(0, 0, 1, 1), 5)});
  EXPECT_TRUE(ada.undo().undone);
}

TEST_P(Undo, ReachesAsFarAsThePastIsKept) {
  Person(port(), GetParam(), "ada").edit({fill(Rect::of_size(0, 0, 1, 1), 5)});
  server_->terminate();
  start({"--history-mib", "0"});
  // What a worker puts away at the start may be found until it has; then never again.
  server_->terminate();
  start({"--history-mib", "0"});
  Person ada = person("ada");
  const Answer answer = ada.undo();
  EXPECT_EQ(answer.refused, ErrorCode::not_found) << testing::PrintToString(answer);
}

INSTANTIATE_TEST_SUITE_P(Forms, Undo, testing::Values(Form::binary, Form::json), [](const auto& form) {
  return form.param == Form::json ? std::string("json") : std::string("binary");
});

}  // namespace
}  // namespace terrazzo::integration
