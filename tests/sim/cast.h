#pragma once

#include <cstdint>

#include "base/error.h"
#include "tests/sim/client.h"
#include "tests/sim/faults.h"
#include "tests/sim/marks.h"
#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// What people with a script of their own (scribes, gardeners) have to do with: clients that do nothing by themselves,
// and the server that they are in.
class Cast {
 public:
  Cast(Machine& its_machine, Marks& its_marks, Verdict& its_verdict, Server& its_server)
      : machine(its_machine), marks(its_marks), verdict(its_verdict), server(its_server) {}
  virtual ~Cast() = default;
  // Somebody comes into this world; the number is theirs for ever.
  virtual std::uint32_t come(const char* world) = 0;
  // Null: that one has crashed.
  virtual Client* client(std::uint32_t number) = 0;
  // Whether there is activity.
  virtual bool active() const = 0;
  void mark(Mark mark) { marks.hit(mark); }
  // Whether this answer may come of what is going wrong in this run, whoever asks for what. Then it is not known, as a
  // rule, whether what was asked for was done.
  bool excused(const Error& error) const;
  bool disk_failed() const;

  Machine& machine;
  Marks& marks;
  Verdict& verdict;
  Server& server;
};

}  // namespace terrazzo::sim
