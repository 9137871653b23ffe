#pragma once

#include <string>

#include "proto/messages.h"

namespace terrazzo::proto {

// Every field of a message in words, independent of both wire forms: two messages are the same iff
// their texts are.
std::string text_of(const ClientMessage& message);
// `coded` cells of a chunk are unpacked, so that both forms of a chunk read the same; a world's
// JSON is given as it is.
std::string text_of(const ServerMessage& message);

}  // namespace terrazzo::proto
