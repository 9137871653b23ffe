#include <fmt/format.h>

#include <chrono>

#include "cli/commands.h"
#include "cli/server.h"

namespace terrazzo::cli {

Status paint(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> client = enter(line, line.world);
  if (!client) return client.error();
  const Result<map::LayerId> layer = tile_layer(*(*client)->world(), line.layer);
  if (!layer) return layer.error();
  const auto began = std::chrono::steady_clock::now();
  const Result<EditId> edit = (*client)->edit(client::EditDraft().fill(*layer, *line.rect, map::Cell{line.tile}));
  if (!edit) return edit.error();
  if (!(*client)->wait_durable(std::chrono::seconds(30)))
    return Error{ErrorCode::overloaded, "the server did not confirm the edit within 30 s"};
  if (const auto why = (*client)->rejection(*edit)) return *why;
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  fmt::print("{} cells of layer {} are tile {} now, on the server's disk after {:.2f} ms\n", line.rect->area(), *layer,
             line.tile, ms);
  return {};
}

}  // namespace terrazzo::cli
