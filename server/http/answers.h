#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "server/net/network.h"

// The shapes of answers that endpoints share.
namespace terrazzo::http {

unsigned http_status(ErrorCode code);
// RFC 9457.
net::HttpResponse problem(const Error& error);
net::HttpResponse json_response(unsigned status, std::string body);
net::HttpResponse wrong_method(std::string_view allowed);

}  // namespace terrazzo::http
