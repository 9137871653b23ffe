#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace terrazzo::storage {

// What a checkpoint keeps for the store's owner: bytes as of the moment at which it begins, asked for from the first to
// the last in slices, while edits go on.
class AuxSource {
 public:
  virtual ~AuxSource() = default;
  virtual std::size_t bytes() const = 0;
  // The next ones; never more than there are.
  virtual void next(std::span<std::byte> to) = 0;
};

// Bytes that nobody changes any more.
class AuxBytes final : public AuxSource {
 public:
  using Bytes = std::vector<std::byte>;
  explicit AuxBytes(std::shared_ptr<const Bytes> bytes) : bytes_(std::move(bytes)) {}
  explicit AuxBytes(Bytes bytes) : AuxBytes(std::make_shared<const Bytes>(std::move(bytes))) {}

  std::size_t bytes() const override { return bytes_->size(); }
  void next(std::span<std::byte> to) override {
    std::ranges::copy(std::span(*bytes_).subspan(at_, to.size()), to.begin());
    at_ += to.size();
  }

 private:
  std::shared_ptr<const Bytes> bytes_;
  std::size_t at_ = 0;
};

// One after the other.
class AuxParts final : public AuxSource {
 public:
  void add(std::unique_ptr<AuxSource> part) {
    bytes_ += part->bytes();
    parts_.push_back({part->bytes(), std::move(part)});
  }

  std::size_t bytes() const override { return bytes_; }
  void next(std::span<std::byte> to) override {
    while (!to.empty()) {
      Part& part = parts_[at_];
      const std::size_t count = std::min(part.left, to.size());
      part.source->next(to.first(count));
      to = to.subspan(count);
      part.left -= count;
      if (part.left == 0) ++at_;
    }
  }

 private:
  struct Part {
    std::size_t left;
    std::unique_ptr<AuxSource> source;
  };
  std::vector<Part> parts_;
  std::size_t at_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace terrazzo::storage
