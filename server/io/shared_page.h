#pragma once

#include <memory>
#include <string>

#include "base/error.h"

namespace terrazzo::io {

// A file of one page, mapped shared for reading and writing; made with zeros where there is none. Not for what must
// last.
class SharedPage {
 public:
  static Result<std::unique_ptr<SharedPage>> open(const std::string& path);
  ~SharedPage();
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  void* memory() const { return memory_; }

 private:
  explicit SharedPage(void* memory) : memory_(memory) {}
  void* memory_;
};

}  // namespace terrazzo::io
