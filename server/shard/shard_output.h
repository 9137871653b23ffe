#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/error.h"
#include "server/shard/messages.h"
#include "server/storage/wal.h"

namespace terrazzo::shard {

// The effects of shards and coordinators; carried out by app/core_services, recorded by tests and the simulator. Called
// on the owner core. No call fails or blocks: what can be refused is refused at admission.
class ShardOutput {
 public:
  virtual ~ShardOutput() = default;
  // Appends to the core's log; returns the record's sequence, reported back by log_durable().
  virtual std::uint64_t log(const storage::Record& record) = 0;
  // Why no new edit should be taken at the moment; asked before each.
  virtual std::optional<Error> busy() const = 0;
  virtual void publish(CoreMask cores, SharedPublication publication) = 0;
  virtual void reply(std::unique_ptr<StatesReply> reply) = 0;
  virtual void outcome(EditOutcome outcome) = 0;
  virtual void durable(CoreMask cores, const DurableMark& mark) = 0;
  // A part of a coordinated edit, to the owner of its shard; first-in first-out per pair of cores.
  virtual void forward(std::unique_ptr<EditRequest> part) = 0;
};

}  // namespace terrazzo::shard
