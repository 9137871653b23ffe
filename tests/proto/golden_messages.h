#pragma once

#include <string>
#include <vector>

#include "proto/messages.h"

namespace terrazzo::proto {

// One message of each type with every field set, and the variants that differ in shape. Their
// encodings are kept in tests/proto/golden: other implementations may test against them, and a
// change of the wire shows as a diff.
template <class Message>
struct Golden {
  std::string name;  // of the files, without the ending
  Message binary, json;
};

std::vector<Golden<ClientMessage>> golden_client_messages();
std::vector<Golden<ServerMessage>> golden_server_messages();

}  // namespace terrazzo::proto
