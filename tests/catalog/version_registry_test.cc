#include "server/catalog/version_registry.h"

#include <gtest/gtest.h>

namespace terrazzo::catalog {
namespace {

constexpr WorldId kWorld{7};

std::uint64_t add(VersionRegistry& registry, const std::string& name, bool temporary = false) {
  const Result<NamedVersion> made = registry.decide(kWorld, name, "ada", 1, temporary);
  EXPECT_TRUE(made.ok());
  registry.commit(kWorld, made->id);
  return made->id;
}

TEST(VersionRegistry, ATemporaryOneIsSeenByNobodyWhoAsksByNameAndGoesWithTheRun) {
  VersionRegistry registry;
  const std::uint64_t kept = add(registry, "monday"), temporary = add(registry, "backup x", true);
  EXPECT_EQ(add(registry, "backup x"), 3u) << "its name is free";
  EXPECT_EQ(registry.list(kWorld).size(), 2u);
  EXPECT_FALSE(registry.find(kWorld, std::to_string(temporary)).ok());
  EXPECT_TRUE(registry.get(kWorld, temporary).ok());

  VersionRegistry after_a_crash;
  ASSERT_TRUE(after_a_crash.load(kWorld, registry.to_json(kWorld)));
  EXPECT_FALSE(after_a_crash.get(kWorld, temporary).ok());
  EXPECT_TRUE(after_a_crash.get(kWorld, kept).ok());
  std::vector<std::uint64_t> all, deleted;
  after_a_crash.numbers(kWorld, all, deleted);
  EXPECT_EQ(all.size(), 3u) << "a log record may speak of it";
  EXPECT_EQ(deleted, std::vector<std::uint64_t>{temporary});
}

TEST(VersionRegistry, ABackupsListEndsBeforeTheVersionItWasMadeOf) {
  VersionRegistry registry;
  add(registry, "monday");
  const std::uint64_t cut = add(registry, "backup x", true);
  add(registry, "saved while it was copied");
  VersionRegistry restored;
  ASSERT_TRUE(restored.load(kWorld, registry.to_json_before(kWorld, cut)));
  ASSERT_EQ(restored.list(kWorld).size(), 1u);
  EXPECT_EQ(restored.list(kWorld)[0].name, "monday");
  EXPECT_GT(add(restored, "new"), 3u) << "numbers are not used again";
}

TEST(VersionRegistry, WhatIsAskedByNumberIsNotTakenForAName) {
  VersionRegistry registry;
  const std::uint64_t first = add(registry, "monday");
  add(registry, "1");
  EXPECT_EQ(registry.find(kWorld, "1")->id, 2u) << "people give names";
  EXPECT_EQ(registry.get(kWorld, first)->name, "monday");
}

TEST(VersionRegistry, ARemovalThatCouldNotBeWrittenCanBeTriedAgain) {
  VersionRegistry registry;
  const std::uint64_t id = add(registry, "monday");
  ASSERT_TRUE(registry.remove(kWorld, id));
  EXPECT_FALSE(registry.remove(kWorld, id));
  EXPECT_TRUE(registry.list(kWorld).empty());
  std::vector<std::uint64_t> all, deleted;
  registry.numbers(kWorld, all, deleted);
  EXPECT_TRUE(deleted.empty()) << "its pages stay until the list is on disk";
  VersionRegistry after_it_was_written;
  ASSERT_TRUE(after_it_was_written.load(kWorld, registry.to_json(kWorld)));
  EXPECT_TRUE(after_it_was_written.list(kWorld).empty());
  registry.bring_back(kWorld, id);
  EXPECT_EQ(registry.list(kWorld).size(), 1u);
  EXPECT_TRUE(registry.find(kWorld, "monday").ok());
  EXPECT_TRUE(registry.remove(kWorld, id));
}

}  // namespace
}  // namespace terrazzo::catalog
