#include "bench/fanout/servers.h"

#include <cstdlib>
#include <fstream>
#include <memory>

namespace terrazzo::bench {
namespace {

std::string bytes_of_hexadecimal(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

constexpr std::int64_t kPlaceCells = 32;

// Four places in a shard of 8192×8192 cells, 32 in a row.
map::CellPos corner_of(int place) {
  constexpr int kApart = 4096, kInRow = 32;
  return {place % kInRow * kApart, place / kInRow * kApart};
}

std::string framed(const std::string& payload) {
  return masked_frame(std::as_bytes(std::span(payload.data(), payload.size())));
}

}  // namespace

std::string message_of(proto::Encoder& encoder, const proto::ClientMessage& message) {
  proto::ByteBuffer payload;
  encoder.append(proto::Form::binary, message, payload);
  return masked_frame(payload);
}

Server terrazzo_server(const std::string& name, const std::string& program, const std::vector<std::string>& flags,
                       const std::filesystem::path& data, proto::Encoder& encoder) {
  Server server;
  server.name = name;
  server.words = {program,  "--data", data.string(), "--listen", "127.0.0.1:0",
                  "--auth", "none",   "--log-level", "error"};
  server.words.insert(server.words.end(), flags.begin(), flags.end());
  server.needs_world = true;
  Dialect& dialect = server.dialect;
  dialect.path = "/v1/ws";
  dialect.protocol = "terrazzo.v1.flatbuffers";
  proto::Hello hello;
  dialect.painter_joining = message_of(encoder, hello) + message_of(encoder, proto::Open{"bench"});
  dialect.frames_of_painter_joining = 2;  // welcome, world
  dialect.joining_at = [&encoder, entering = dialect.painter_joining](int place) {
    proto::Subscribe subscribe;
    subscribe.rect = map::Rect::of_size(corner_of(place).x, corner_of(place).y, kPlaceCells, kPlaceCells);
    return entering + message_of(encoder, subscribe);
  };
  dialect.frames_of_joining = 3;  // welcome, world, subscribed: the chunk is empty when everybody joins
  dialect.least_bytes = 72;       // an edit's; durable marks are shorter
  dialect.message = [&encoder](std::uint64_t number, int place) {
    const map::Cell cell{static_cast<std::uint32_t>(1 + number % 40)};
    const auto x = static_cast<std::int64_t>(number % 32), y = static_cast<std::int64_t>(number / 32 % 32);
    const map::CellPos corner = corner_of(place);
    const map::Op op{map::OpKind::set, 1, map::Rect::of_size(corner.x + x, corner.y + y, 1, 1), {}, {}, {&cell, 1}};
    return message_of(encoder, map::Edit{EditId{number}, map::AckMode::applied, {&op, 1}, {}});
  };
  return server;
}

Server plain_server(const std::string& name, std::vector<std::string> words, bool web_socket) {
  Server server;
  server.name = name;
  server.words = std::move(words);
  server.dialect.web_socket = web_socket;
  const std::string body(96, 'x');
  server.dialect.message = [body, web_socket](std::uint64_t, int) { return web_socket ? framed(body) : body; };
  return server;
}

std::optional<Server> scripted_server(const std::string& name, std::vector<std::string> words,
                                      const std::filesystem::path& lines) {
  std::ifstream file(lines);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  Server server;
  server.name = name;
  server.words = std::move(words);
  server.dialect.path = "/bench";
  if (!line.empty()) server.dialect.joining = server.dialect.painter_joining = framed(bytes_of_hexadecimal(line));
  server.dialect.frames_of_joining = server.dialect.frames_of_painter_joining = 1;  // the first step of synchronising
  server.dialect.least_bytes = server.dialect.painter_least_bytes = 64;
  auto messages = std::make_shared<std::vector<std::string>>();
  while (std::getline(file, line)) messages->push_back(framed(bytes_of_hexadecimal(line)));
  server.dialect.message = [messages](std::uint64_t number, int) {
    return number <= messages->size() ? (*messages)[number - 1] : std::string();
  };
  return server;
}

bool make_world(std::uint16_t port) {
  const std::string body =
      R"({"name":"bench","layers":[{"id":1,"kind":"tile"}],"tilesets":[{"first_tile":1,"tile_count":50}]})";
  const std::string command =
      "curl -fsS -X POST http://127.0.0.1:" + std::to_string(port) + "/v1/worlds -d '" + body + "' > /dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

}  // namespace terrazzo::bench
