#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace terrazzo::cli {

// HTTP requests to one server, one after another on one connection.
class HttpClient {
 public:
  // `server`: http://host:port.
  HttpClient(std::string server, std::string token);
  ~HttpClient();
  // The body of a successful answer. Others become errors: what the server said is wrong, or that nobody is there.
  Result<std::string> request(std::string_view method, const std::string& target, std::string_view body = {});

 private:
  struct State;
  State* state_;
};

std::string percent_encode(std::string_view text);

}  // namespace terrazzo::cli
