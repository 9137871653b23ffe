#include "client-lib/src/cache/chunk_cache.h"

#include <utility>

namespace terrazzo::client {

CachedChunk* ChunkCache::find(const ChunkKey& key) {
  const auto found = chunks_.find(key);
  return found == chunks_.end() ? nullptr : &found->second;
}

CachedChunk& ChunkCache::obtain(const ChunkKey& key) {
  const auto [place, made] = chunks_.try_emplace(key);
  CachedChunk& chunk = place->second;
  if (made) {
    chunk.key = key;
    link(chunk);
    trim(&chunk);
  }
  return chunk;
}

void ChunkCache::touch(CachedChunk& chunk) {
  if (chunk.covered || &chunk == newest_) return;
  unlink(chunk);
  link(chunk);
}

void ChunkCache::set_covered(CachedChunk& chunk, bool covered) {
  if (chunk.covered == covered) return;
  if (covered) {
    unlink(chunk);
    chunk.covered = true;
    return;
  }
  chunk.covered = false;
  link(chunk);
  trim(nullptr);
}

std::size_t ChunkCache::bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, chunk] : chunks_) sum += chunk.bytes();
  return sum;
}

void ChunkCache::link(CachedChunk& chunk) {
  TZ_ASSERT(!chunk.covered && chunk.older == nullptr && chunk.newer == nullptr);
  // Counted as it is now: what is not covered does not change, but for own edits on top, which soon go.
  chunk.counted_bytes = chunk.bytes();
  uncovered_bytes_ += chunk.counted_bytes;
  chunk.older = newest_;
  if (newest_ != nullptr) newest_->newer = &chunk;
  newest_ = &chunk;
  if (oldest_ == nullptr) oldest_ = &chunk;
}

void ChunkCache::unlink(CachedChunk& chunk) {
  TZ_ASSERT(uncovered_bytes_ >= chunk.counted_bytes);
  uncovered_bytes_ -= std::exchange(chunk.counted_bytes, 0);
  (chunk.older != nullptr ? chunk.older->newer : oldest_) = chunk.newer;
  (chunk.newer != nullptr ? chunk.newer->older : newest_) = chunk.older;
  chunk.older = chunk.newer = nullptr;
}

void ChunkCache::trim(const CachedChunk* keep) {
  while (uncovered_bytes_ > budget_bytes_ && oldest_ != nullptr && oldest_ != keep) {
    CachedChunk& victim = *oldest_;
    unlink(victim);
    chunks_.erase(victim.key);
  }
}

}  // namespace terrazzo::client
