#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "server/runtime/file_queue.h"
#include "tests/sim/loop.h"
#include "tests/sim/machine.h"

namespace terrazzo::sim {

// File operations of one core that take their time: a write happens at some moment after it was asked for, its sync at
// a later one, and only then does the core hear of it. Operations of one file stay in order.
class FileQueue final : public runtime::FileQueue {
 public:
  FileQueue(Machine& machine, Loop& loop);
  void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
                          runtime::Completion* done) override;
  void datasync(int fd, runtime::Completion* done) override;

 private:
  // The moment of the next operation on the file.
  std::uint64_t moment(int fd);
  template <class Operation>
  void later(std::uint64_t time, Operation operation);

  Machine& machine_;
  Loop& loop_;
  Random random_;
  std::uint64_t usual_ns_;
  std::map<int, std::uint64_t> last_;  // by descriptor
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace terrazzo::sim
