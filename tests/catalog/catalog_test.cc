#include "server/catalog/catalog.h"

#include <gtest/gtest.h>

#include "tests/shard/memory_page_file.h"

namespace terrazzo::catalog {
namespace {

constexpr WorldId kMain{7};

// A shard with version 3 of the main line, and branch 2 with version 1 of its own.
class Catalog : public testing::Test {
 protected:
  void SetUp() override {
    auto made = storage::ShardStore::create(file_, {kMain, 0, 0});
    ASSERT_TRUE(made.ok()) << made.error().message;
    store_ = *std::move(made);
    ASSERT_TRUE(store_->begin_edit(Lsn{1}, 8).ok());
    store_->fill_chunk(1, 5, 9);
    const storage::PinInfo origin = store_->pin(storage::PinKind::version, 3);
    ASSERT_TRUE(store_->add_branch(2, origin).ok());
    store_->pin(storage::PinKind::version, 1, 2);
    for (int i = 0; i < 3; ++i) version(kMain);
    branch("gone");
    night_ = branch("night").world;
    version(night_);
  }
  void version(WorldId line) {
    const auto made = versions_.decide(line, "v" + std::to_string(versions_.last(line) + 1), "ada", 1);
    ASSERT_TRUE(made.ok());
    versions_.commit(line, made->id);
  }
  NamedBranch branch(const std::string& name) {
    const auto made = branches_.decide(kMain, name, "ada", 1, 3, false);
    EXPECT_TRUE(made.ok());
    branches_.commit(*made);
    return *made;
  }
  Status agrees(const VersionRegistry& versions, const BranchRegistry& branches) {
    return agrees_with_lists(*store_, kMain, versions, branches);
  }

  shard::MemoryPageFile file_;
  std::unique_ptr<storage::ShardStore> store_;
  VersionRegistry versions_;
  BranchRegistry branches_;
  WorldId night_;
};

TEST_F(Catalog, TheListsThatNamedWhatAShardHasAgreeWithIt) {
  EXPECT_TRUE(agrees(versions_, branches_).ok());
  // Deleted is not unknown.
  ASSERT_TRUE(versions_.remove(kMain, 3).ok());
  versions_.removed(kMain, 3);
  versions_.forget_deleted();
  EXPECT_TRUE(agrees(versions_, branches_).ok());
}

TEST_F(Catalog, ListsThatAreOlderThanAShardAreNamed) {
  const Status no_branches = agrees(versions_, {});
  ASSERT_FALSE(no_branches.ok());
  EXPECT_NE(no_branches.error().message.find("worlds/7/branches.json"), std::string::npos);
  const Status no_versions = agrees({}, branches_);
  ASSERT_FALSE(no_versions.ok());
  EXPECT_NE(no_versions.error().message.find("worlds/7/versions.json"), std::string::npos);
  VersionRegistry of_main_only;
  ASSERT_TRUE(of_main_only.load(kMain, versions_.to_json(kMain)).ok());
  const Status none_of_the_branch = agrees(of_main_only, branches_);
  ASSERT_FALSE(none_of_the_branch.ok());
  EXPECT_NE(none_of_the_branch.error().message.find("worlds/7/versions-2.json"), std::string::npos)
      << none_of_the_branch.error().message;
  // What the message says to do.
  BranchRegistry given_up;
  ASSERT_TRUE(given_up.load(kMain, R"({"last": 2, "last_line": 2, "branches": []})").ok());
  EXPECT_TRUE(agrees(of_main_only, given_up).ok());
}

}  // namespace
}  // namespace terrazzo::catalog
