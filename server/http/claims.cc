// The endpoints of claims. They are made over the WebSocket, by who is there to keep them.
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"

namespace terrazzo::http {
namespace {

nlohmann::json json_of(const ClaimInfo& claim) {
  return {{"session", std::to_string(claim.session.value)},
          {"claim", claim.claim},
          {"name", claim.name},
          {"rect", {claim.rect.x0, claim.rect.y0, claim.rect.width(), claim.rect.height()}},
          {"layers", claim.layers},
          {"ttl_ms", claim.ttl_ms}};
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void Api::claims(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond) {
  const auto admitted = admit(request, name, tail.empty() ? Right::read : Right::own, respond);
  if (!admitted) return;
  const WorldId world = admitted->world->id;
  if (tail.empty()) {
    if (request.method != "GET") return respond(wrong_method("GET"));
    return services_.claims(world, [respond = std::move(respond)](const std::vector<ClaimInfo>& all) {
      nlohmann::json list = nlohmann::json::array();
      for (const ClaimInfo& claim : all) list.push_back(json_of(claim));
      respond(json_response(200, nlohmann::json{{"claims", list}}.dump()));
    });
  }
  if (request.method != "DELETE") return respond(wrong_method("DELETE"));
  const std::string_view rest = tail.substr(1);
  const std::size_t slash = rest.find('/');
  SessionId session;
  std::uint32_t claim = 0;
  if (slash == std::string_view::npos || !read_number(rest.substr(0, slash), session.value) ||
      !read_number(rest.substr(slash + 1), claim)) {
    return respond(problem(
        {ErrorCode::bad_message, "a claim is …/claims/SESSION/NUMBER, both in decimal, as …/claims lists them"}));
  }
  services_.break_claim(world, session, claim, [respond = std::move(respond)](const Status& broken) {
    respond(broken ? json_response(200, "{}") : problem(broken.error()));
  });
}

}  // namespace terrazzo::http
