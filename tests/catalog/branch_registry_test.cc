#include "server/catalog/branch_registry.h"

#include <gtest/gtest.h>

namespace terrazzo::catalog {
namespace {

constexpr WorldId kMain{7};

NamedBranch add(BranchRegistry& registry, const std::string& name, WorldId parent = kMain, std::uint64_t origin = 1) {
  const Result<NamedBranch> made = registry.decide(parent, name, "ada", 1, origin, true);
  EXPECT_TRUE(made.ok()) << made.error().message;
  registry.commit(*made);
  return *made;
}

TEST(BranchRegistry, IdsAreOfTheWorldAndItsLine) {
  EXPECT_EQ(main_world(world_of_line(kMain, 2047)), kMain);
  EXPECT_EQ(line_of(world_of_line(kMain, 2047)), 2047u);
  EXPECT_EQ(world_of_line(kMain, 0), kMain);
  BranchRegistry registry;
  const NamedBranch one = add(registry, "one");
  EXPECT_EQ(main_world(one.world), kMain);
  EXPECT_NE(one.world, kMain);
  const NamedBranch two = add(registry, "two", one.world);
  EXPECT_EQ(two.parent, one.world);
  EXPECT_EQ(registry.list(two.world).size(), 2u) << "of the world, whatever line asks";
  EXPECT_FALSE(registry.find(WorldId{8}, "one").ok());
}

TEST(BranchRegistry, WhatIsDecidedIsThereWhenItIsCommitted) {
  BranchRegistry registry;
  const Result<NamedBranch> made = registry.decide(kMain, "one", "ada", 1, 4, false);
  ASSERT_TRUE(made.ok());
  EXPECT_FALSE(registry.get(made->world));
  EXPECT_FALSE(registry.decide(kMain, "one", "bob", 1, 4, false).ok()) << "the name is taken";
  EXPECT_TRUE(registry.began_at(kMain, 4)) << "its version is, too";
  registry.withdraw(*made);
  EXPECT_FALSE(registry.began_at(kMain, 4));
  EXPECT_TRUE(registry.decide(kMain, "one", "bob", 1, 4, false).ok());
  for (const char* name : {"", "a@b", "a/b"})
    EXPECT_EQ(registry.decide(kMain, name, "ada", 1, 4, false).error().code, ErrorCode::bad_message);
}

TEST(BranchRegistry, OneInWhichAnotherBeganIsNotDropped) {
  BranchRegistry registry;
  const NamedBranch one = add(registry, "one"), two = add(registry, "two", one.world);
  EXPECT_EQ(registry.remove(one).error().code, ErrorCode::conflict);
  EXPECT_TRUE(registry.remove(two).ok());
  EXPECT_EQ(registry.remove(two).error().code, ErrorCode::not_found);
  registry.removed(two);
  EXPECT_TRUE(registry.remove(one).ok());
  EXPECT_TRUE(registry.list(kMain).empty());
  registry.bring_back(one);
  EXPECT_EQ(registry.list(kMain).size(), 1u);
  EXPECT_EQ(registry.numbers(kMain), std::vector<storage::HeadId>{1});
}

TEST(BranchRegistry, NothingOfADroppedOneGoesBeforeTheListIsOnDisk) {
  BranchRegistry registry;
  const NamedBranch one = add(registry, "one");
  ASSERT_TRUE(registry.remove(one).ok());
  EXPECT_TRUE(registry.list(kMain).empty());
  EXPECT_FALSE(registry.was_dropped(one.world));
  EXPECT_EQ(registry.numbers(kMain), std::vector<storage::HeadId>{1}) << "a shard that is opened keeps its head";
  EXPECT_TRUE(registry.get(one.world)) << "edits of it that are under way still have a place";
  BranchRegistry after_it_was_written;
  ASSERT_TRUE(after_it_was_written.load(kMain, registry.to_json(kMain)).ok());
  EXPECT_TRUE(after_it_was_written.numbers(kMain).empty());
  registry.removed(one);
  EXPECT_TRUE(registry.was_dropped(one.world));
  EXPECT_TRUE(registry.numbers(kMain).empty());
  EXPECT_EQ(registry.last(kMain), 1u);
}

TEST(BranchRegistry, IsReadAsItWasWritten) {
  BranchRegistry registry;
  const NamedBranch one = add(registry, "one"), two = add(registry, "two", one.world, 5), gone = add(registry, "gone");
  ASSERT_TRUE(registry.remove(gone).ok());
  registry.removed(gone);
  BranchRegistry again;
  ASSERT_TRUE(again.load(kMain, registry.to_json(two.world)).ok());
  EXPECT_EQ(again.to_json(kMain), registry.to_json(kMain));
  const std::optional<NamedBranch> found = again.get(two.world);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parent, one.world);
  EXPECT_EQ(found->origin, 5u);
  EXPECT_TRUE(found->own_origin);
  for (const char* text :
       {"", "[]", "{}", R"({"last":1,"last_line":1,"branches":[{}]})", R"({"last":1,"last_line":1,"branches":[7]})",
        R"({"last":-1,"last_line":1,"branches":[]})", R"({"last":1,"last_line":2048,"branches":[]})",
        R"({"last":99999999999,"last_line":1,"branches":[]})"})
    EXPECT_FALSE(BranchRegistry().load(kMain, text).ok()) << text;
  // In itself, and in one that is not there.
  for (const unsigned parent : {1u, 2u}) {
    const std::string text = R"({"last":1,"last_line":1,"branches":[{"number":1,"line":1,"name":"one","author":"ada",)"
                             R"("created_ms":1,"parent_line":)" +
                             std::to_string(parent) + R"(,"origin":1,"own_origin":false,"deleted":false}]})";
    EXPECT_FALSE(BranchRegistry().load(kMain, text).ok()) << text;
  }
}

TEST(BranchRegistry, AnIdComesAgainOnlyWhenNoRecordSpeaksOfIt) {
  BranchRegistry registry;
  const NamedBranch first = add(registry, "first");
  EXPECT_FALSE(registry.was_dropped(first.world));
  ASSERT_TRUE(registry.remove(first).ok());
  registry.removed(first);
  EXPECT_TRUE(registry.was_dropped(first.world));
  std::vector<NamedBranch> all;
  for (unsigned i = 1; i < kLinesMax - 1; ++i) {
    all.push_back(add(registry, std::to_string(i)));
    ASSERT_NE(all.back().world, first.world);
  }
  EXPECT_EQ(registry.decide(kMain, "one more", "ada", 1, 1, true).error().code, ErrorCode::overloaded);
  registry.forget_deleted({first.world});
  EXPECT_EQ(registry.decide(kMain, "one more", "ada", 1, 1, true).error().code, ErrorCode::overloaded);
  registry.forget_deleted({});
  const NamedBranch again = add(registry, "one more");
  EXPECT_EQ(again.world, first.world);
  EXPECT_NE(again.number, first.number);
}

}  // namespace
}  // namespace terrazzo::catalog
