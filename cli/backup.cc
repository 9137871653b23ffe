#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/http_client.h"

namespace terrazzo::cli {
namespace {

template <class T>
T member(const nlohmann::json& object, const char* name, T otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) return found->is_string() ? found->get<std::string>() : otherwise;
  if constexpr (std::is_same_v<T, bool>) return found->is_boolean() ? found->get<bool>() : otherwise;
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    return found->is_number_unsigned() ? found->get<T>() : otherwise;
}

}  // namespace

// The server writes it; this waits and shows how far it is.
Status backup(const CommandLine& line) {
  HttpClient http(line.server, line.token, line.ca_file);
  nlohmann::json wanted{{"name", line.version}};
  if (!line.since.empty()) wanted["since"] = line.since;
  Result<std::string> answer = http.request("POST", "/v1/backups", wanted.dump());
  std::optional<Progress> bar;
  for (;;) {
    if (!answer) return answer.error();
    const nlohmann::json state = nlohmann::json::parse(*answer, nullptr, false);
    if (!state.is_object() || member(state, "name", std::string()) != line.version)
      return Error{ErrorCode::bad_message, line.server + " answers, but not as a Terrazzo server does"};
    if (!member(state, "running", false)) {
      bar.reset();
      if (const std::string problem = member(state, "problem", std::string()); !problem.empty())
        return Error{ErrorCode::internal, problem};
      fmt::print("backup {} is complete, in the server's backup folder\n", line.version);
      return {};
    }
    if (!bar) bar.emplace("backup", std::max<std::uint64_t>(member(state, "total", std::uint64_t{1}), 1));
    bar->at(member(state, "done", std::uint64_t{0}));
    // The server tells nobody when it is done; it is asked now and then.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    answer = http.request("GET", "/v1/backups");
  }
}

}  // namespace terrazzo::cli
