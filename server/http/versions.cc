// The endpoints of named versions.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"

namespace terrazzo::http {
namespace {

nlohmann::json json_of(const VersionInfo& version) {
  return {{"id", version.id}, {"name", version.name}, {"author", version.author}, {"created_ms", version.created_ms}};
}

}  // namespace

void Api::versions(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond) {
  const auto admitted = admit(request, name, request.method == "GET" ? Right::read : Right::write, respond);
  if (!admitted) return;
  const auto& [world, user, role, roles] = *admitted;
  if (!tail.empty()) return version(request, world->id, tail.substr(1), std::move(respond));
  if (request.method == "GET") {
    nlohmann::json list = nlohmann::json::array();
    for (const VersionInfo& version : services_.versions(world->id)) list.push_back(json_of(version));
    return respond(json_response(200, nlohmann::json{{"versions", list}}.dump()));
  }
  if (request.method != "POST") return respond(wrong_method("GET, POST"));
  const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
  const auto wanted = body.is_object() ? body.find("name") : body.end();
  if (!body.is_object() || wanted == body.end() || !wanted->is_string())
    return respond(problem({ErrorCode::bad_message, "a version is made from {\"name\": \"…\"}"}));
  services_.save_version(world->id, wanted->get<std::string>(), user,
                         [respond = std::move(respond)](Result<VersionInfo> made) {
                           respond(made ? json_response(201, json_of(*made).dump()) : problem(made.error()));
                         });
}

void Api::version(const net::HttpRequest& request, WorldId world, std::string_view tail, Respond respond) {
  const std::size_t slash = tail.find('/');
  const Result<std::string> version = percent_decode(tail.substr(0, slash));
  if (!version) return respond(problem(version.error()));
  const std::string_view action = slash == std::string_view::npos ? "" : tail.substr(slash + 1);
  const auto answer = [respond](Result<VersionInfo> changed) {
    respond(changed ? json_response(200, json_of(*changed).dump()) : problem(changed.error()));
  };
  if (action.empty()) {
    if (request.method != "DELETE") return respond(wrong_method("DELETE"));
    return services_.change_version(world, *version, ApiServices::VersionChange::remove, answer);
  }
  if (action == "restore") {
    if (request.method != "POST") return respond(wrong_method("POST"));
    return services_.change_version(world, *version, ApiServices::VersionChange::restore, answer);
  }
  if (action.starts_with("diff/")) {
    if (request.method != "GET") return respond(wrong_method("GET"));
    const Result<std::string> other = percent_decode(action.substr(5));
    if (!other) return respond(problem(other.error()));
    return services_.diff_versions(world, *version, *other, [respond](Result<std::vector<ShardDiff>> diffs) {
      respond(diffs ? json_response(200, json_of(*diffs).dump()) : problem(diffs.error()));
    });
  }
  respond(problem({ErrorCode::not_found, "a version has …/restore and …/diff/{other version or \"now\"}"}));
}

}  // namespace terrazzo::http
