// The endpoints of branches.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"
#include "server/http/fields.h"

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
  const auto admitted = admit(request, name, request.method == "GET" ? Right::read : Right::write, respond);
  if (!admitted) return;
  const auto& [world, user, role, roles] = *admitted;
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
  services_.make_branch(world->id, *wanted, *version, user, [respond = std::move(respond)](Result<BranchInfo> made) {
    respond(made ? json_response(201, json_of(*made).dump()) : problem(made.error()));
  });
}

namespace {

std::optional<MergeAsk::Choice> choice_of(const nlohmann::json& value) {
  if (!value.is_object() || !value.contains("rect")) return std::nullopt;
  const std::optional<map::Rect> rect = rect_of(value["rect"]);
  const std::string take = value.contains("take") && value["take"].is_string() ? value["take"] : "";
  if (!rect || (take != "ours" && take != "theirs")) return std::nullopt;
  MergeAsk::Choice choice{std::nullopt, *rect, take == "theirs"};
  if (value.contains("layer")) {
    if (!value["layer"].is_number_unsigned() || value["layer"] > 255) return std::nullopt;
    choice.layer = value["layer"].get<map::LayerId>();
  }
  return choice;
}

std::optional<MergeAsk> merge_of(std::string_view text) {
  const nlohmann::json body = text.empty() ? nlohmann::json::object() : nlohmann::json::parse(text, nullptr, false);
  if (!body.is_object()) return std::nullopt;
  MergeAsk ask;
  for (const auto& [member, value] : body.items()) {
    if (member == "conflicts") {
      if (value != "refuse" && value != "ours" && value != "theirs") return std::nullopt;
      ask.conflicts = value == "ours"     ? MergeAsk::Conflicts::ours
                      : value == "theirs" ? MergeAsk::Conflicts::theirs
                                          : MergeAsk::Conflicts::refuse;
    } else if (member == "area") {
      if (!(ask.area = rect_of(value))) return std::nullopt;
    } else if (member == "choices" && value.is_array()) {
      for (const nlohmann::json& each : value) {
        const std::optional<MergeAsk::Choice> choice = choice_of(each);
        if (!choice) return std::nullopt;
        ask.choices.push_back(*choice);
      }
    } else if (member == "preview" && value.is_boolean()) {
      ask.preview = value.get<bool>();
    } else if (member == "name" && value.is_string()) {
      ask.name = value.get<std::string>();
    } else {
      return std::nullopt;
    }
  }
  return ask;
}

nlohmann::json json_of(const MergeInfo& info) {
  nlohmann::json areas = nlohmann::json::array();
  for (const MergeInfo::Area& area : info.areas)
    areas.push_back({{"layer", area.layer},
                     {"rect", http::json_of(area.rect)},
                     {"cells", area.cells}});
  return {{"merged", info.done},         {"cells", info.cells}, {"same", info.same}, {"conflicts", info.conflicts},
          {"undecided", info.undecided}, {"left", info.left},   {"areas", areas}};
}

// Conflicts that nobody has decided on are in the answer, to be decided on.
net::HttpResponse refused_for(const MergeInfo& info) {
  net::HttpResponse response =
      problem({ErrorCode::conflict,
               std::to_string(info.undecided) +
                   " cells were changed in the branch and where it is merged into, and not to the same; "
                   "nothing was merged. Say "
                   "{\"conflicts\": \"ours\"} or \"theirs\" for all, or decide area by area with "
                   "\"choices\": [{\"rect\": [x, y, "
                   "width, height], \"take\": \"theirs\"}]; \"preview\": true shows them without merging"});
  nlohmann::json body = nlohmann::json::parse(response.body);
  body.update(json_of(info));
  response.body = body.dump();
  return response;
}

}  // namespace

void Api::merge(const net::HttpRequest& request, WorldId world, std::string_view branch, Respond respond) {
  if (request.method != "POST") return respond(wrong_method("POST"));
  std::optional<MergeAsk> ask = merge_of(request.body);
  if (!ask) {
    return respond(problem(
        {ErrorCode::bad_message,
         "a merge is told by {}, or with \"conflicts\": \"refuse\", \"ours\" or \"theirs\"; \"choices\": [{\"rect\": "
         "[x, "
         "y, width, height], \"take\": \"ours\" or \"theirs\", \"layer\": number of one}] for some of the conflicts; "
         "\"area\": [x, y, width, height] for a part of the world; \"preview\": true to change nothing; \"name\": who "
         "merges, where tokens do not say it"}));
  }
  const bool preview = ask->preview;
  services_.merge_branch(world, branch, *std::move(ask), request.authorization,
                         [respond = std::move(respond), preview](Result<MergeInfo> merged) {
                           if (!merged) return respond(problem(merged.error()));
                           if (!preview && !merged->done) return respond(refused_for(*merged));
                           respond(json_response(200, json_of(*merged).dump()));
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
  if (action == "merge") return merge(request, world, *name, std::move(respond));
  respond(problem({ErrorCode::not_found, "a branch has …/merge, …/diff/main and …/diff/origin"}));
}

}  // namespace terrazzo::http
