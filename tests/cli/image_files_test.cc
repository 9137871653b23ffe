#include "cli/image_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace terrazzo::cli {
namespace {

namespace fs = std::filesystem;

// The header of a PNG of 1×1 pixels; `tail` makes different ones.
std::string png(const std::string& tail = "") {
  return std::string("\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0", 29) + tail;
}

class ImageFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "image_files_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    top_ = name;
    fs::create_directory(folder());
  }
  void TearDown() override { fs::remove_all(top_); }
  fs::path folder() const { return top_ / "export"; }
  void put(const fs::path& path, const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }
  std::string content(const fs::path& path) const {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  Status write(const std::string& path, const std::string& bytes, Existing existing = Existing::keep) const {
    return write_image(folder(), path, bytes, existing);
  }
  fs::path top_;
};

TEST_F(ImageFiles, AnImageIsWrittenWithItsFolders) {
  const Status done = write("art/Trees/oak.PNG", png());
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(content(folder() / "art/Trees/oak.PNG"), png());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder() / "art/Trees"), {}), 1);  // nothing is left beside it
}

TEST_F(ImageFiles, NamesThatTouchOtherThingsAreRefused) {
  for (const char* path :
       {"../x.png", "a/../../x.png", "/tmp/x.png", ".bashrc", ".x.png", ".git/hooks/x.png", "a/.b/x.png", "a//x.png",
        "x", "x.sh", "Makefile", "x.png/", "", ".", "a\\..\\x.png", "C:x.png"}) {
    EXPECT_FALSE(check_image_path(path).ok()) << path;
    for (const Existing existing : {Existing::keep, Existing::replace}) EXPECT_FALSE(write(path, png(), existing).ok());
  }
  EXPECT_FALSE(check_image_path(std::string("a.sh\0.png", 9)).ok());
  EXPECT_TRUE(fs::is_empty(folder()));
  EXPECT_EQ(std::distance(fs::directory_iterator(top_), {}), 1);
}

TEST_F(ImageFiles, BytesMustBeTheImageThatTheNameSays) {
  EXPECT_FALSE(write("a.png", "#!/bin/sh\nrm -rf ~\n").ok());
  EXPECT_FALSE(write("a.jpg", png()).ok());
  EXPECT_FALSE(write("a.png", "").ok());
  EXPECT_TRUE(fs::is_empty(folder()));
}

TEST_F(ImageFiles, ADifferentFileStaysUnlessForced) {
  put(folder() / "a.png", "mine");
  const Status refused = write("a.png", png());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
  EXPECT_NE(refused.error().message.find("--force"), std::string::npos) << refused.error().message;
  EXPECT_EQ(content(folder() / "a.png"), "mine");
  EXPECT_TRUE(write("a.png", png(), Existing::replace).ok());
  EXPECT_EQ(content(folder() / "a.png"), png());
  EXPECT_TRUE(write("a.png", png()).ok()) << "the same bytes";
  EXPECT_FALSE(write("a.png", png("other")).ok());
}

TEST_F(ImageFiles, LinksAreNotFollowed) {
  fs::create_directory(top_ / "outside");
  put(top_ / "outside/secret.png", "mine");
  fs::create_directory_symlink(top_ / "outside", folder() / "art");
  fs::create_symlink(top_ / "outside/secret.png", folder() / "b.png");
  fs::create_symlink(top_ / "outside/new.png", folder() / "c.png");  // to nothing yet
  for (const char* path : {"art/secret.png", "art/new.png", "b.png", "c.png"})
    EXPECT_FALSE(write(path, png()).ok()) << path;
  // Forced, a link itself gives way to the image; what it pointed to stays.
  EXPECT_FALSE(write("art/new.png", png(), Existing::replace).ok());
  EXPECT_TRUE(write("b.png", png(), Existing::replace).ok());
  EXPECT_TRUE(write("c.png", png(), Existing::replace).ok());
  EXPECT_FALSE(fs::is_symlink(folder() / "b.png"));
  EXPECT_EQ(content(top_ / "outside/secret.png"), "mine");
  EXPECT_EQ(std::distance(fs::directory_iterator(top_ / "outside"), {}), 1);
}

}  // namespace
}  // namespace terrazzo::cli
