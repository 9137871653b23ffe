#include "server/storage/page_chain.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"

namespace terrazzo::storage {

using shardfile::ChainPage;

std::size_t PageChain::pages_for(std::size_t bytes) {
  return (bytes + sizeof(ChainPage::bytes) - 1) / sizeof(ChainPage::bytes);
}

void PageChain::replace(std::size_t bytes, PagePool& pool) {
  for (const PageNo old : pages_) pool.retire(old);
  pages_.clear();
  for (std::size_t i = pages_for(bytes); i > 0; --i) pages_.push_back(pool.take());
  ref_.first = pages_.empty() ? 0 : pages_.front();
  ref_.bytes = static_cast<std::uint32_t>(bytes);
  ref_.crc = 0;
  written_ = 0;
}

bool PageChain::write_page(const std::function<void(std::size_t from, std::span<std::byte> to)>& fill) {
  if (written_ == pages_.size()) return false;
  ChainPage& to = page(pages_[written_]);
  const std::size_t from = written_ * sizeof to.bytes, count = std::min(sizeof to.bytes, ref_.bytes - from);
  const std::span<std::byte> used = std::span(to.bytes).first(count);
  ++written_;
  to.next = written_ < pages_.size() ? pages_[written_] : 0;
  fill(from, used);
  std::ranges::fill(std::span(to.bytes).subspan(count), std::byte{0});
  to.crc = crc32c(to.bytes);
  ref_.crc = crc32c(used, ref_.crc);
  return written_ < pages_.size();
}

bool PageChain::adopt(const shardfile::ChainRef& ref) {
  ref_ = ref;
  pages_.clear();
  const std::size_t expected = pages_for(ref.bytes);
  for (PageNo next = ref.first; next != 0; next = page(next).next) {
    if (next < shardfile::kRootSlots || next >= file_.page_count() || pages_.size() == expected) return false;
    if (page(next).crc != crc32c(page(next).bytes)) return false;
    pages_.push_back(next);
  }
  return pages_.size() == expected && crc32c(read()) == ref.crc;
}

std::vector<std::byte> PageChain::read() const {
  std::vector<std::byte> bytes;
  bytes.reserve(ref_.bytes);
  for (const PageNo number : pages_) {
    const ChainPage& from = page(number);
    const std::size_t count = std::min(sizeof from.bytes, ref_.bytes - bytes.size());
    bytes.insert(bytes.end(), from.bytes, from.bytes + count);
  }
  return bytes;
}

}  // namespace terrazzo::storage
