#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/http_client.h"
#include "cli/interruption.h"
#include "cli/json_answers.h"
#include "cli/server.h"

namespace terrazzo::cli {
namespace {

using namespace std::chrono_literals;

std::string address(const CommandLine& line) {
  return "/v1/worlds/" + percent_encode(line.world) + "/claims";
}

std::string area_text(const map::Rect& rect) {
  return fmt::format("{},{} {}×{}", rect.x0, rect.y0, rect.width(), rect.height());
}

std::uint64_t number_in(const nlohmann::json& object, const char* member) {
  const bool there = object.is_object() && object.contains(member) && object[member].is_number_unsigned();
  return there ? object[member].get<std::uint64_t>() : 0;
}

constexpr std::int64_t kFar = std::int64_t{1} << 33;  // beyond the plane

// Empty: it has none.
map::Rect area_in(const nlohmann::json& claim) {
  if (!claim.is_object() || !claim.contains("rect")) return {};
  const nlohmann::json& rect = claim["rect"];
  if (!rect.is_array() || rect.size() != 4) return {};
  for (const nlohmann::json& side : rect)
    if (!side.is_number_integer() || side.get<std::int64_t>() > kFar || side.get<std::int64_t>() < -kFar) return {};
  const auto side = [&](std::size_t i) { return rect[i].get<std::int64_t>(); };
  const map::Rect area = map::Rect::of_size(side(0), side(1), side(2), side(3));
  return map::kPlane.contains(area) ? area : map::Rect{};
}

std::string conflicts_of(const client::ClaimRejected& rejected) {
  std::string text = rejected.error.message;
  for (const client::Claim& other : rejected.conflicts)
    text += fmt::format("\n  {} (session {}, claim {}): {}", other.name, other.session.value, other.claim.value,
                        area_text(other.rect));
  return text;
}

}  // namespace

Status claim_area(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  const Result<std::vector<map::LayerId>> layers = chosen_layers(*client.world(), line.layer, {});  // none: all
  if (!layers) return layers.error();
  const Result<ClaimId> claim = client.claim(*line.rect, *layers, 10s);
  if (!claim) return claim.error();
  note_interruptions();
  const auto began = std::chrono::steady_clock::now();
  while (!interrupted()) {
    for (const client::Event& event : client.poll()) {
      if (const auto* rejected = std::get_if<client::ClaimRejected>(&event))
        return Error{rejected->error.code, conflicts_of(*rejected)};
      if (std::holds_alternative<client::ClaimHeld>(event)) {
        fmt::print("{} is yours in {} (session {}, claim {}); Ctrl-C lets it go\n", area_text(*line.rect), line.world,
                   client.session().value, claim->value);
        std::fflush(stdout);
      }
      if (const auto* ended = std::get_if<client::ClaimEnded>(&event)) {
        const bool broken = ended->reason == client::ReleaseReason::broken;
        return Error{ErrorCode::claimed, broken ? "an owner of the world ended the claim" : "the claim has ended"};
      }
    }
    if (client.state() == client::State::failed) return *client.last_error();
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (line.seconds > 0 && elapsed >= line.seconds) break;
    client.run_once(100ms);
  }
  client.release(*claim);
  client.wait_until(
      [&] {
        return std::ranges::none_of(client.claims(), [&](const client::Claim& each) {
          return each.session == client.session() && each.claim == *claim;
        });
      },
      5s);
  return {};
}

Status list_claims(const CommandLine& line) {
  const Result<nlohmann::json> answer = ask(line, "GET", address(line));
  if (!answer) return answer.error();
  const auto claims = answer->find("claims");
  if (claims == answer->end() || !claims->is_array() || claims->empty()) {
    fmt::print("nobody claims anything in {}: terrazzo claim {} --rect X,Y,W,H\n", line.world, line.world);
    return {};
  }
  fmt::print("{:<20} {:>20} {:>6} {:>8}  {}\n", "WHO", "SESSION", "CLAIM", "ENDS IN", "AREA");
  for (const nlohmann::json& claim : *claims) {
    const map::Rect area = area_in(claim);
    if (area.empty()) return Error{ErrorCode::internal, "the server's answer has a claim without an area"};
    const std::size_t layers = claim.contains("layers") ? claim["layers"].size() : 0;
    fmt::print("{:<20} {:>20} {:>6} {:>7}s  {}{}\n", text_of(claim, "name"), text_of(claim, "session"),
               number_in(claim, "claim"), number_in(claim, "ttl_ms") / 1000, area_text(area),
               layers == 0 ? "" : fmt::format(" in {} layers", layers));
  }
  return {};
}

Status break_claim(const CommandLine& line) {
  const Result<nlohmann::json> done =
      ask(line, "DELETE", fmt::format("{}/{}/{}", address(line), line.session, line.claim));
  if (!done) return done.error();
  fmt::print("claim {} of session {} in {} has ended\n", line.claim, line.session, line.world);
  return {};
}

}  // namespace terrazzo::cli
