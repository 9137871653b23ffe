#include <gtest/gtest.h>

#include <array>

#include "proto/codec.h"
#include "proto/wire/limits.h"

// What can be read but is wrong: an Invalid that says what would be right, with the edit's id where
// it is an edit (ER-2, ER-3).
namespace terrazzo::proto {
namespace {

struct Case {
  std::string_view json;
  ErrorCode code;
  std::string_view says;
  std::optional<std::uint64_t> edit;
};

class RejectedJson : public testing::TestWithParam<Case> {};

TEST_P(RejectedJson, SaysWhatWouldBeRight) {
  const Case& wrong = GetParam();
  Arena arena;
  const auto messages = decode_client_messages(Form::json, std::as_bytes(std::span(wrong.json)), arena);
  ASSERT_TRUE(messages.ok()) << wrong.json << ": " << messages.error().message;
  ASSERT_EQ(messages->size(), 1u);
  const auto* invalid = std::get_if<Invalid>(&(*messages)[0]);
  ASSERT_NE(invalid, nullptr) << wrong.json;
  EXPECT_EQ(error_code_name(invalid->code), error_code_name(wrong.code));
  EXPECT_NE(invalid->message.find(wrong.says), std::string_view::npos) << wrong.json << " says: " << invalid->message;
  ASSERT_EQ(invalid->edit.has_value(), wrong.edit.has_value()) << wrong.json;
  if (wrong.edit) {
    EXPECT_EQ(invalid->edit->value, *wrong.edit);
  }
}

constexpr auto kBad = ErrorCode::bad_message;
INSTANTIATE_TEST_SUITE_P(
    Cases, RejectedJson,
    testing::Values(
        Case{R"({})", kBad, "type must be there", {}}, Case{R"({"type":7})", kBad, "type must be a string", {}},
        Case{R"({"type":"frob","id":1})", ErrorCode::unknown_type, "there is no message \"frob\"", {}},
        Case{R"({"type":"undo"})", ErrorCode::bad_message, "id", {}},
        Case{R"({"type":"redo","id":7,"edit":"x"})", ErrorCode::bad_message, "edit", 7},
        Case{R"({"type":"hello","color":"green"})", kBad, "color must be \"#rrggbb\"", {}},
        Case{R"({"type":"hello","protocol":-1})", kBad, "protocol must be a whole number from 0", {}},
        Case{R"({"type":"hello","resume":"x"})", kBad, "resume must be {\"session\"", {}},
        Case{R"({"type":"hello","resume":{"incarnation":1}})", kBad, "hello.resume: session must be there", {}},
        Case{R"({"type":"open"})", kBad, "open: world must be there", {}},
        Case{R"({"type":"subscribe","sub":1})", kBad, "rect must be there: [x,y,w,h]", {}},
        Case{R"({"type":"subscribe","rect":[0,0,1,1]})", kBad, "sub must be a whole number", {}},
        Case{R"({"type":"subscribe","sub":1,"rect":[0,0,0,1]})", kBad, "at least 1 wide", {}},
        Case{R"({"type":"subscribe","sub":1,"rect":[0,0,1]})", kBad, "rect must be [x,y,w,h]", {}},
        Case{R"({"type":"subscribe","sub":1,"rect":[2147483647,0,2,1]})", kBad, "inside the plane", {}},
        Case{R"({"type":"subscribe","sub":1,"rect":[0,0,1,1],"layers":[256]})", kBad, "layer ids, 0 to 255", {}},
        Case{R"({"type":"subscribe","sub":1,"rect":[0,0,1,1],"known":[[1,0,0]]})", kBad, "rows of 4 whole numbers", {}},
        Case{R"({"type":"subscribe","sub":1,"rect":[0,0,1,1],"known":[[1,67108864,0,1]]})",
             kBad,
             "[layer, chunk x,",
             {}},
        Case{R"({"type":"edit","ops":[]})", kBad, "id must be a whole number from 0 to 2^64-1", {}},
        Case{R"({"type":"edit","id":"12x","ops":[]})", kBad, "in decimal as a string", {}},
        Case{R"({"type":"edit","id":5,"ops":[],"ack":"soon"})", kBad, "ack must be \"durable\" or \"applied\"", 5},
        Case{R"({"type":"edit","id":5,"ops":{}})", kBad, "ops must be an array of at most 4096", 5},
        Case{R"({"type":"edit","id":5,"ops":[1]})", kBad, "ops[0] must be an object", 5},
        Case{R"({"type":"edit","id":"5","ops":[{"op":"spray","layer":1,"rect":[0,0,1,1]}]})", kBad,
             "op 0: op must be \"set\", \"fill\", \"replace\", \"copy\" or \"flood\"", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"flood","layer":1,"x":0,"y":0,"cell":1}]})", kBad,
             "op 0: bounds must be", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"flood","layer":1,"x":4,"y":0,"cell":1,"bounds":[0,0,4,4]}]})", kBad,
             "op 0: bounds must be a rectangle that holds x,y", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"flood","layer":1,"x":2147483648,"y":0,"cell":1}]})", kBad,
             "op 0: x must be a whole number", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"copy","layer":1,"rect":[0,0,2,2]}]})", kBad, "op 0: to must be", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"copy","layer":1,"rect":[0,0,2,2],"to":[2147483647,0]}]})", kBad,
             "op 0: to must be a place where all that is copied fits", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"copy","layer":1,"rect":[0,0,2,2],"to":[9,9],"flip":"up"}]})", kBad,
             "op 0: flip must be \"none\", \"horizontal\"", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"copy","layer":1,"rect":[0,0,2,2],"to":[9,9],"turns":4}]})", kBad,
             "op 0: turns must be a whole number from 0 to 3", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"fill","layer":300,"rect":[0,0,1,1],"cell":1}]})", kBad,
             "layer must be a whole number from 0 to 255", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1]}]})", kBad, "op 0: cell must be",
             5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"fill","layer":1,"rect":[0,0,1,1],"cell":4294967296}]})", kBad,
             "4294967295", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"replace","layer":1,"rect":[0,0,1,1],"to":1}]})", kBad,
             "from must be", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"set","layer":1,"rect":[0,0,2,2],"cells":[1,2,3]}]})", kBad,
             "cells must be 4 numbers", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"set","layer":1,"rect":[0,0,4294967295,4294967295],"cells":[1]}]})",
             kBad, "inside the plane", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"set","layer":1,"x":0,"y":0,"cells":[-1]}]})", kBad,
             "numbers from 0 to 4294967295", 5},
        Case{R"({"type":"edit","id":5,"ops":[{"op":"set","layer":1,"x":0,"cells":[1]}]})", kBad,
             "y must be a whole number", 5},
        Case{R"({"type":"edit","id":5,"if":[{"layer":1,"rect":[0,0,1,1]}]})", kBad, "condition 0: cell must be", 5},
        Case{R"({"type":"edit","id":5,"if":[{"layer":1,"rect":[0,0,2,1],"cells":[1]}]})", kBad,
             "cells must be 2 numbers", 5},
        Case{R"({"type":"presence","cursor":[1]})", kBad, "cursor must be [x,y]", {}},
        Case{R"({"type":"presence","viewport":[0,0,-1,1]})", kBad, "viewport must be [x,y,w,h]", {}},
        Case{R"({"type":"presence","tool":"a tool whose name is longer than what is shown beside any cursor, ever"})",
             kBad,
             "tool must be",
             {}},
        Case{R"({"type":"chat"})", kBad, "text must be there", {}},
        Case{R"({"type":"chat","text":""})", kBad, "text must be 1 to 1024 bytes", {}},
        Case{R"({"type":"ping","t":-1})", kBad, "t must be", {}}));

TEST(RejectedJson, WhatIsNoJsonIsAnErrorOfTheWhole) {  // ER-1
  Arena arena;
  for (const std::string_view text :
       {"", "{", "7", "\"hello\"", "[1]", "{\"type\":\"ping\"} x", "{\"type\":\"ping\",}", "{\"type\":\"p\xFFng\"}"}) {
    const auto result = decode_client_messages(Form::json, std::as_bytes(std::span(text)), arena);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().code, kBad);
    EXPECT_NE(result.error().message.find("JSON message: "), std::string::npos) << result.error().message;
  }
}

TEST(RejectedJson, UnknownFieldsAreIgnoredAndShortFormsAreTaken) {  // FO-4, ED-2
  constexpr std::string_view text =
      R"({"type":"edit","id":5,"why":["because"],"ops":[{"op":"set","layer":1,"x":-3,"y":4,"cells":[7],"brush":1}]})";
  Arena arena;
  const auto messages = decode_client_messages(Form::json, std::as_bytes(std::span(text)), arena);
  ASSERT_TRUE(messages.ok());
  const auto* edit = std::get_if<map::Edit>(&(*messages)[0]);
  ASSERT_NE(edit, nullptr);
  EXPECT_EQ(edit->ops[0].rect, map::Rect::of_size(-3, 4, 1, 1));
}

class RejectedBinary : public testing::Test {
 protected:
  // What the server makes of it.
  Invalid reject(const ClientMessage& message) {
    bytes_.clear();
    encoder_.append(Form::binary, message, bytes_);
    const auto messages = decode_client_messages(Form::binary, bytes_, arena_);
    if (!messages.ok()) {
      ADD_FAILURE() << messages.error().message;
      return {};
    }
    const auto* invalid = std::get_if<Invalid>(&(*messages)[0]);
    EXPECT_NE(invalid, nullptr);
    return invalid != nullptr ? *invalid : Invalid{};
  }
  Invalid reject(const map::Op& op) { return reject(map::Edit{EditId{5}, map::AckMode::durable, {&op, 1}, {}}); }

  Encoder encoder_;
  ByteBuffer bytes_;
  Arena arena_;
};

TEST_F(RejectedBinary, CellsThatDoNotFillTheRectangle) {
  const std::array<map::Cell, 3> cells{};
  const Invalid invalid = reject(map::Op{map::OpKind::set, 1, map::Rect::of_size(0, 0, 2, 2), {}, {}, cells});
  EXPECT_EQ(invalid.edit, EditId{5});
  EXPECT_NE(invalid.message.find("op 0: set needs exactly one cell per position"), std::string_view::npos)
      << invalid.message;
}

TEST_F(RejectedBinary, AreaThatWouldOverflow) {
  const Invalid invalid =
      reject(map::Op{map::OpKind::set, 1, {-(1ll << 31), -(1ll << 31), (1ll << 31) - 1, (1ll << 31) - 1}, {}, {}, {}});
  EXPECT_NE(invalid.message.find("exactly one cell"), std::string_view::npos) << invalid.message;
}

TEST_F(RejectedBinary, EmptyRectangles) {
  EXPECT_NE(reject(map::Op{map::OpKind::fill, 1, {}, {}, {}, {}}).message.find("at least one cell"),
            std::string_view::npos);
  const Invalid view = reject(Subscribe{1, {}, {}, {}, {}});
  EXPECT_NE(view.message.find("at least one cell"), std::string_view::npos);
  EXPECT_EQ(view.sub, 1u);
}

TEST_F(RejectedBinary, UnknownKinds) {
  EXPECT_NE(reject(map::copy_op(1, map::Rect::of_size(0, 0, 2, 1), 1, {2147483647, 5}, {})).message.find("must fit"),
            std::string_view::npos);
  EXPECT_NE(reject(map::flood_op(1, {5, 5}, map::Cell{1}, map::Rect::of_size(0, 0, 5, 6))).message.find("flood needs"),
            std::string_view::npos);
  const Invalid ack = reject(map::Edit{EditId{6}, static_cast<map::AckMode>(9), {}, {}});
  EXPECT_EQ(ack.edit, EditId{6});
  EXPECT_NE(ack.message.find("ack is durable (0) or applied (1)"), std::string_view::npos) << ack.message;
}

TEST_F(RejectedBinary, TooMuchOfEverything) {
  const std::vector<map::Op> ops(kOpsMax + 1,
                                 map::Op{map::OpKind::fill, 1, map::Rect::of_size(0, 0, 1, 1), {}, {}, {}});
  const Invalid many = reject(map::Edit{EditId{7}, map::AckMode::durable, ops, {}});
  EXPECT_EQ(many.code, ErrorCode::too_large);
  EXPECT_EQ(many.edit, EditId{7});
  const std::vector<map::LayerId> layers(map::kLayersMax + 1, 1);
  const Invalid view = reject(Subscribe{2, map::Rect::of_size(0, 0, 1, 1), layers, {}, {}});
  EXPECT_EQ(view.code, ErrorCode::too_large);
  EXPECT_EQ(view.sub, 2u);
  const KnownChunk far{1, {1 << 26, 0}, Lsn{1}};
  EXPECT_NE(reject(Subscribe{1, map::Rect::of_size(0, 0, 1, 1), {}, {&far, 1}, {}}).message.find("chunks lie from"),
            std::string_view::npos);
}

TEST_F(RejectedBinary, TextsThatAreNotUtf8OrTooLong) {
  EXPECT_NE(reject(Open{"isl\xFFnd"}).message.find("UTF-8"), std::string_view::npos);
  const std::string long_text(kTextBytesMax + 1, 'x');
  EXPECT_NE(reject(Hello{1, "c", long_text, "", 0, {}}).message.find("at most 4096 bytes"), std::string_view::npos);
  EXPECT_NE(reject(Presence{{}, {}, {}, std::string_view(long_text).substr(0, kToolBytesMax + 1)}).message.find("tool"),
            std::string_view::npos);
  for (const std::string_view line :
       {std::string_view(), std::string_view(long_text).substr(0, kChatBytesMax + 1), std::string_view("is\xFFn")})
    EXPECT_NE(reject(Chat{line}).message.find("1 to 1024 bytes"), std::string_view::npos);
}

TEST(FromANewerServer, UnknownMessagesAreSkipped) {  // FO-4
  constexpr std::string_view text =
      R"([{"type":"brand_new","claim":1},{"type":"pong","t":1},{"type":"error","code":"brand_new"}])";
  Arena arena;
  const auto messages = decode_server_messages(Form::json, std::as_bytes(std::span(text)), arena);
  ASSERT_TRUE(messages.ok()) << messages.error().message;
  ASSERT_EQ(messages->size(), 2u);
  EXPECT_EQ(std::get<Pong>((*messages)[0]).t, 1u);
  EXPECT_EQ(std::get<ErrorMessage>((*messages)[1]).code, ErrorCode::internal);
}

TEST(FromANewerServer, SenselessMessagesOfKnownTypesAreErrors) {
  Arena arena;
  for (const std::string_view text :
       {R"({"type":"durable","shard":[0],"lsn":1})", R"({"type":"durable","shard":[262144,0],"lsn":1})",
        R"({"type":"chunk","layer":1,"cx":0,"cy":0,"revision":1,"cells":[1]})", R"({"type":"world","world":1})"})
    EXPECT_FALSE(decode_server_messages(Form::json, std::as_bytes(std::span(text)), arena).ok()) << text;
}

}  // namespace
}  // namespace terrazzo::proto
