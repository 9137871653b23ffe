// The program against a server whose worlds and answers nobody vouches for.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "map/formats/sha256.h"
#include "tests/integration/http_peer.h"
#include "tests/integration/server_process.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
const std::string kTerrazzo = TERRAZZO_BIN_DIR "/terrazzo";

// Answers one request with the body, whatever was asked.
class OneAnswer {
 public:
  explicit OneAnswer(std::string body) : body_(std::move(body)) {
    thread_ = std::thread([this] {
      boost::system::error_code ignored;
      asio::ip::tcp::socket socket(io_);
      acceptor_.accept(socket, ignored);
      std::string request;
      asio::read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", ignored);
      asio::write(socket,
                  asio::buffer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                               std::to_string(body_.size()) + "\r\n\r\n" + body_),
                  ignored);
    });
  }
  // Connects itself first: where the program never came, the thread still waits for somebody.
  ~OneAnswer() {
    boost::system::error_code ignored;
    asio::ip::tcp::socket(io_).connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  std::string body_;
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::make_address("127.0.0.1"), 0}};
  std::thread thread_;
};

// 0 or 1 is an answer of the program; anything else is a signal: an exception that nobody caught.
void expect_an_answer(const Ran& ran) {
  EXPECT_TRUE(ran.exit_code == 0 || ran.exit_code == 1) << ran.exit_code << ": " << ran.output;
  EXPECT_EQ(ran.output.find("terminate called"), std::string::npos) << ran.output;
}

TEST(UntrustedServer, WrongTypesInListsDoNotEndTheProgram) {
  for (const char* body : {R"({"worlds":[5]})", R"({"worlds":[{"name":7,"layers":"x","tilesets":[],"id":{}}]})",
                           R"({"worlds":[{"bounds":"wide","tile_width":"x"}]})"}) {
    SCOPED_TRACE(body);
    const OneAnswer server(body);
    expect_an_answer(run_program(kTerrazzo, {"worlds", "--server", server.url()}));
  }
  for (const char* body : {R"({"versions":[5]})", R"({"versions":[{"id":1,"created_ms":9223372036854775807}]})",
                           R"({"versions":[{"id":[],"created_ms":-9223372036854775808}]})"}) {
    SCOPED_TRACE(body);
    const OneAnswer server(body);
    expect_an_answer(run_program(kTerrazzo, {"versions", "w", "--server", server.url()}));
  }
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A world of one tileset whose image has the name and the bytes.
void make_world_with_image(std::uint16_t port, const std::string& world, const std::string& name,
                           const std::string& bytes) {
  const std::string hash = formats::sha256_hex(bytes);
  const HttpAnswer made = http(
      port, "POST", "/v1/worlds",
      R"({"name":")" + world + R"(","tile_width":16,"tile_height":16,"bounds":[0,0,4,4],)" +
          R"("layers":[{"id":1,"kind":"tile","name":"g"}],"tilesets":[{"first_tile":1,"tile_count":1,"name":"t",)" +
          R"("tile_width":16,"tile_height":16,"columns":1,"image":{"hash":")" + hash + R"(","name":")" + name +
          R"(","width":16,"height":16}}]})");
  ASSERT_EQ(made.status, 201u) << made.body;
  const HttpAnswer put = http(port, "PUT", "/v1/worlds/" + world + "/assets/" + hash, bytes);
  ASSERT_LT(put.status, 300u) << put.body;
}

const std::string kPng("\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0", 29);

TEST(UntrustedServer, AnExportWritesImagesOnlyAndOnlyBesideTheMap) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  // Our server stores images only, so the bytes are an image here; what is none is tests/cli's matter.
  struct Case {
    const char *world, *name;
  };
  const Case cases[] = {{"dotfile", ".bashrc"},
                        {"hook", ".git/hooks/pre-commit"},
                        {"dotpng", ".git/x.png"},
                        {"script", "build.sh"},
                        {"other-kind", "a.jpg"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    make_world_with_image(server.port(), c.world, c.name, kPng);
    const fs::path out = folder.path() / c.world;
    fs::create_directory(out);
    for (const bool force : {false, true}) {
      std::vector<std::string> arguments{"export", c.world, (out / "m.tmx").string(), "--server", server.http_url()};
      if (force) arguments.push_back("--force");
      const Ran ran = run_program(kTerrazzo, arguments);
      EXPECT_EQ(ran.exit_code, 1) << ran.output;
      EXPECT_TRUE(fs::is_empty(out)) << ran.output;
    }
  }
}

TEST(UntrustedServer, AnExportReplacesNoImageUnlessForced) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  make_world_with_image(server.port(), "w", "art/a.png", kPng);
  const fs::path image = folder.path() / "art/a.png";
  fs::create_directory(image.parent_path());
  std::ofstream(image) << "mine";
  std::vector<std::string> arguments{"export", "w", (folder.path() / "m.tmx").string(), "--server", server.http_url()};
  const Ran refused = run_program(kTerrazzo, arguments);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.output.find("--force"), std::string::npos) << refused.output;
  EXPECT_EQ(content(image), "mine");
  arguments.push_back("--force");
  const Ran forced = run_program(kTerrazzo, arguments);
  EXPECT_EQ(forced.exit_code, 0) << forced.output;
  EXPECT_EQ(content(image), kPng);
  arguments.pop_back();
  EXPECT_EQ(run_program(kTerrazzo, arguments).exit_code, 0) << "the same image is there already";
}

}  // namespace
}  // namespace terrazzo::integration
