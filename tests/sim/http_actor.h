#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/http_peer.h"
#include "tests/sim/machine.h"
#include "tests/sim/marks.h"
#include "tests/sim/network.h"

namespace terrazzo::sim {

// Somebody who asks the server for one thing after another over HTTP while there is activity.
class HttpActor {
 public:
  // `rate_most`: how often, per second; the actor's own rate is below that.
  HttpActor(Machine& machine, Marks& marks, Random random, double rate_most);
  virtual ~HttpActor() = default;

  void begin(Network& network);
  void end() { active_ = false; }
  // An answer has not come yet.
  bool busy() const { return asking_; }

 protected:
  // Asks for something, or not.
  virtual void act() = 0;
  // busy() until `done` is called. Status 0: no answer came; whether it was carried out is not known.
  void ask(const std::string& method, const std::string& target, const std::string& body, HttpPeer::Done done);

  Machine& machine_;
  Marks& marks_;
  Random random_;

 private:
  void later();

  Network* network_ = nullptr;
  double rate_;
  bool active_ = false, asking_ = false;
  std::uint64_t turn_ = 0;
};

}  // namespace terrazzo::sim
