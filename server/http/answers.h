#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "server/http/api.h"

// The shapes of answers that endpoints share.
namespace terrazzo::http {

// forbidden: what it takes.
Status may(std::optional<identity::Role> role, Right right);

unsigned http_status(ErrorCode code);
// RFC 9457.
net::HttpResponse problem(const Error& error);
net::HttpResponse json_response(unsigned status, std::string body);
net::HttpResponse wrong_method(std::string_view allowed);
nlohmann::json json_of(const std::vector<ShardDiff>& diffs);

}  // namespace terrazzo::http
