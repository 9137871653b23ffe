#include "cli/time_text.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>

namespace terrazzo::cli {
namespace {

std::optional<std::uint64_t> ms_ago(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end + 1 != text.data() + text.size() || count > 1'000'000) return std::nullopt;
  constexpr std::uint64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
  switch (*end) {
    case 's':
      return count * kSecond;
    case 'm':
      return count * kMinute;
    case 'h':
      return count * kHour;
    case 'd':
      return count * kDay;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint64_t> ms_of_date(std::string text) {
  const bool utc = text.ends_with('Z');
  if (utc) text.pop_back();
  std::tm tm{};
  tm.tm_isdst = -1;
  char between = 0;
  int used = 0;
  const int read = std::sscanf(text.c_str(), "%4d-%2d-%2d%n%c%2d:%2d%n:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                               &used, &between, &tm.tm_hour, &tm.tm_min, &used, &tm.tm_sec, &used);
  const bool whole = used == static_cast<int>(text.size()) && (read == 3 || read == 6 || read == 7);
  if (!whole || (between != 0 && between != ' ' && between != 'T')) return std::nullopt;
  const bool sound = tm.tm_year >= 1970 && tm.tm_mon >= 1 && tm.tm_mon <= 12 && tm.tm_mday >= 1 && tm.tm_mday <= 31 &&
                     tm.tm_hour >= 0 && tm.tm_hour <= 23 && tm.tm_min >= 0 && tm.tm_min <= 59 && tm.tm_sec >= 0 &&
                     tm.tm_sec <= 60;
  if (!sound) return std::nullopt;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  const std::time_t at = utc ? ::timegm(&tm) : std::mktime(&tm);
  return at < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(at) * 1000);
}

}  // namespace

Result<std::uint64_t> parse_time(std::string_view text, std::uint64_t now) {
  if (text == "now") return now;
  if (const auto ago = ms_ago(text)) return *ago > now ? 0 : now - *ago;
  if (const auto at = ms_of_date(std::string(text))) return *at;
  return Error{ErrorCode::bad_message, "\"" + std::string(text) +
                                           "\" is no time: say how long ago (90s, 30m, 2h, 7d), or when (2026-11-22, "
                                           "\"2026-11-22 13:30\", 2026-11-22T13:30:05Z)"};
}

std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

Result<std::uint64_t> parse_time(std::string_view text) {
  return parse_time(text, now_ms());
}

}  // namespace terrazzo::cli
