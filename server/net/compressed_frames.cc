#include "server/net/compressed_frames.h"

#include <cstring>

#include "base/assert.h"

namespace terrazzo::net {
namespace {

constexpr std::size_t kKeptFromBytes = 2048;
constexpr std::size_t kKeptBytesMax = 8 << 20;

}  // namespace

SharedBytes CompressedFrames::compress(const SharedBytes& frames, proto::ws::Window window) {
  std::unique_ptr<proto::ws::Deflater>& deflater = deflaters_[index(window)];
  if (!deflater) deflater = std::make_unique<proto::ws::Deflater>(window);
  scratch_.clear();
  deflater->append_compressed(frames.bytes(), scratch_);
  ++counters_.compressions;
  counters_.from_bytes += frames.size();
  counters_.to_bytes += scratch_.size();
  SharedBytes copy = SharedBytes::allocate(scratch_.size());
  if (!scratch_.empty()) std::memcpy(copy.writable().data(), scratch_.data(), scratch_.size());
  return copy;
}

SharedBytes CompressedFrames::of(const SharedBytes& frames, proto::ws::Window window) {
  if (frames.size() < kKeptFromBytes || frames.size() > kKeptBytesMax / 4) return compress(frames, window);
  const std::byte* const name = frames.bytes().data();
  const auto [found, is_new] = kept_.try_emplace(name);
  Kept& kept = found->second;
  if (is_new) {
    kept.frames = frames;
    kept_bytes_ += frames.size();
    order_.push_back(name);
  }
  SharedBytes& compressed = kept.compressed[index(window)];
  if (compressed) {
    ++counters_.found;
    return compressed;
  }
  compressed = compress(frames, window);
  kept_bytes_ += compressed.size();
  const SharedBytes result = compressed;
  while (kept_bytes_ > kKeptBytesMax) forget_oldest();
  return result;
}

void CompressedFrames::forget_oldest() {
  TZ_ASSERT(!order_.empty());
  const auto oldest = kept_.find(order_.front());
  order_.pop_front();
  TZ_ASSERT(oldest != kept_.end());
  const Kept& kept = oldest->second;
  kept_bytes_ -= kept.frames.size() + kept.compressed[0].size() + kept.compressed[1].size();
  kept_.erase(oldest);
}

}  // namespace terrazzo::net
