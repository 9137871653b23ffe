#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ranges>

#include "cli/commands.h"
#include "cli/interruption.h"
#include "cli/server.h"
#include "terrazzo/render.h"

namespace terrazzo::cli {
namespace {

using namespace std::chrono_literals;

struct Terminal {
  int columns = 80, rows = 24;
  bool real = false;
};
Terminal terminal() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
    return {size.ws_col, size.ws_row, true};
  return {};
}

// A cell of the map is half a character: two rows of cells in one row of text, by the lower half block in front of the
// upper one's colour.
class Screen {
 public:
  Screen(const client::Client& client, const render::TileArt& art, std::vector<map::LayerId> layers)
      : client_(client), art_(art), layers_(std::move(layers)) {}

  std::string draw(const map::Rect& view) const {
    std::string text;
    for (std::int64_t y = view.y0; y < view.y1; y += 2) {
      std::uint32_t upper_before = ~0u, lower_before = ~0u;
      for (std::int64_t x = view.x0; x < view.x1; ++x) {
        const std::uint32_t upper = color_at(x, y), lower = y + 1 < view.y1 ? color_at(x, y + 1) : 0;
        if (upper != upper_before) text += escape(48, upper);
        if (lower != lower_before) text += escape(38, lower);
        upper_before = upper;
        lower_before = lower;
        text += "▄";
      }
      text += "\033[0m\033[K\n";
    }
    return text;
  }

 private:
  static std::string escape(int plane, std::uint32_t rgb) {
    return fmt::format("\033[{};2;{};{};{}m", plane, rgb >> 16 & 0xFF, rgb >> 8 & 0xFF, rgb & 0xFF);
  }
  // A tile without a picture still has a colour that tells it from others.
  std::uint32_t color_of(map::Cell cell) const {
    const std::uint32_t mean = art_.mean_color(cell.tile());
    return mean != 0 || art_.sprite(cell.tile()).image != nullptr
               ? mean
               : 0xFF000000u | ((cell.tile() * 0x9E3779B1u) >> 8 & 0xFFFFFF);
  }
  std::uint32_t color_at(std::int64_t x, std::int64_t y) const {
    const map::CellPos position{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
    std::uint32_t red = 0, green = 0, blue = 0;
    for (const map::LayerId layer : layers_) {
      const map::Cell cell = client_.read(layer, position).value_or(map::Cell{});
      if (cell.empty()) continue;
      const std::uint32_t color = color_of(cell), alpha = color >> 24, rest = 255 - alpha;
      red = (red * rest + (color >> 16 & 0xFF) * alpha) / 255;
      green = (green * rest + (color >> 8 & 0xFF) * alpha) / 255;
      blue = (blue * rest + (color & 0xFF) * alpha) / 255;
    }
    return red << 16 | green << 8 | blue;
  }

  const client::Client& client_;
  const render::TileArt& art_;
  std::vector<map::LayerId> layers_;
};

std::string people(const client::Client& client) {
  std::string text;
  const auto peers = client.peers();
  for (const client::Peer& peer : peers | std::views::take(6)) {
    text += text.empty() ? "" : ", ";
    text += peer.name;
    if (peer.presence.cursor) text += fmt::format(" at {},{}", peer.presence.cursor->x, peer.presence.cursor->y);
  }
  if (peers.size() > 6) text += fmt::format(" and {} more", peers.size() - 6);
  return text.empty() ? "nobody else here" : "here: " + text;
}

map::Rect fitting(const CommandLine& line, const map::World& world, const Terminal& screen) {
  map::Rect view = line.rect.value_or(map::Rect::of_size(world.area() == map::kPlane ? 0 : world.area().x0,
                                                         world.area() == map::kPlane ? 0 : world.area().y0,
                                                         screen.columns, std::max(2, (screen.rows - 2) * 2)));
  view.x1 = std::min<std::int64_t>(view.x1, view.x0 + screen.columns);
  if (screen.real) view.y1 = std::min<std::int64_t>(view.y1, view.y0 + (screen.rows - 2) * 2);
  return view;
}

}  // namespace

Status watch(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  const map::World world = *client.world();
  const Result<std::vector<map::LayerId>> chosen = chosen_layers(world, line.layer, tile_layers(world));
  if (!chosen) return chosen.error();
  const std::vector<map::LayerId>& layers = *chosen;
  HttpClient http(line.server, line.token, line.ca_file);
  const render::TileArt art =
      render::TileArt::load(world, [&](const map::Asset& asset) { return get_asset(http, line.world, asset.hash); });
  const Terminal screen = terminal();
  const map::Rect view = fitting(line, world, screen);
  if (const Result<client::SubscriptionId> sub = fetch(client, view, layers); !sub) return sub.error();
  client.set_presence({{}, view, {}, "watch"});

  const Screen picture(client, art, layers);
  note_interruptions();
  const auto began = std::chrono::steady_clock::now();
  const bool repaint = screen.real && !line.once;
  if (repaint) fmt::print("\033[?25l\033[2J");
  std::uint64_t edits = 0;
  bool changed = true;
  while (!interrupted()) {
    for (const client::Event& event : client.poll()) {
      changed = true;
      if (const auto* cells = std::get_if<client::CellsChanged>(&event))
        edits += cells->cause == client::CellsChanged::Cause::edit ? 1u : 0u;
    }
    if (changed) {
      changed = false;
      fmt::print("{}{}{} [{},{} {}×{}]  {}  {} edits seen  {}\033[K\n", repaint ? "\033[H" : "", picture.draw(view),
                 world.name, view.x0, view.y0, view.width(), view.height(), client::state_name(client.state()), edits,
                 people(client));
      std::fflush(stdout);
    }
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (line.once || (line.seconds > 0 && elapsed >= line.seconds)) break;
    client.run_once(100ms);
  }
  if (repaint) fmt::print("\033[?25h");
  return {};
}

}  // namespace terrazzo::cli
