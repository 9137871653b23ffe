#pragma once

#include <optional>
#include <string>
#include <string_view>

// RFC 4648, section 5, without padding, as JSON Web Tokens have it (RFC 7515, section 2).
namespace terrazzo::identity {

std::string base64url(std::string_view bytes);
// Nothing where the text is not exactly what base64url() would have written: each token has one spelling.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace terrazzo::identity
