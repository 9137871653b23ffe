#include "server/net/origin_rules.h"

#include <algorithm>
#include <cctype>

namespace terrazzo::net {
namespace {

// Letters, digits and what else hosts and ports have: fit to be shown in an answer or a header, too.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-._:[]/+").find(c) != std::string_view::npos;
  });
}

// As browsers write it: small letters, and no port where the scheme's own is meant.
std::string normal(std::string_view origin) {
  std::string text(origin);
  std::ranges::transform(text, text.begin(),
                         [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  for (const auto& [scheme, port] : {std::pair("http://", ":80"), std::pair("https://", ":443")})
    if (text.starts_with(scheme) && text.ends_with(port)) text.resize(text.size() - std::string_view(port).size());
  return text;
}

bool is_of_host(std::string_view origin, std::string_view host) {
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && origin.substr(scheme + 3) == host;
}

bool is_this_machine(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) host = host.substr(0, colon);
  const bool v4 = host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host.empty() || host == "localhost" || host == "[::1]" || v4;
}

}  // namespace

Result<OriginRules> OriginRules::allowing(const std::vector<std::string>& origins) {
  OriginRules rules;
  for (const std::string& origin : origins) {
    if (origin == "*") {
      rules.everybody_ = true;
      continue;
    }
    const std::size_t scheme = origin.find("://");
    const std::string_view host = scheme == std::string::npos ? "" : std::string_view(origin).substr(scheme + 3);
    if (scheme == 0 || host.empty() || host.find('/') != std::string_view::npos || !is_plain(origin)) {
      return Error{ErrorCode::bad_message,
                   "--allow-origin \"" + origin +
                       "\": an origin is scheme://host or scheme://host:port, without a path, for example "
                       "https://maps.example.org; * allows all"};
    }
    rules.allowed_.push_back(normal(origin));
  }
  return rules;
}

bool OriginRules::allows(std::string_view origin) const {
  return everybody_ || std::ranges::find(allowed_, normal(origin)) != allowed_.end();
}

std::string OriginRules::refusal(std::string_view origin, std::string_view host) const {
  const auto shown = [](std::string_view text) { return std::string(is_plain(text) ? text.substr(0, 100) : "?"); };
  if (only_this_machine_ && !is_this_machine(host)) {
    return "this server asks nobody who he is (--auth none) and answers requests for localhost only, not for " +
           shown(host);
  }
  if (origin.empty() || is_of_host(origin, host) || allows(origin)) return {};
  return "pages of other sites may not use this server from a browser, and this one is of " + shown(origin) +
         "; the server allows a site with --allow-origin";
}

bool OriginRules::is_guest(std::string_view origin, std::string_view host) const {
  return !origin.empty() && is_plain(origin) && !is_of_host(origin, host) && allows(origin);
}

}  // namespace terrazzo::net
