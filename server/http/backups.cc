// The endpoint of backups.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"

namespace terrazzo::http {

void Api::backups(const net::HttpRequest& request, Respond respond) {
  if (!admit_to_server(request, Right::own, respond)) return;
  if (request.method != "GET" && request.method != "POST") return respond(wrong_method("GET, POST"));
  if (request.method == "POST") {
    const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
    if (!body.is_object() || !body.contains("name") || !body["name"].is_string() ||
        (body.contains("since") && !body["since"].is_string()))
      return respond(
          problem({ErrorCode::bad_message,
                   "a backup is made from {\"name\": \"…\"}, or {\"name\": \"…\", \"since\": \"…\"} where it "
                   "shall hold only what changed since an earlier one"}));
    if (const Status begun = services_.start_backup(body["name"].get<std::string>(), body.value("since", "")); !begun)
      return respond(problem(begun.error()));
  }
  const BackupInfo info = services_.backup();
  const nlohmann::json answer{{"name", info.name}, {"since", info.since}, {"running", info.running},
                              {"done", info.done}, {"total", info.total}, {"problem", info.problem}};
  respond(json_response(request.method == "POST" ? 202 : 200,
                        answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

}  // namespace terrazzo::http
