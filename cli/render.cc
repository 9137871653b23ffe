#include "terrazzo/render.h"

#include <fmt/format.h>

#include <chrono>
#include <vector>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/http_client.h"
#include "cli/picture.h"
#include "cli/remote_cells.h"
#include "cli/server.h"
#include "cli/time_text.h"

namespace terrazzo::cli {
namespace {

// Calls take(piece) for all of them.
template <class Take>
Status fetch_all(const std::vector<Piece>& all, Take&& take) {
  Progress progress("cells", all.size());
  std::uint64_t done = 0;
  for (const Piece& piece : all) {
    if (Status fetched = take(piece); !fetched) return fetched;
    progress.at(++done);
  }
  return {};
}

Status draw(const CommandLine& line, const Drawing& drawing, const render::CellReader& reader) {
  const auto began = std::chrono::steady_clock::now();
  const Result<render::Image> image = render::draw(drawing.world, drawing.art, reader, drawing.view);
  if (!image) return image.error();
  const double drawing_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  if (Status saved = save_picture(line.file, *image); !saved) return saved;
  fmt::print("{}: {}×{} pixels, drawn in {:.1f} ms\n", line.file, image->width, image->height, drawing_ms);
  return {};
}

// As it is, with the subscriptions that watch and edit, too.
Status draw_now(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> client = enter(line, line.world);
  if (!client) return client.error();
  const Result<Drawing> drawing = begin_drawing(line, *(*client)->world());
  if (!drawing) return drawing.error();
  // Subscribes to one after the other, and leaves the cells in the client's cache.
  const Status fetched = fetch_all(pieces_of(*drawing), [&](const Piece& piece) -> Status {
    const Result<client::SubscriptionId> sub = fetch(**client, piece.cells, {&piece.layer, 1});
    if (!sub) return sub.error();
    (*client)->unsubscribe(*sub);
    return {};
  });
  if (!fetched) return fetched;
  return draw(line, *drawing, [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) {
    (*client)->read_rect(layer, rect, out);
  });
}

Status draw_past(const CommandLine& line, const std::string& state) {
  const Result<map::World> world = metadata_of(line, line.world);
  if (!world) return world.error();
  const Result<Drawing> drawing = begin_drawing(line, *world);
  if (!drawing) return drawing.error();
  RemoteCells cells(line, line.world, state);
  const Status fetched =
      fetch_all(pieces_of(*drawing), [&](const Piece& piece) { return cells.fetch(piece.layer, piece.cells); });
  if (!fetched) return fetched;
  return draw(line, *drawing, [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) {
    cells.read(layer, rect, out);
  });
}

}  // namespace

Status render(const CommandLine& line) {
  if (!line.version.empty()) return draw_past(line, "version=" + percent_encode(line.version));
  if (line.at.empty()) return draw_now(line);
  const Result<std::uint64_t> at = parse_time(line.at);
  if (!at) return at.error();
  return draw_past(line, fmt::format("at_ms={}", *at));
}

Status diff_times(const CommandLine& line) {
  const std::uint64_t now = now_ms();
  const Result<std::uint64_t> from = parse_time(line.since, now),
                              to = parse_time(line.until.empty() ? "now" : line.until, now);
  if (!from) return from.error();
  if (!to) return to.error();
  return draw_diff(line, {line.world, fmt::format("at_ms={}", *from)}, {line.world, fmt::format("at_ms={}", *to)});
}

}  // namespace terrazzo::cli
