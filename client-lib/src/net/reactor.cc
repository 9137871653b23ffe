#include "terrazzo/reactor.h"

#include <boost/asio/post.hpp>

#include "client-lib/src/net/reactor_loop.h"

namespace terrazzo::client {

Reactor::Reactor() : loop_(new Loop) {}
Reactor::~Reactor() = default;

std::size_t Reactor::run_once(std::chrono::milliseconds timeout) {
  boost::asio::io_context& io = loop_->io;
  if (io.stopped()) io.restart();
  std::size_t ran = io.poll();
  if (ran == 0 && timeout.count() > 0) {
    if (io.stopped()) io.restart();
    // Keeps it waiting even where nothing is under way, so that callers do not spin.
    const auto work = boost::asio::make_work_guard(io);
    ran = io.run_one_for(timeout);
    ran += io.poll();
  }
  return ran;
}

void Reactor::wake() {
  boost::asio::post(loop_->io, [] {});
}

}  // namespace terrazzo::client
