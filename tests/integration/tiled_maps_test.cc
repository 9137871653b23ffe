// Every orthogonal map that Debian's tiled package installs: imported, edited by two clients at once (one in each
// form), exported, and drawn by Tiled's own renderer as the original with the same edits.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>

#include "http_peer.h"
#include "map/formats/compression.h"
#include "map/formats/tiled.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "terrazzo/render.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
const fs::path kExamples = "/usr/share/doc/tiled/examples";
const std::string kTerrazzo = TERRAZZO_BIN_DIR "/terrazzo";

std::string file_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> orthogonal_maps() {
  std::vector<std::string> maps;
  if (!fs::exists(kExamples)) return maps;
  for (const auto& entry : fs::recursive_directory_iterator(kExamples)) {
    const std::string name = entry.path().string();
    if (!name.ends_with(".tmx") && !name.ends_with(".tmx.gz")) continue;
    std::string bytes = file_bytes(entry.path());
    if (name.ends_with(".gz"))
      bytes = formats::decompress(bytes, formats::Compression::gzip, formats::kFileBytesMax).value();
    // Objects with templates are drawn by the editor alone, not by its renderer.
    if (bytes.find("orientation=\"orthogonal\"") != std::string::npos &&
        bytes.find(" template=") == std::string::npos && bytes.find("<layer ") != std::string::npos)
      maps.push_back(fs::relative(entry.path(), kExamples).string());
  }
  std::ranges::sort(maps);
  return maps;
}

struct Stroke {
  map::LayerId layer;
  map::Rect rect;
  map::Cell cell;
};

std::unique_ptr<client::Client> enter(const ServerProcess& server, proto::Form form) {
  client::ConnectOptions options;
  options.url = server.websocket_url();
  options.form = form;
  auto entered = std::make_unique<client::Client>(options);
  EXPECT_TRUE(entered->connect().ok());
  EXPECT_TRUE(entered->open("example").ok());
  const Status live = entered->wait_live(10s);
  EXPECT_TRUE(live.ok()) << live.error().message;
  return entered;
}

bool draw(const fs::path& map, const fs::path& picture) {
  return run_program("/usr/bin/tmxrasterizer", {map.string(), picture.string()},
                     {"QT_QPA_PLATFORM=offscreen", "XDG_RUNTIME_DIR=/tmp"})
             .exit_code == 0;
}

class TiledMaps : public testing::TestWithParam<std::string> {
 protected:
  // The examples with dpkg's packing undone.
  void unpack() {
    fs::copy(kExamples, folder_.path() / "examples", fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / "examples")) {
      if (entry.path().extension() != ".gz") continue;
      std::ofstream(fs::path(entry.path()).replace_extension(), std::ios::binary)
          << formats::decompress(file_bytes(entry.path()), formats::Compression::gzip, formats::kFileBytesMax).value();
    }
    file_ = folder_.path() / "examples" / GetParam();
    if (file_.extension() == ".gz") file_.replace_extension();
  }
  std::vector<Stroke> strokes(const map::World& world, const map::Rect& area, std::uint32_t seed) const {
    std::mt19937 random(seed);
    std::vector<map::LayerId> layers;
    for (const map::Layer& layer : world.layers)
      if (layer.kind == map::LayerKind::tile) layers.push_back(layer.id);
    std::vector<Stroke> out;
    for (int i = 0; i < 40; ++i) {
      const auto w = std::min<std::int64_t>(1 + random() % 4, area.width()),
                 h = std::min<std::int64_t>(1 + random() % 4, area.height());
      const std::int64_t x =
          area.x0 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(area.width() - w + 1));
      const std::int64_t y =
          area.y0 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(area.height() - h + 1));
      out.push_back({layers[random() % layers.size()], map::Rect::of_size(x, y, w, h),
                     map::Cell{static_cast<std::uint32_t>(random() % world.tile_end())}});
    }
    return out;
  }

  TemporaryFolder folder_;
  fs::path file_;
};

void apply(const Stroke& stroke, formats::TiledMap& map) {
  for (formats::LayerCells& layer : map.layers) {
    if (layer.layer != stroke.layer) continue;
    for (formats::CellBlock& block : layer.blocks)
      for (std::int64_t y = stroke.rect.y0; y < stroke.rect.y1; ++y)
        for (std::int64_t x = stroke.rect.x0; x < stroke.rect.x1; ++x)
          block.cells[static_cast<std::size_t>((y - block.rect.y0) * block.rect.width() + (x - block.rect.x0))] =
              stroke.cell;
  }
}

TEST_P(TiledMaps, AreEditedTogetherAndExportedAsTheOriginalWithTheEdits) {
  if (!fs::exists("/usr/bin/tmxrasterizer")) GTEST_SKIP() << "tmxrasterizer is not installed";
  unpack();
  const ServerProcess server(folder_.path() / "data");
  const Ran imported =
      run_program(kTerrazzo, {"import", file_.string(), "--world", "example", "--server", server.http_url()});
  ASSERT_EQ(imported.exit_code, 0) << imported.output;

  const auto binary = enter(server, proto::Form::binary), json = enter(server, proto::Form::json);
  const map::World world = *binary->world();
  const map::Rect area = *world.bounds;
  std::vector<client::SubscriptionId> views;
  for (client::Client* each : {binary.get(), json.get()}) {
    views.push_back(*each->subscribe(area));
    ASSERT_TRUE(each->wait_until([&] { return each->is_ready(views.back()); }, 10s));
  }
  // At once, but each on its own side, so that what comes out is known.
  const std::int64_t middle = (area.x0 + area.x1) / 2;
  const auto left = strokes(world, {area.x0, area.y0, middle, area.y1}, 1),
             right = strokes(world, {middle, area.y0, area.x1, area.y1}, 2);
  for (std::size_t i = 0; i < left.size(); ++i) {
    ASSERT_TRUE(binary->edit(client::EditDraft().fill(left[i].layer, left[i].rect, left[i].cell)).ok());
    ASSERT_TRUE(json->edit(client::EditDraft().fill(right[i].layer, right[i].rect, right[i].cell)).ok());
    binary->run_once(0ms);
    json->run_once(0ms);
  }
  ASSERT_TRUE(binary->wait_durable(10s) && json->wait_durable(10s));
  // The last word of each has reached the other when both hold the same edits of every chunk.
  const auto same = [&](map::LayerId layer) {
    std::vector<map::Cell> a(area.area()), b(area.area());
    binary->read_rect(layer, area, a);
    json->read_rect(layer, area, b);
    return a == b;
  };
  for (const map::Layer& layer : world.layers) {
    if (layer.kind != map::LayerKind::tile) continue;
    EXPECT_TRUE(binary->wait_until(
        [&] {
          json->run_once(0ms);
          return same(layer.id);
        },
        10s))
        << "layer " << layer.name;
  }

  const fs::path exported = folder_.path() / "out" / file_.filename(),
                 expected = folder_.path() / "expected" / file_.filename();
  fs::create_directories(exported.parent_path());
  const Ran ran = run_program(
      kTerrazzo, {"export", "example", exported.string(), "--server", server.http_url(), "--encoding", "zlib"});
  ASSERT_EQ(ran.exit_code, 0) << ran.output;

  // The original with the same edits, made without any server.
  auto map = formats::import_tiled(
      file_bytes(file_), file_.filename().string(), [&](const std::string& relative) -> Result<std::string> {
        const fs::path path = file_.parent_path() / relative;
        return fs::exists(path) ? Result<std::string>(file_bytes(path)) : Error{ErrorCode::not_found, "no " + relative};
      });
  ASSERT_TRUE(map.ok());
  for (const auto* side : {&left, &right})
    for (const Stroke& stroke : *side) apply(stroke, *map);
  fs::copy(exported.parent_path(), expected.parent_path(), fs::copy_options::recursive);
  std::ofstream(expected, std::ios::binary) << formats::export_tmx(map->world, formats::source_of(*map)).value();
  ASSERT_TRUE(draw(exported, folder_.path() / "exported.png"));
  ASSERT_TRUE(draw(expected, folder_.path() / "expected.png"));
  EXPECT_TRUE(file_bytes(folder_.path() / "exported.png") == file_bytes(folder_.path() / "expected.png"));
  // And it is another picture than that of the original: the edits are in it.
  ASSERT_TRUE(draw(file_, folder_.path() / "original.png"));
  EXPECT_FALSE(file_bytes(folder_.path() / "exported.png") == file_bytes(folder_.path() / "original.png"));
}

INSTANTIATE_TEST_SUITE_P(Orthogonal, TiledMaps, testing::ValuesIn(orthogonal_maps()), [](const auto& example) {
  std::string name = example.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TiledMaps);

TEST(CommandLine, TruncatedAndMissingFilesAreExplained) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  const fs::path cut = folder.path() / "cut.tmx";
  std::ofstream(cut) << "<?xml version=\"1.0\"?>\n<map orientation=\"orthogonal\" width=\"2\" height=\"2\"><layer>";
  const Ran truncated = run_program(kTerrazzo, {"import", cut.string(), "--server", server.http_url()});
  EXPECT_EQ(truncated.exit_code, 1);
  EXPECT_NE(truncated.output.find("cut.tmx"), std::string::npos) << truncated.output;
  EXPECT_NE(truncated.output.find("cut off"), std::string::npos) << truncated.output;
  EXPECT_EQ(run_program(kTerrazzo, {"import", "/nowhere.tmx", "--server", server.http_url()}).exit_code, 1);
  // Nothing was made of it.
  EXPECT_EQ(http(server.port(), "GET", "/v1/worlds").body, R"({"worlds":[]})");
}

TEST(CommandLine, SaysWhatToDoWhenNobodyAnswers) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"worlds"}, {"paint", "w", "--rect", "0,0,1,1", "--tile", "1"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--server", "http://127.0.0.1:1"});
    const Ran ran = run_program(kTerrazzo, all);
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_NE(ran.output.find("./dev run"), std::string::npos) << ran.output;
  }
}

TEST(CommandLine, TokensOpenAServerThatWantsThem) {
  const TemporaryFolder folder;
  const fs::path data = folder.path() / "data";
  const ServerProcess server(data, {"--auth", "token"});
  EXPECT_EQ(run_program(kTerrazzo, {"worlds", "--server", server.http_url()}).exit_code, 1);
  const auto token = [&](const std::string& role) {
    std::string text = run_program(kTerrazzo, {"token", "--data", data.string(), "--role", role}).output;
    while (text.ends_with('\n')) text.pop_back();
    return text;
  };
  const Ran worlds = run_program(kTerrazzo, {"worlds", "--server", server.http_url(), "--token", token("viewer")});
  EXPECT_EQ(worlds.exit_code, 0) << worlds.output;
  const Ran made = run_program(kTerrazzo, {"import", TERRAZZO_SOURCE_DIR "/deploy/demo/demo.tmx", "--server",
                                           server.http_url(), "--token", token("owner")});
  EXPECT_EQ(made.exit_code, 0) << made.output;
  const Ran viewer = run_program(kTerrazzo, {"paint", "demo", "--rect", "0,0,1,1", "--tile", "1", "--server",
                                             server.http_url(), "--token", token("viewer")});
  EXPECT_EQ(viewer.exit_code, 1);
  EXPECT_NE(viewer.output.find("viewer"), std::string::npos) << viewer.output;
  const Ran editor = run_program(kTerrazzo, {"paint", "demo", "--rect", "0,0,1,1", "--tile", "1", "--server",
                                             server.http_url(), "--token", token("editor")});
  EXPECT_EQ(editor.exit_code, 0) << editor.output;
}

TEST(CommandLine, AnInfiniteWorldComesBack) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  const fs::path file = folder.path() / "endless.tmx", out = folder.path() / "out.tmx";
  std::string cells = "1";
  for (int i = 1; i < 256; ++i) cells += "," + std::to_string(i % 9);
  std::ofstream(file)
      << R"(<map version="1.8" orientation="orthogonal" infinite="1" width="16" height="16" tilewidth="8" tileheight="8">)"
         R"(<tileset firstgid="1" name="t" tilewidth="8" tileheight="8" tilecount="9" columns="3"/>)"
         R"(<layer id="1" name="g" width="16" height="16"><data encoding="csv"><chunk x="-16" y="8192" width="16" height="16">)"
      << cells << R"(</chunk><chunk x="100000" y="-48" width="16" height="16">)" << cells
      << "</chunk></data></layer></map>";
  const Ran imported = run_program(kTerrazzo, {"import", file.string(), "--server", server.http_url()});
  ASSERT_EQ(imported.exit_code, 0) << imported.output;
  const Ran exported = run_program(kTerrazzo, {"export", "endless", out.string(), "--server", server.http_url()});
  ASSERT_EQ(exported.exit_code, 0) << exported.output;
  const auto none = [](const std::string&) -> Result<std::string> { return Error{ErrorCode::not_found, "none"}; };
  const auto before = formats::import_tiled(file_bytes(file), "a.tmx", none),
             after = formats::import_tiled(file_bytes(out), "a.tmx", none);
  ASSERT_TRUE(before.ok() && after.ok());
  for (const formats::CellBlock& block : before->layers[0].blocks) {
    std::vector<map::Cell> cells_after(block.rect.area());
    ASSERT_TRUE(formats::source_of(*after).read(1, block.rect, cells_after).ok());
    EXPECT_EQ(cells_after, block.cells);
  }
  EXPECT_EQ(after->layers[0].blocks.size(), 2u);
}

TEST(CommandLine, RenderWritesAPictureOfTheRightSize) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  const Ran made = run_program(kTerrazzo, {"import", TERRAZZO_SOURCE_DIR "/deploy/demo/demo.tmx", "--world", "d",
                                           "--server", server.http_url()});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const fs::path picture = folder.path() / "p.png";
  const Ran ran = run_program(kTerrazzo, {"render", "d", picture.string(), "--rect", "100,100,20,10", "--scale", "0.5",
                                          "--server", server.http_url()});
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_NE(ran.output.find("160×80"), std::string::npos) << ran.output;
  EXPECT_GT(fs::file_size(picture), 500u);
  const Ran watched =
      run_program(kTerrazzo, {"watch", "d", "--once", "--rect", "100,100,20,10", "--server", server.http_url()});
  EXPECT_EQ(watched.exit_code, 0) << watched.output;
  EXPECT_NE(watched.output.find("▄"), std::string::npos);
}

TEST(CommandLine, RenderShowsEveryCellOfAWorldThatIsLargerThanTheCacheOfAClient) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  // 18,432 chunks of 4 KiB, none of them of one cell only; a client keeps 64 MiB.
  constexpr int kWidth = 4608, kHeight = 4096;
  std::string row;
  for (int x = 0; x < kWidth; ++x) row += x % 3 == 0 ? "1," : "2,";
  std::ofstream file(folder.path() / "wide.tmx");
  file << R"(<map version="1.8" orientation="orthogonal" width="4608" height="4096" tilewidth="1" tileheight="1">)"
          R"(<tileset firstgid="1" name="t" tilewidth="1" tileheight="1" tilecount="2" columns="2">)"
          R"(<image source="t.png" width="2" height="1"/></tileset>)"
          R"(<layer id="1" name="g" width="4608" height="4096"><data encoding="csv">)";
  for (int y = 0; y < kHeight; ++y) file << (y == kHeight - 1 ? row.substr(0, row.size() - 1) : row);
  file << "</data></layer></map>";
  file.close();
  std::ofstream(folder.path() / "t.png", std::ios::binary)
      << *render::encode_png({2, 1, {9, 9, 9, 255, 90, 90, 90, 255}});
  const Ran made = run_program(
      kTerrazzo, {"import", (folder.path() / "wide.tmx").string(), "--world", "wide", "--server", server.http_url()});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const fs::path picture = folder.path() / "p.png";
  const Ran ran =
      run_program(kTerrazzo, {"render", "wide", picture.string(), "--scale", "0.0625", "--server", server.http_url()});
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  const Result<render::Image> image = render::decode_png(file_bytes(picture));
  ASSERT_TRUE(image.ok()) << image.error().message;
  ASSERT_EQ(image->width, kWidth / 16u);
  std::size_t missing = 0;
  for (std::size_t i = 3; i < image->rgba.size(); i += 4) missing += image->rgba[i] != 255;
  EXPECT_EQ(missing, 0u) << "of " << image->rgba.size() / 4 << " pixels are not there";
}

TEST(LoadTest, TwoHundredPaintersAndEveryReplicaIsTheSame) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data");
  make_world(server.port(), "demo");
  const Ran ran =
      run_program(TERRAZZO_BIN_DIR "/terrazzo-load", {"--server", server.http_url(), "--clients", "200", "--seconds",
                                                      "10", "--rate", "1", "--form", "mixed", "--verify"});
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_NE(ran.output.find("200 replicas"), std::string::npos) << ran.output;
}

// The short forms of what is measured with thousands: what must hold is in the exit code.
TEST(LoadTest, IdleStallAndStormHoldAtSmallSizes) {
  const TemporaryFolder folder;
  const std::string json = folder.path() / "findings.json";
  struct Run {
    std::vector<std::string> arguments;
    std::string words;
  };
  const std::vector<Run> runs{
      // From a thousand connections on it also fails where one core gets too few of them.
      {{"idle", "--idle", "1000", "--active", "8"}, "connections accepted by core 1"},
      {{"stall", "--stalled", "24", "--painters", "4"}, "in the kernel's send buffer per stalled client"},
      {{"storm", "--clients", "60", "--painters", "3"}, "chunk states sent without encoding them again"},
      {{"storm", "--clients", "60", "--painters", "3", "--cause", "killed"}, "after the server was killed"},
      {{"storm", "--clients", "60", "--painters", "3", "--cause", "stopped"}, "after the server was stopped"}};
  for (const Run& run : runs) {
    std::vector<std::string> arguments = run.arguments;
    arguments.insert(arguments.end(), {"--seconds", "0.3", "--edits", "50", "--cores", "2", "--json", json});
    const Ran ran = run_program(TERRAZZO_BIN_DIR "/terrazzo-load", arguments);
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    EXPECT_NE(ran.output.find(run.words), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("replicas equal"), std::string::npos) << ran.output;
    std::ifstream file(json);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_NE(text.find("\"problems\": []"), std::string::npos) << text;
    EXPECT_NE(text.find("\"replicas_equal\""), std::string::npos) << text;
  }
}

TEST(LoadTest, EachModeTeaches) {
  const Ran all = run_program(TERRAZZO_BIN_DIR "/terrazzo-load", {"--help"});
  EXPECT_EQ(all.exit_code, 0);
  for (const std::string mode : {"idle", "stall", "storm"}) {
    EXPECT_NE(all.output.find(mode), std::string::npos) << all.output;
    const Ran help = run_program(TERRAZZO_BIN_DIR "/terrazzo-load", {mode, "--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_NE(help.output.find("Try:  terrazzo-load " + mode), std::string::npos) << help.output;
  }
  const Ran nowhere = run_program(TERRAZZO_BIN_DIR "/terrazzo-load", {"idle", "--server-program", "/no/such/server"});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_NE(nowhere.output.find("say where the server is with --server-program"), std::string::npos) << nowhere.output;
}

}  // namespace
}  // namespace terrazzo::integration
