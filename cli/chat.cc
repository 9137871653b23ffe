#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "cli/commands.h"
#include "cli/interruption.h"
#include "cli/server.h"

namespace terrazzo::cli {
namespace {

using namespace std::chrono_literals;

// What others say must not move the cursor or colour the terminal: control characters, those of two bytes (U+0080 to
// U+009F) included, become question marks.
std::string harmless(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0u;
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      out += '?';
      ++i;
    } else {
      out += byte < 0x20 || byte == 0x7F ? '?' : text[i];
    }
  }
  return out;
}

void print(const client::Chatted& said) {
  fmt::print("{}: {}\n", said.name.empty() ? fmt::format("session {}", said.session.value) : harmless(said.name),
             harmless(said.text));
  std::fflush(stdout);
}

// Says the line and waits until it comes back: then everybody has been told.
Status say(client::Client& client, const std::string& text) {
  if (Status said = client.chat(text); !said) return said;
  std::optional<Error> refused;
  bool heard = false;
  client.on_event([&](const client::Event& event) {
    if (const auto* error = std::get_if<client::ServerError>(&event)) refused = error->error;
    if (const auto* line = std::get_if<client::Chatted>(&event))
      heard = heard || (line->session == client.session() && line->text == text);
  });
  client.wait_until([&] { return heard || refused; }, 10s);
  client.on_event({});
  if (refused) return *refused;
  return heard ? Status() : Error{ErrorCode::overloaded, "the server did not pass the line on within 10 s"};
}

}  // namespace

Status chat(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  if (!line.text.empty()) return say(client, line.text);
  note_interruptions();
  fmt::print("listening in {}; Ctrl-C ends it\n", line.world);
  std::fflush(stdout);
  const auto began = std::chrono::steady_clock::now();
  while (!interrupted()) {
    for (const client::Event& event : client.poll())
      if (const auto* said = std::get_if<client::Chatted>(&event)) print(*said);
    if (client.state() == client::State::failed) return *client.last_error();
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (line.seconds > 0 && elapsed >= line.seconds) break;
    client.run_once(100ms);
  }
  return {};
}

}  // namespace terrazzo::cli
