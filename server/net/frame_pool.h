#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/shared_bytes.h"

namespace terrazzo::net {

// One core's hold on shared bytes: however many of its connections queue them, the count that cores share is touched
// once.
struct HeldFrame {
  SharedBytes bytes;
  std::uint32_t uses = 0;
  // What it is for connections that agreed on compression, by window, once one has asked for it; held by this.
  std::array<HeldFrame*, 2> compressed{};
};

class FramePool {
 public:
  HeldFrame* hold(SharedBytes bytes);
  void release(HeldFrame* frame) {
    if (--frame->uses == 0) recycle(frame);
  }

 private:
  void recycle(HeldFrame* frame);
  std::vector<std::unique_ptr<HeldFrame>> all_;
  std::vector<HeldFrame*> free_;
};

}  // namespace terrazzo::net
