#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace terrazzo::cli {

// HTTP requests to one server, one after another on one connection.
class HttpClient {
 public:
  // `server`: http://host:port or https://host:port; then its certificate must name the host and be signed by one in
  // `ca_file` (PEM), or by whom the system trusts where that is empty.
  HttpClient(std::string server, std::string token, std::string ca_file);
  ~HttpClient();
  // The body of a successful answer. Others become errors: what the server said is wrong, or that nobody is there.
  Result<std::string> request(std::string_view method, const std::string& target, std::string_view body = {});

 private:
  struct State;
  State* state_;
};

std::string percent_encode(std::string_view text);

}  // namespace terrazzo::cli
