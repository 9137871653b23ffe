#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/fanout/crowd.h"
#include "map/coords.h"
#include "proto/codec.h"

namespace terrazzo::bench {

// A server to measure, and how it is spoken to.
struct Server {
  std::string name;
  std::vector<std::string> words;  // program and arguments
  Dialect dialect;
  bool needs_world = false;
};

// A viewer watches the 32×32 cells of its place, a painter nothing, so that the answer to each edit is its one frame.
// `encoder` outlives the server.
Server terrazzo_server(const std::string& name, const std::string& program, const std::vector<std::string>& flags,
                       const std::filesystem::path& data, proto::Encoder& encoder);
// Broadcasts whatever comes, as messages of 96 bytes or WebSocket frames with 96 bytes of payload.
Server plain_server(const std::string& name, std::vector<std::string> words, bool web_socket);
// `lines`: a file of what to say, made by bench/peers/y_words.mjs; nothing where it cannot be read.
std::optional<Server> scripted_server(const std::string& name, std::vector<std::string> words,
                                      const std::filesystem::path& lines);

// One masked binary frame.
std::string message_of(proto::Encoder& encoder, const proto::ClientMessage& message);
bool make_world(std::uint16_t port);

}  // namespace terrazzo::bench
