#pragma once

#include "proto/messages.h"
#include "terrazzo/events.h"

namespace terrazzo::client {

// The effects of the sync machine; carried out by client.cc, recorded by tests.
class SyncOutput {
 public:
  virtual ~SyncOutput() = default;
  // The message's views hold during the call only. Must not call the machine.
  virtual void send(const proto::ClientMessage& message) = 0;
  // False: too much waits to be written; edits are kept until SyncMachine::writable_again().
  virtual bool writable() const = 0;
  // The connection is to be given up; SyncMachine::disconnected() follows, but not from inside. Must not call the
  // machine.
  virtual void drop() = 0;
  // When the machine's work is done: may call it. Then the events of that call come after this one.
  virtual void emit(Event event) = 0;
};

}  // namespace terrazzo::client
