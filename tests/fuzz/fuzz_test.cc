// Every target on bytes that were right once: bits and words changed, runs removed, doubled, and taken from elsewhere.
// A second each; TERRAZZO_FUZZ_SECONDS and TERRAZZO_FUZZ_SEED change that. The same seed begins with the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "tests/fuzz/targets.h"

namespace terrazzo::fuzz {
namespace {

unsigned env(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string mutate(const std::vector<std::string>& seeds) {
    std::string bytes = seeds[pick(seeds.size())];
    for (std::size_t changes = 1 + pick(8); changes > 0 && !bytes.empty(); --changes) change(bytes, seeds);
    return bytes;
  }

 private:
  std::size_t pick(std::size_t below) { return below == 0 ? 0 : random_() % below; }

  void change(std::string& bytes, const std::vector<std::string>& seeds) {
    const std::size_t at = pick(bytes.size()), run = 1 + pick(std::min<std::size_t>(64, bytes.size() - at));
    switch (pick(7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << pick(8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random_());
        break;
      case 2: {  // a number that lies on an edge
        static constexpr std::uint32_t kEdges[] = {0, 1, 2, 255, 4095, 4096, 65535, 0x7fffffff, 0x80000000, 0xffffffff};
        const std::uint32_t edge = kEdges[pick(std::size(kEdges))];
        if (bytes.size() - at >= sizeof edge) std::memcpy(&bytes[at], &edge, sizeof edge);
        break;
      }
      case 3:
        bytes.erase(at, run);
        break;
      case 4:
        bytes.insert(pick(bytes.size()), bytes.substr(at, run));
        break;
      case 5:
        bytes.resize(at);
        break;
      default: {  // a piece of another one, or of the same
        const std::string& other = seeds[pick(seeds.size())];
        const std::size_t from = pick(other.size());
        bytes.replace(at, run, other, from, run);
      }
    }
  }

  std::mt19937 random_;
};

class Fuzz : public testing::TestWithParam<const Target*> {};

TEST_P(Fuzz, TakesAnyBytes) {
  const Target& target = *GetParam();
  const auto seeds = target.seeds();
  for (const std::string& seed : seeds) target.run(std::as_bytes(std::span(seed)));
  const unsigned seed = env("TERRAZZO_FUZZ_SEED", std::random_device()());
  std::printf("TERRAZZO_FUZZ_SEED=%u\n", seed);
  std::fflush(stdout);
  Mutator mutator(seed);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(env("TERRAZZO_FUZZ_SECONDS", 1));
  int runs = 0;
  for (; std::chrono::steady_clock::now() < until; ++runs) {
    // A block of its own size, so that reading behind its end is seen.
    const std::string bytes = mutator.mutate(seeds);
    const std::vector<char> exact(bytes.begin(), bytes.end());
    target.run(std::as_bytes(std::span(exact)));
  }
  RecordProperty("runs", runs);
  EXPECT_GT(runs, 10);
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz, testing::ValuesIn(all_targets().begin(), all_targets().end()),
                         [](const auto& each) { return std::string(each.param->name); });

}  // namespace
}  // namespace terrazzo::fuzz
