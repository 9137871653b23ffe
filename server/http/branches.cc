// The endpoints of branches.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"

namespace terrazzo::http {
namespace {

nlohmann::json json_of(const BranchInfo& branch) {
  return {{"name", branch.name},
          {"world", std::to_string(branch.world.value)},
          {"author", branch.author},
          {"created_ms", branch.created_ms},
          {"from", branch.from},
          {"version", branch.version.empty() ? nlohmann::json() : nlohmann::json(branch.version)}};
}

}  // namespace

void Api::branches(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond) {
  const auto right = request.method == "GET" ? ApiServices::Right::read : ApiServices::Right::write;
  if (const Status allowed = services_.authorize(request.authorization, right); !allowed)
    return respond(problem(allowed.error()));
  const auto world = services_.find_world(name);
  if (!world) return respond(problem({ErrorCode::not_found, "there is no world \"" + std::string(name) + "\""}));
  if (!tail.empty()) return branch(request, world->id, tail.substr(1), std::move(respond));
  if (request.method == "GET") {
    nlohmann::json list = nlohmann::json::array();
    for (const BranchInfo& each : services_.branches(world->id)) list.push_back(json_of(each));
    return respond(json_response(200, nlohmann::json{{"branches", list}}.dump()));
  }
  if (request.method != "POST") return respond(wrong_method("GET, POST"));
  const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
  const auto text = [&](const char* member, bool needed) -> std::optional<std::string> {
    const auto found = body.is_object() ? body.find(member) : body.end();
    if (!body.is_object() || found == body.end()) return needed ? std::nullopt : std::optional(std::string());
    return found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
  };
  const auto wanted = text("name", true), version = text("version", false);
  if (!wanted || !version) {
    return respond(
        problem({ErrorCode::bad_message,
                 "a branch is made from {\"name\": \"…\"}; with \"version\": name or number of the version it "
                 "begins at, instead of the present state"}));
  }
  services_.make_branch(world->id, *wanted, *version, services_.user(request.authorization),
                        [respond = std::move(respond)](Result<BranchInfo> made) {
                          respond(made ? json_response(201, json_of(*made).dump()) : problem(made.error()));
                        });
}

void Api::branch(const net::HttpRequest& request, WorldId world, std::string_view tail, Respond respond) {
  const std::size_t slash = tail.find('/');
  const Result<std::string> name = percent_decode(tail.substr(0, slash));
  if (!name) return respond(problem(name.error()));
  const std::string_view action = slash == std::string_view::npos ? "" : tail.substr(slash + 1);
  if (action.empty()) {
    if (request.method != "DELETE") return respond(wrong_method("DELETE"));
    return services_.drop_branch(world, *name, [respond](Result<BranchInfo> dropped) {
      respond(dropped ? json_response(200, json_of(*dropped).dump()) : problem(dropped.error()));
    });
  }
  if (action == "diff/main" || action == "diff/origin") {
    if (request.method != "GET") return respond(wrong_method("GET"));
    return services_.diff_branch(
        world, *name, action == "diff/origin", [respond](Result<std::vector<ShardDiff>> diffs) {
          respond(diffs ? json_response(200, http::json_of(*diffs).dump()) : problem(diffs.error()));
        });
  }
  respond(problem({ErrorCode::not_found, "a branch has …/diff/main and …/diff/origin"}));
}

}  // namespace terrazzo::http
