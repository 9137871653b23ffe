// Whatever one client sends wrong gets its documented answer, and another client notices nothing.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"

namespace terrazzo::integration {
namespace {

constexpr const char* kJson = "terrazzo.v1.json";
constexpr const char* kHello = R"({"type":"hello","protocol":1,"name":"tester"})";
constexpr const char* kOpen = R"({"type":"open","world":"w"})";

class BadInput : public testing::Test {
 protected:
  BadInput() {
    make_world(server_.port(), "w", 50, "[-1000,-1000,2000,2000]");
    bystander_.send_text(kHello);
    bystander_.send_text(kOpen);
    bystander_.send_text(R"({"type":"subscribe","sub":1,"rect":[0,0,64,64]})");
    EXPECT_TRUE(bystander_.read_until("subscribed"));
  }
  ~BadInput() override {
    // The bystander's edit comes back to it: it is served as before, and nothing wrong was applied meanwhile (LSN 1).
    bystander_.send_text(R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[0,0,2,2],"cell":9}]})");
    const auto applied = bystander_.read_until("\"applied\"");
    EXPECT_TRUE(applied && applied->find(R"("lsn":1,)") != std::string::npos) << applied.value_or("nothing came");
  }
  WebSocketPeer opened() {
    WebSocketPeer peer(server_.port(), kJson);
    peer.send_text(kHello);
    peer.send_text(kOpen);
    EXPECT_TRUE(peer.read_until(R"("type":"world")"));
    return peer;
  }

  TemporaryFolder folder_;
  ServerProcess server_{folder_.path() / "data"};
  WebSocketPeer bystander_{server_.port(), kJson};
};

struct Case {
  std::string sent, answer;
};

TEST_F(BadInput, MessagesThatMakeNoSenseAreAnsweredAndTheConnectionLivesOn) {
  const std::vector<Case> cases = {
      {R"({"type":"frobnicate"})", "unknown_type"},
      {R"({"no":"type"})", "bad_message"},
      {R"({"type":"hello","protocol":1})", "conflict"},
      {R"({"type":"open","world":"w"})", "conflict"},
      {R"({"type":"subscribe","sub":1})", "bad_message"},
      {R"({"type":"subscribe","sub":1,"rect":[0,0,0,5]})", "bad_message"},
      {R"({"type":"subscribe","sub":1,"rect":[0,0,"a",5]})", "bad_message"},
      {R"({"type":"subscribe","sub":1,"rect":[0,0,10,10],"layers":[77]})", "not_found"},
      {R"({"type":"subscribe","sub":1,"rect":[0,0,10,10],"layers":[2]})", "not_found"},
      {R"({"type":"unsubscribe","sub":99})", "not_found"},
      {R"({"type":"edit","ops":[]})", "bad_message"},
      {R"({"type":"edit","id":0,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1],"cell":1}]})", "bad_message"},
      {R"({"type":"edit","id":2,"ops":[]})", "bad_message"},
      {R"({"type":"edit","id":3,"ops":[{"op":"explode","layer":1,"rect":[0,0,1,1]}]})", "bad_message"},
      {R"({"type":"edit","id":4,"ops":[{"op":"fill","layer":9,"rect":[0,0,1,1],"cell":1}]})", "not_found"},
      {R"({"type":"edit","id":5,"ops":[{"op":"fill","layer":2,"rect":[0,0,1,1],"cell":1}]})", "bad_message"},
      {R"({"type":"edit","id":6,"ops":[{"op":"fill","layer":1,"rect":[999,0,2,1],"cell":1}]})", "out_of_bounds"},
      {R"({"type":"edit","id":7,"ops":[{"op":"fill","layer":1,"rect":[4000000000,0,2,1],"cell":1}]})", "bad_message"},
      {R"({"type":"edit","id":8,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1],"cell":51}]})", "out_of_bounds"},
      {R"({"type":"edit","id":9,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1],"cell":-1}]})", "bad_message"},
      {R"({"type":"edit","id":10,"ops":[{"op":"set","layer":1,"rect":[0,0,2,2],"cells":[1,2,3]}]})", "bad_message"},
      {R"({"type":"edit","id":11,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1],"cell":1}],"if":[{"layer":1,"rect":[0,0,1,1],"cell":7}]})",
       "condition_failed"},
      {R"({"type":"presence","cursor":[1]})", "bad_message"},
  };
  WebSocketPeer peer = opened();
  for (const Case& c : cases) {
    ASSERT_TRUE(peer.send_text(c.sent));
    const auto answer = peer.read();
    ASSERT_TRUE(answer) << c.sent;
    EXPECT_NE(answer->find("\"code\":\"" + c.answer + "\""), std::string::npos) << c.sent << "\n → " << *answer;
  }
  peer.send_text(R"({"type":"ping","t":5})");
  EXPECT_TRUE(peer.read_until("pong"));
}

TEST_F(BadInput, TheOrderOfMessagesIsHelloThenOpenThenTheRest) {
  WebSocketPeer peer(server_.port(), kJson);
  peer.send_text(kOpen);
  EXPECT_NE(peer.read().value_or("").find("say hello first"), std::string::npos);
  peer.send_text(R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1],"cell":1}]})");
  EXPECT_NE(peer.read().value_or("").find("\"reject\""), std::string::npos);
  peer.send_text(kHello);
  EXPECT_TRUE(peer.read_until("welcome"));
  peer.send_text(R"({"type":"subscribe","sub":1,"rect":[0,0,64,64]})");
  EXPECT_NE(peer.read().value_or("").find("no world is open"), std::string::npos);
  peer.send_text(R"({"type":"open","world":"nowhere"})");
  EXPECT_NE(peer.read().value_or("").find("not_found"), std::string::npos);
  peer.send_text(kOpen);
  EXPECT_TRUE(peer.read_until(R"("type":"world")"));
}

TEST_F(BadInput, AProtocolOfAnotherVersionIsRefused) {
  WebSocketPeer peer(server_.port(), kJson);
  peer.send_text(R"({"type":"hello","protocol":99})");
  EXPECT_NE(peer.read().value_or("").find("unsupported"), std::string::npos);
  EXPECT_EQ(peer.close_code(), 1008);
}

TEST_F(BadInput, TextThatIsNotJsonClosesWith1007) {
  WebSocketPeer peer = opened();
  peer.send_text(R"({"type":"ping",)");
  EXPECT_EQ(peer.close_code(), 1007);
}

TEST_F(BadInput, BytesThatAreNotFlatBuffersCloseWith1007) {
  for (const std::string& bytes :
       {std::string("garbage"), std::string(64, '\xFF'), std::string("\x04\0\0\0\0\0\0\0", 8), std::string()}) {
    WebSocketPeer peer(server_.port(), "terrazzo.v1.flatbuffers");
    peer.send_binary(bytes);
    EXPECT_EQ(peer.close_code(), 1007) << bytes.size();
  }
}

TEST_F(BadInput, AMessageOfTheOtherFormClosesWith1002) {
  WebSocketPeer peer(server_.port(), kJson);
  peer.send_binary("{}");
  EXPECT_EQ(peer.close_code(), 1002);
}

TEST_F(BadInput, AMessageOverTheLimitClosesWith1009) {
  WebSocketPeer peer = opened();
  peer.send_text(std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(peer.close_code(), 1009);
}

TEST_F(BadInput, FramesThatBreakRfc6455CloseWith1002) {
  const std::vector<std::string> frames = {
      std::string("\x81\x02{}", 4),                    // not masked
      std::string("\xC1\x80\0\0\0\0", 6),              // a reserved bit
      std::string("\x83\x80\0\0\0\0", 6),              // an opcode that means nothing
      std::string("\x80\x80\0\0\0\0", 6),              // nothing to continue
      std::string("\x09\x80\0\0\0\0", 6),              // a ping in pieces
      std::string("\x81\xFE\0\x05\0\0\0\0hello", 13),  // a length not in its shortest form
      std::string("\x88\x81\0\0\0\0\x03", 7),          // a close code of one byte
  };
  for (const std::string& frame : frames) {
    WebSocketPeer peer(server_.port(), kJson);
    peer.send_raw(frame);
    EXPECT_EQ(peer.close_code(), 1002) << testing::PrintToString(frame);
  }
}

TEST_F(BadInput, AnEditOfTooManyCellsIsRejectedWhole) {
  WebSocketPeer peer = opened();
  std::string cells = "0";
  for (int i = 1; i < 66000; ++i) cells += ",0";
  peer.send_text(R"({"type":"edit","id":1,"ops":[{"op":"set","layer":1,"rect":[0,0,660,100],"cells":[)" + cells +
                 "]}]}");
  EXPECT_NE(peer.read().value_or("").find("too_large"), std::string::npos);
}

TEST_F(BadInput, AViewLargerThanTheLimitIsRefused) {
  WebSocketPeer peer = opened();
  make_world(server_.port(), "endless");
  WebSocketPeer other(server_.port(), kJson);
  other.send_text(kHello);
  other.send_text(R"({"type":"open","world":"endless"})");
  other.send_text(R"({"type":"subscribe","sub":1,"rect":[-2147483648,-2147483648,4294967295,4294967295]})");
  EXPECT_TRUE(other.read_until("too_large"));
}

TEST_F(BadInput, ClientsThatVanishLeaveNothingBehind) {
  for (int i = 0; i < 20; ++i) {
    WebSocketPeer peer = opened();
    peer.send_text(R"({"type":"subscribe","sub":1,"rect":[0,0,500,500]})");
    if (i % 2 == 0) peer.send_raw("\x81");  // half a frame
  }
  // Their connections are counted out as the kernel reports them gone.
  std::string metrics;
  for (int i = 0; i < 1000; ++i) {
    metrics = http(server_.port(), "GET", "/metrics").body;
    if (metrics.find("terrazzo_sessions{core=\"0\"} 1\n") != std::string::npos ||
        metrics.find("terrazzo_sessions{core=\"1\"} 1\n") != std::string::npos)
      break;
  }
  double sessions = 0;
  for (std::size_t at = 0; (at = metrics.find("\nterrazzo_sessions{", at)) != std::string::npos; ++at)
    sessions += std::stod(metrics.substr(metrics.find('}', at) + 1));
  EXPECT_EQ(sessions, 1);
}

}  // namespace
}  // namespace terrazzo::integration
