#include "tests/sim/http_actor.h"

#include <fmt/format.h>

#include <utility>

namespace terrazzo::sim {

HttpActor::HttpActor(Machine& machine, Marks& marks, Random random, double rate_most)
    : machine_(machine), marks_(marks), random_(random), rate_(random_.unit() * rate_most) {}

void HttpActor::begin(Network& network) {
  network_ = &network;
  active_ = true;
  ++turn_;
  later();
}

void HttpActor::later() {
  const auto delay = static_cast<std::uint64_t>(random_.exponential(rate_ + 0.01) * static_cast<double>(kSecond));
  machine_.schedule.after(delay, [this, turn = turn_] {
    if (!active_ || turn != turn_) return;
    if (!asking_) act();
    later();
  });
}

void HttpActor::ask(const std::string& method, const std::string& target, const std::string& body,
                    HttpPeer::Done done) {
  asking_ = true;
  HttpPeer::request(
      machine_, *network_, method, target, body,
      [this, what = method + " " + target, done = std::move(done)](unsigned status, const std::string& answer) {
        asking_ = false;
        if (machine_.verbose)
          fmt::print("{:.6f} {}: {} {}\n", static_cast<double>(machine_.schedule.now()) * 1e-9, what, status, answer);
        done(status, answer);
      });
}

}  // namespace terrazzo::sim
