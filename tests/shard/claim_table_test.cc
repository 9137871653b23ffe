#include "server/shard/claim_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <vector>

namespace terrazzo::shard {
namespace {

SharedClaim claim(std::uint64_t serial, std::uint64_t user, const map::Rect& rect,
                  std::initializer_list<map::LayerId> layers = {}) {
  boost::intrusive_ptr<Claim> made(new Claim);
  made->serial = serial;
  made->session = SessionId{100 + serial};
  made->number = ClaimId{static_cast<std::uint32_t>(serial)};
  made->user = UserId{user};
  made->name = "Ada";
  made->rect = rect;
  made->listed = layers;
  for (const map::LayerId layer : layers) made->layers.set(layer);
  if (layers.size() == 0) made->layers.set();
  return made;
}

std::set<std::uint64_t> serials(const std::vector<SharedClaim>& claims) {
  std::set<std::uint64_t> out;
  for (const SharedClaim& each : claims) EXPECT_TRUE(out.insert(each->serial).second) << "named twice";
  return out;
}

TEST(ClaimTable, OnlyOthersAndOnlyTheirLayersAreInTheWay) {
  ClaimTable table;
  table.add(claim(1, 7, map::Rect::of_size(0, 0, 10, 10), {2}));
  std::vector<SharedClaim> found;
  table.in_the_way(UserId{7}, 2, map::Rect::of_size(5, 5, 1, 1), found);   // its own user
  table.in_the_way(UserId{8}, 1, map::Rect::of_size(5, 5, 1, 1), found);   // another layer
  table.in_the_way(UserId{8}, 2, map::Rect::of_size(10, 5, 1, 1), found);  // right beside it
  EXPECT_TRUE(found.empty());
  table.in_the_way(UserId{8}, 2, map::Rect::of_size(9, 9, 5, 5), found);
  EXPECT_EQ(serials(found), std::set<std::uint64_t>{1});
  EXPECT_EQ(claimed_error(found).code, ErrorCode::claimed);
  EXPECT_NE(claimed_error(found).message.find("Ada has claimed 10×10 cells at 0,0"), std::string::npos);
}

TEST(ClaimTable, EachOpAndEachRestoredAreaOfAnEditCounts) {
  ClaimTable table;
  table.add(claim(1, 7, map::Rect::of_size(0, 0, 4, 4)));
  table.add(claim(2, 7, map::Rect::of_size(100, 0, 4, 4)));
  const map::Op ops[] = {{map::OpKind::fill, 1, map::Rect::of_size(50, 50, 2, 2), {}, {}, {}},
                         {map::OpKind::fill, 1, map::Rect::of_size(3, 3, 2, 2), {}, {}, {}}};
  EditRequest request;
  request.edit.ops = ops;
  EXPECT_EQ(serials(table.in_the_way(UserId{8}, request)), std::set<std::uint64_t>{1});
  EXPECT_TRUE(table.in_the_way(UserId{7}, request).empty());
  request.edit.ops = {};
  request.restore.emplace().areas.push_back({1, map::Rect::of_size(0, 0, 101, 1)});
  EXPECT_EQ(serials(table.in_the_way(UserId{8}, request)), (std::set<std::uint64_t>{1, 2}));
  EXPECT_EQ(serials(table.in_the_way(UserId{}, request)), (std::set<std::uint64_t>{1, 2})) << "of nobody";
}

// Against a list of who claims which cell.
TEST(ClaimTable, FindsWhatAListOfCellsFinds) {
  const char* const given = std::getenv("TERRAZZO_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("TERRAZZO_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](std::int64_t end) { return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random); };
  constexpr std::int64_t kSide = 20, kLayers = 3, kUsers = 4;
  const auto rect = [&] {
    const std::int64_t x = below(kSide), y = below(kSide);
    return map::Rect::of_size(x - kSide / 2, y - kSide / 2, 1 + below(kSide - x), 1 + below(kSide - y));
  };
  ClaimTable table;
  std::vector<SharedClaim> model;
  std::uint64_t next = 1;
  for (int step = 0; step < 3000; ++step) {
    if (model.size() < 12 && below(2) == 0) {
      const auto layer = static_cast<map::LayerId>(below(kLayers));
      const auto user = static_cast<std::uint64_t>(1 + below(kUsers));
      model.push_back(below(3) == 0 ? claim(next, user, rect()) : claim(next, user, rect(), {layer}));
      table.add(model.back());
      ++next;
    } else if (!model.empty() && below(2) == 0) {
      const auto gone = static_cast<std::size_t>(below(static_cast<std::int64_t>(model.size())));
      table.remove(model[gone]->serial);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    ASSERT_EQ(table.size(), model.size());
    ASSERT_EQ(table.empty(), model.empty());
    const map::Rect asked = rect();
    const auto layer = static_cast<map::LayerId>(below(kLayers));
    const UserId user{static_cast<std::uint64_t>(below(kUsers + 1))};
    std::set<std::uint64_t> expected;
    for (std::int64_t y = asked.y0; y < asked.y1; ++y)
      for (std::int64_t x = asked.x0; x < asked.x1; ++x)
        for (const SharedClaim& each : model)
          if (each->rect.contains(map::CellPos{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}) &&
              each->layers.test(layer) && each->user != user)
            expected.insert(each->serial);
    std::vector<SharedClaim> found;
    table.in_the_way(user, layer, asked, found);
    ASSERT_EQ(serials(found), expected) << "step " << step;
    found.clear();
    LayerSet one;
    table.in_the_way(user, one.set(layer), asked, found);
    ASSERT_EQ(serials(found), expected) << "step " << step;
  }
}

}  // namespace
}  // namespace terrazzo::shard
