#include "server/app/history_reach.h"

#include <nlohmann/json.hpp>
#include <string>

#include "server/runtime/clock.h"

namespace terrazzo::app {
namespace {

std::string text_of(std::uint64_t time_us) {
  return nlohmann::json{{"complete_since_us", time_us}}.dump() + "\n";
}

}  // namespace

Status HistoryReach::load(io::DataDirectory& data) {
  const Result<std::string> text = data.read_history_start();
  if (!text && text.error().code != ErrorCode::not_found) return text.error();
  if (text) {
    const nlohmann::json known = nlohmann::json::parse(*text, nullptr, false);
    const auto since = known.is_object() ? known.find("complete_since_us") : known.end();
    if (known.is_object() && since != known.end() && since->is_number_unsigned()) {
      since_us_ = since->get<std::uint64_t>();
      return {};
    }
  }
  const bool first_run = !text && data.incarnation() == Incarnation{1};
  since_us_ = first_run ? 0 : runtime::wall_ns() / 1000;
  return data.write_history_start(text_of(since_us_));
}

Status HistoryReach::forget_before(io::DataDirectory& data, std::uint64_t time_us) {
  const std::lock_guard lock(mutex_);
  if (time_us <= since_us_) return {};
  if (Status written = data.write_history_start(text_of(time_us)); !written) return written;
  since_us_ = time_us;
  return {};
}

}  // namespace terrazzo::app
