#include "server/http/answers.h"

#include <nlohmann/json.hpp>

namespace terrazzo::http {

unsigned http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_message:
    case ErrorCode::unknown_type:
    case ErrorCode::out_of_bounds:
      return 400;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::forbidden:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::already_exists:
    case ErrorCode::claimed:
    case ErrorCode::condition_failed:
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::rate_limited:
      return 429;
    case ErrorCode::unsupported:
      return 415;
    case ErrorCode::read_only:
    case ErrorCode::overloaded:
      return 503;
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

Status may(std::optional<identity::Role> role, Right right) {
  if (!role) return Error{ErrorCode::forbidden, "the token gives no role here (its claim `roles`)"};
  if (right != Right::read && *role == identity::Role::viewer)
    return Error{ErrorCode::forbidden, "a viewer cannot change anything: use a token with the role editor or owner"};
  if (right == Right::own && *role != identity::Role::owner)
    return Error{ErrorCode::forbidden, "only an owner can do this: use a token with the role owner"};
  return {};
}

net::HttpResponse problem(const Error& error) {
  const unsigned status = http_status(error.code);
  const std::string name(error_code_name(error.code));
  const nlohmann::json body{
      {"type", "urn:terrazzo:error:" + name}, {"title", name}, {"status", status}, {"detail", error.message}};
  return {.status = status,
          .content_type = "application/problem+json",
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .extra_headers = status == 401 ? "WWW-Authenticate: Bearer\r\n" : ""};
}

net::HttpResponse json_response(unsigned status, std::string body) {
  return {.status = status, .content_type = "application/json", .body = std::move(body), .extra_headers = {}};
}

net::HttpResponse wrong_method(std::string_view allowed) {
  net::HttpResponse response =
      problem({ErrorCode::unsupported, "this address answers " + std::string(allowed) + " only"});
  response.status = 405;
  response.extra_headers = "Allow: " + std::string(allowed) + "\r\n";
  return response;
}

nlohmann::json json_of(const std::vector<ShardDiff>& diffs) {
  nlohmann::json shards = nlohmann::json::array();
  std::uint64_t chunks = 0;
  for (const ShardDiff& diff : diffs) {
    nlohmann::json areas = nlohmann::json::array();
    for (const auto& [layer, area] : diff.areas)
      areas.push_back({{"layer", layer}, {"chunks", {area.x0, area.y0, area.width(), area.height()}}});
    shards.push_back({{"shard", {diff.shard.x, diff.shard.y}}, {"chunks", diff.chunks}, {"areas", std::move(areas)}});
    chunks += diff.chunks;
  }
  return {{"chunks", chunks}, {"shards", std::move(shards)}};
}

}  // namespace terrazzo::http
