#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "terrazzo/options.h"
#include "terrazzo/reactor.h"

namespace terrazzo::client {

struct Reactor::Loop {
  boost::asio::io_context io{1};

  // Shared by all clients with the same wishes: reading the system's authorities takes milliseconds and a megabyte.
  Result<std::shared_ptr<boost::asio::ssl::context>> tls(const TlsOptions& options);

 private:
  std::map<std::pair<std::string, bool>, std::shared_ptr<boost::asio::ssl::context>> tls_;
};

}  // namespace terrazzo::client
