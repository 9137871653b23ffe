#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace terrazzo::net {

// Which pages may use the server from a browser, which says with `Origin` whose page it is; programs say nothing. Pages
// of the server itself always may: their origin names the host that they ask. Immutable; any thread.
class OriginRules {
 public:
  OriginRules() = default;
  // bad_message: one is neither scheme://host[:port] nor *.
  static Result<OriginRules> allowing(const std::vector<std::string>& origins);
  // For a server that asks nobody who he is: only requests for a host that is this machine. Else any page could have
  // its own name mean this machine, and be a page of the server itself (DNS rebinding).
  void only_this_machine() { only_this_machine_ = true; }

  // Why the request is refused; empty: it is not.
  std::string refusal(std::string_view origin, std::string_view host) const;
  // Its page is of another site, and may read the answer.
  bool is_guest(std::string_view origin, std::string_view host) const;
  bool any() const { return everybody_ || !allowed_.empty(); }

 private:
  bool allows(std::string_view origin) const;

  std::vector<std::string> allowed_;
  bool everybody_ = false, only_this_machine_ = false;
};

}  // namespace terrazzo::net
