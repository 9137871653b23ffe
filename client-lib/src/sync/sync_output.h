#pragma once

#include "proto/messages.h"
#include "terrazzo/events.h"

namespace terrazzo::client {

// The effects of the sync machine; carried out by client.cc, recorded by tests. Must not call the machine back.
class SyncOutput {
 public:
  virtual ~SyncOutput() = default;
  // The message's views hold during the call only.
  virtual void send(const proto::ClientMessage& message) = 0;
  // False: too much waits to be written; edits are kept until SyncMachine::writable_again().
  virtual bool writable() const = 0;
  virtual void emit(Event event) = 0;
};

}  // namespace terrazzo::client
