#include "server/catalog/user_names.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/io/scratch_folder.h"

namespace terrazzo::catalog {
namespace {

class UserNamesTest : public testing::Test {
 protected:
  UserNamesTest() : data_(*io::DataDirectory::open(folder_ / "data")) {}
  std::string file() const { return folder_ / "data/users.names"; }
  std::string bytes() const {
    std::ifstream in(file(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void write(const std::string& text) const { std::ofstream(file(), std::ios::binary) << text; }
  // What a server that starts now knows.
  std::unique_ptr<UserNames> loaded() const {
    auto names = std::make_unique<UserNames>();
    EXPECT_TRUE(names->load(*data_));
    return names;
  }
  void note(UserNames& names, std::uint64_t user, const std::string& name) {
    EXPECT_TRUE(names.note(UserId{user}, name));
    ASSERT_TRUE(names.flush(*data_));
  }

  io::ScratchFolder folder_;
  std::unique_ptr<io::DataDirectory> data_;
};

TEST_F(UserNamesTest, AreKnownAfterARestart) {
  UserNames names;
  ASSERT_TRUE(names.load(*data_)) << "there is no file yet";
  note(names, 1, "ann");
  note(names, 3, "Bob with a longer name, ü");
  EXPECT_FALSE(names.note(UserId{1}, "ann")) << "known already";
  EXPECT_FALSE(names.note(UserId{5}, "")) << "nobody is called nothing";
  const auto again = loaded();
  EXPECT_EQ(again->name_of(UserId{1}), "ann");
  EXPECT_EQ(again->name_of(UserId{3}), "Bob with a longer name, ü");
  EXPECT_EQ(again->name_of(UserId{7}), "");
  EXPECT_EQ(again->damaged(), 0u);
}

TEST_F(UserNamesTest, OfALongNameTheBeginningIsKeptInWholeCharacters) {
  std::string name(UserNames::kNameBytesMax - 1, 'x');
  UserNames names;
  note(names, 1, name + "üüü");
  EXPECT_EQ(loaded()->name_of(UserId{1}), name);
}

TEST_F(UserNamesTest, CutOffAnywhereLoseNothingButTheirEnd) {
  UserNames names;
  note(names, 1, "ann");
  const std::size_t whole = bytes().size();
  note(names, 3, "bob");
  const std::string all = bytes();
  for (std::size_t size = whole; size < all.size(); ++size) {
    write(all.substr(0, size));
    const auto again = loaded();
    EXPECT_EQ(again->name_of(UserId{1}), "ann") << size;
    EXPECT_EQ(again->name_of(UserId{3}), "") << size;
    // What comes later is found by the next start, too.
    note(*again, 5, "cat");
    const auto later = loaded();
    EXPECT_EQ(later->name_of(UserId{1}), "ann") << size;
    EXPECT_EQ(later->name_of(UserId{5}), "cat") << size;
    EXPECT_EQ(later->damaged(), 0u) << size;
  }
}

TEST_F(UserNamesTest, AreReadBehindDamage) {
  UserNames names;
  note(names, 1, "ann");
  note(names, 3, "bob");
  note(names, 5, "cat");
  const std::string all = bytes();
  for (std::size_t at = 0; at < all.size(); ++at) {
    std::string damaged = all;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    write(damaged);
    const auto again = loaded();
    EXPECT_EQ(again->damaged(), 1u) << at;
    int known = 0;
    for (const std::uint64_t user : {1u, 3u, 5u}) {
      const std::string name = again->name_of(UserId{user});
      known += name.empty() ? 0 : 1;
      EXPECT_TRUE(name.empty() || name == "ann" || name == "bob" || name == "cat") << name;
    }
    EXPECT_EQ(known, 2) << at;
  }
}

TEST_F(UserNamesTest, OnceForgottenAreNowhereInTheFile) {
  UserNames names;
  note(names, 1, "ann");
  note(names, 3, "bob");
  ASSERT_TRUE(names.forget(*data_, UserId{1}));
  EXPECT_EQ(names.name_of(UserId{1}), "");
  EXPECT_EQ(bytes().find("ann"), std::string::npos);
  EXPECT_EQ(loaded()->name_of(UserId{3}), "bob");
  const Status again = names.forget(*data_, UserId{1});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::not_found);
  note(names, 1, "ann");
  EXPECT_EQ(loaded()->name_of(UserId{1}), "ann") << "who comes in again is known again";
}

TEST_F(UserNamesTest, ThatCouldNotBeWrittenAreTriedAgain) {
  UserNames names;
  std::filesystem::create_directory(file());
  EXPECT_TRUE(names.note(UserId{1}, "ann"));
  EXPECT_FALSE(names.flush(*data_));
  EXPECT_EQ(names.name_of(UserId{1}), "ann");
  std::filesystem::remove(file());
  ASSERT_TRUE(names.flush(*data_));
  EXPECT_EQ(loaded()->name_of(UserId{1}), "ann");
}

TEST_F(UserNamesTest, AreNoMoreThanSoMany) {
  UserNames names;
  for (std::uint64_t user = 1; user <= UserNames::kNamesMax; ++user) EXPECT_TRUE(names.note(UserId{user}, "x"));
  EXPECT_FALSE(names.note(UserId{UserNames::kNamesMax + 1}, "y"));
}

}  // namespace
}  // namespace terrazzo::catalog
