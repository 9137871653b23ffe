#include "loadtest/verify.h"

#include <fmt/format.h>

#include <chrono>

namespace terrazzo::loadtest {
namespace {

constexpr std::uint64_t kCatchUpNs = 30'000'000'000;

struct Reference {
  std::vector<map::Cell> cells;
  std::vector<std::pair<map::ChunkPos, Lsn>> revisions;
};

Result<Reference> take_reference(const Options& options, map::LayerId layer) {
  client::ConnectOptions connect;
  connect.url = options.server;
  connect.tls.ca_file = options.ca_file;
  connect.token = options.token;
  connect.name = "verifier";
  client::Client fresh(connect);
  if (Status connected = fresh.connect(); !connected) return connected.error();
  if (Status opened = fresh.open(options.world); !opened) return opened.error();
  if (Status live = fresh.wait_live(std::chrono::seconds(30)); !live) return live.error();
  const Result<client::SubscriptionId> sub = fresh.subscribe(options.area, {&layer, 1});
  if (!sub) return sub.error();
  if (!fresh.wait_until([&] { return fresh.is_ready(*sub); }, std::chrono::seconds(30)))
    return Error{ErrorCode::overloaded, "the server did not send the area within 30 s"};
  Reference reference;
  reference.cells.resize(options.area.area());
  fresh.read_rect(layer, options.area, reference.cells, client::View::confirmed);
  const map::Rect chunks = map::chunks_of(options.area);
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x) {
      const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
      if (const auto revision = fresh.revision(layer, chunk)) reference.revisions.emplace_back(chunk, *revision);
    }
  return reference;
}

bool as_new(const client::Client& replica, map::LayerId layer, const Reference& reference) {
  for (const auto& [chunk, revision] : reference.revisions)
    if (replica.revision(layer, chunk).value_or(Lsn{}) < revision) return false;
  return true;
}

void compare(const Options& options, const Reference& reference, std::size_t number, const client::Client& replica,
             map::LayerId layer, client::View view, Verification& result) {
  std::vector<map::Cell> cells(reference.cells.size());
  replica.read_rect(layer, options.area, cells, view);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    ++result.cells;
    if (cells[i] == reference.cells[i]) continue;
    ++result.different;
    if (!result.first_difference.empty()) continue;
    const auto width = static_cast<std::size_t>(options.area.width());
    result.first_difference =
        fmt::format("client {} ({} view) has {} at {},{} where the server has {}", number,
                    view == client::View::confirmed ? "confirmed" : "optimistic", cells[i].bits,
                    options.area.x0 + static_cast<std::int64_t>(i % width),
                    options.area.y0 + static_cast<std::int64_t>(i / width), reference.cells[i].bits);
  }
}

}  // namespace

Result<Verification> verify(const Options& options, std::vector<std::unique_ptr<Crowd>>& crowds) {
  const map::LayerId layer = crowds.front()->layer();
  const Result<Reference> reference = take_reference(options, layer);
  if (!reference) return reference.error();
  Verification result;
  for (auto& crowd : crowds) {
    std::size_t caught_up = 0;
    const auto all_new = [&] {
      while (caught_up < crowd->clients().size() && as_new(*crowd->clients()[caught_up], layer, *reference))
        ++caught_up;
      return caught_up == crowd->clients().size();
    };
    // Those that never catch up are compared as they are, and differ.
    (void)crowd->run_until(all_new, now_ns() + kCatchUpNs);
    for (std::size_t i = 0; i < crowd->clients().size(); ++i) {
      ++result.replicas;
      for (const client::View view : {client::View::confirmed, client::View::optimistic})
        compare(options, *reference, crowd->first_client() + i, *crowd->clients()[i], layer, view, result);
    }
  }
  return result;
}

}  // namespace terrazzo::loadtest
