#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

// What reads bytes that nobody has proved: each target takes any bytes and must neither crash nor contradict itself.
// The same functions run for a second each in fuzz_test, and as long as one likes under libFuzzer (./dev fuzz).
namespace terrazzo::fuzz {

struct Target {
  const char* name;
  void (*run)(std::span<const std::byte> bytes);
  // Where to begin: what is right, small.
  std::vector<std::string> (*seeds)();
};

extern const Target kTiled;      // TMX and TMJ import; what was taken can be exported and taken again
extern const Target kWorldJson;  // a world's metadata
extern const Target kSegment;    // a log segment, and the payloads of its records
extern const Target kHistory;    // a sealed segment
extern const Target kShardFile;  // a shard's file: what proves it, and what programs on the same host read it with
extern const Target kWebSocket;  // what a client sends on a WebSocket, compressed or not, whatever pieces it comes in
std::span<const Target* const> all_targets();

}  // namespace terrazzo::fuzz
