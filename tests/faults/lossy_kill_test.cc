// A real server, several clients that paint over four shards, and power cuts at any instant: kill -9 on a disk that
// then keeps, loses or tears whatever was not synced. Nothing acknowledged as durable is lost, nothing is torn or done
// twice, versions that were saved are there, every folder is whole, and the clients go on by themselves until all
// replicas are the same. TERRAZZO_KILLS sets how often (100); TERRAZZO_LOSSY_SEED has the same things drawn again.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "../integration/http_peer.h"
#include "diarist.h"
#include "lossy_server.h"
#include "scripted_life.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";
constexpr auto kPatience = 60s;

Error wrong(std::string what) {
  return {ErrorCode::internal, std::move(what)};
}

// People, a server, and its disk.
class LossyLife {
 public:
  LossyLife(std::uint32_t seed, const std::string& lie) : random_(seed), server_(folder_.path(), lie) {}

  // The world is made, and everybody is in it.
  Status begin() {
    if (!server_.start(flags())) return wrong("the server does not start");
    if (http(server_.port(), "POST", "/v1/worlds", make_world_json("w", kDiaryTiles)).status != 201)
      return wrong("no world can be made");
    for (int number = 0; number < kDiarists; ++number) {
      diarists_.push_back(std::make_unique<Diarist>(reactor_, number, server_.port()));
      client::Client& client = diarists_.back()->client();
      if (Status connected = client.connect(); !connected) return connected;
      if (Status opened = client.open("w"); !opened) return opened;
      if (Status live = client.wait_live(kPatience); !live) return live;
      if (auto view = client.subscribe(kDiaryView); !view) return view.error();
    }
    return {};
  }

  // A moment of painting, of random length, and a power cut; then all promises are looked at on what the disk is.
  Status cut_once(int number) {
    // Some cuts come before everybody is back from the one before.
    if (number % 2 == 0)
      if (Status live = everybody_is_back(); !live) return live;
    if (Status painted = paint(std::chrono::microseconds(random_() % 60'000)); !painted) return painted;
    if (random_() % 4 == 0) {
      save_version(number);
      if (Status painted = paint(std::chrono::microseconds(random_() % 20'000)); !painted) return painted;
    }
    server_.cut_power(random_);
    // The server is gone and they go on.
    for (const auto& diarist : diarists_)
      for (int i = 0; i < 3; ++i)
        if (Status written = diarist->write(random_); !written) return written;
    if (Status looked = listen(); !looked) return looked;
    if (Status whole = verify(); !whole) return whole;
    // Now and then there is another cut while it recovers.
    for (int again = 0; again < 3 && random_() % 3 == 0; ++again) {
      if (!server_.start(flags(), 1 + static_cast<long>(random_() % 40))) ++recoveries_cut_;
      server_.cut_power(random_);
      if (Status whole = verify(); !whole) return whole;
    }
    if (!server_.start(flags())) return wrong("the server does not start");
    if (Status kept = look_at_all(); !kept) return kept;
    return number % 5 == 4 ? converge() : Status();
  }

  // Everything that was ever sent arrives, and it ends in order.
  Status end() {
    if (Status converged = converge(); !converged) return converged;
    if (version_)
      if (Status right = look_at_version(); !right) return right;
    if (server_.stop() != 0) return wrong("it does not stop in order");
    return verify();
  }

  std::string story() const { return server_.story(); }
  int recoveries_cut() const { return recoveries_cut_; }
  std::uint64_t edits() const {
    std::uint64_t all = 0;
    for (const auto& diarist : diarists_) all += diarist->edits();
    return all;
  }

 private:
  std::vector<std::string> flags() { return {"--cores", std::to_string(1 + random_() % 3)}; }

  Status paint(std::chrono::microseconds time) {
    for (const auto until = Clock::now() + time; Clock::now() < until;) {
      for (const auto& diarist : diarists_)
        if (diarist->client().edits_waiting() < 64)
          if (Status written = diarist->write(random_); !written) return written;
      if (Status looked = listen(); !looked) return looked;
    }
    return {};
  }
  Status listen() {
    reactor_.run_once(1ms);
    for (const auto& diarist : diarists_)
      if (Status looked = diarist->look(); !looked) return looked;
    return {};
  }
  Status everybody_is_back() {
    for (const auto& diarist : diarists_)
      if (Status live = diarist->client().wait_live(kPatience); !live)
        return wrong("a client does not come back: " + live.error().message);
    return {};
  }
  // Nobody has it open.
  Status verify() const {
    const Ran verified = run_program(kServer, {"verify", server_.data().string()});
    return verified.exit_code == 0 ? Status() : wrong("verify: " + verified.output);
  }

  void save_version(int number) {
    Version version{"cut " + std::to_string(number), {}, {}};
    for (const auto& diarist : diarists_) {
      version.durable.push_back(diarist->durable());
      version.newest.push_back(diarist->newest());
    }
    const std::string body = R"({"name":")" + version.name + R"("})";
    if (http(server_.port(), "POST", "/v1/worlds/w/versions", body).status == 201) version_ = std::move(version);
  }

  Status look_at_all() {
    const auto anew = look_anew(server_.port());
    if (!anew) return wrong("somebody who looks for the first time: " + anew.error().message);
    for (const auto& diarist : diarists_)
      if (Status kept = diarist->compare(**anew, diarist->durable(), diarist->newest()); !kept) return kept;
    if (!version_) return {};
    const HttpAnswer listed = http(server_.port(), "GET", "/v1/worlds/w/versions");
    return listed.body.find("\"" + version_->name + "\"") != std::string::npos
               ? Status()
               : wrong("version \"" + version_->name + "\", which was saved, is not there: " + listed.body);
  }

  // All is durable, and everybody shows what somebody sees who looks for the first time.
  Status converge() {
    const auto until = Clock::now() + kPatience;
    const auto all_durable = [&] {
      return std::all_of(diarists_.begin(), diarists_.end(), [](const auto& each) { return each->all_durable(); });
    };
    while (!all_durable()) {
      if (Status looked = listen(); !looked) return looked;
      if (Clock::now() > until) return wrong("edits do not become durable");
    }
    if (Status kept = look_at_all(); !kept) return kept;
    const auto anew = look_anew(server_.port());
    if (!anew) return wrong("somebody who looks for the first time: " + anew.error().message);
    const std::vector<map::Cell> cells = cells_of(**anew, client::View::confirmed);
    for (const auto& diarist : diarists_)
      for (const auto view : {client::View::confirmed, client::View::optimistic})
        while (cells_of(diarist->client(), view) != cells) {
          reactor_.run_once(1ms);
          if (Clock::now() > until + kPatience) return wrong("a replica differs from what the server shows");
        }
    return {};
  }

  Status look_at_version() {
    const std::string name = "cut%20" + version_->name.substr(4);
    const HttpAnswer restored = http(server_.port(), "POST", "/v1/worlds/w/versions/" + name + "/restore");
    if (restored.status != 200) return wrong("a version cannot be restored: " + restored.body);
    const auto anew = look_anew(server_.port());
    if (!anew) return anew.error();
    for (std::size_t i = 0; i < diarists_.size(); ++i)
      if (Status kept = diarists_[i]->compare(**anew, version_->durable[i], version_->newest[i]); !kept)
        return wrong("in a version: " + kept.error().message);
    return {};
  }

  // The newest one that was saved (201); its blocks lie between these.
  struct Version {
    std::string name;
    std::vector<Diarist::Values> durable, newest;
  };

  std::mt19937 random_;
  TemporaryFolder folder_{memory_folder()};
  LossyServer server_;
  client::Reactor reactor_;
  std::vector<std::unique_ptr<Diarist>> diarists_;
  std::optional<Version> version_;
  int recoveries_cut_ = 0;
};

std::uint32_t draw_seed() {
  const char* wanted = std::getenv("TERRAZZO_LOSSY_SEED");
  const auto seed = wanted != nullptr ? static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10))
                                      : static_cast<std::uint32_t>(Clock::now().time_since_epoch().count());
  std::printf("TERRAZZO_LOSSY_SEED=%u\n", seed);
  return seed;
}

TEST(LossyKill, NothingDurableIsLostWithThePower) {
  const char* wanted = std::getenv("TERRAZZO_KILLS");
  const int cuts = wanted == nullptr ? 100 : std::atoi(wanted);
  LossyLife life(draw_seed(), "");
  Status status = life.begin();
  ASSERT_TRUE(status.ok()) << status.error().message << "\n" << life.story();
  for (int cut = 0; cut < cuts; ++cut) {
    status = life.cut_once(cut);
    ASSERT_TRUE(status.ok()) << "cut " << cut << ": " << status.error().message << "\n" << life.story();
  }
  status = life.end();
  ASSERT_TRUE(status.ok()) << "at the end: " << status.error().message << "\n" << life.story();
  std::printf("%d power cuts, %d more in recoveries, %lu edits\n", cuts, life.recoveries_cut(), life.edits());
}

// Whether the test above can fail: syncs of these that do nothing and say that all is well are found out.
class LyingSync : public testing::TestWithParam<const char*> {};

TEST_P(LyingSync, IsFoundOut) {
  LossyLife life(draw_seed(), GetParam());
  ASSERT_TRUE(life.begin().ok());
  std::optional<Error> found;
  int cut = 0;
  for (; cut < 200 && !found; ++cut)
    if (const Status status = life.cut_once(cut); !status) found = status.error();
  ASSERT_TRUE(found) << "two hundred power cuts, and nobody noticed";
  std::printf("after %d cuts: %s\n", cut, found->message.c_str());
}

// Logs, what is mapped, and the names of logs.
INSTANTIATE_TEST_SUITE_P(Of, LyingSync, testing::Values(".wal", ".shard", "/core-00"), [](const auto& each) {
  return std::string(each.param) == ".wal" ? "Logs" : std::string(each.param) == ".shard" ? "Shards" : "Names";
});

}  // namespace
}  // namespace terrazzo::integration
