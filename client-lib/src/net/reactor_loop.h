#pragma once

#include <boost/asio/io_context.hpp>

#include "terrazzo/reactor.h"

namespace terrazzo::client {

struct Reactor::Loop {
  boost::asio::io_context io{1};
};

}  // namespace terrazzo::client
