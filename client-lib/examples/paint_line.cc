// Connects, paints a diagonal line and waits until it is safe on the server's disk.
//   paint_line ws://127.0.0.1:8080 demo
#include <cstdio>
#include <string>

#include "terrazzo/client.h"

using namespace terrazzo;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
  client::ConnectOptions options;
  options.url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080";
  options.name = "paint_line";
  client::Client painter(options);
  Status status = painter.connect();
  if (status) status = painter.open(argc > 2 ? argv[2] : "demo");
  if (status) status = painter.wait_live(5s);
  if (!status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  map::LayerId layer = 0;
  for (const map::Layer& l : painter.world()->layers)
    if (l.kind == map::LayerKind::tile) layer = l.id;  // the topmost tile layer
  client::EditDraft line;
  for (int i = 0; i < 32; ++i) line.set(layer, {100 + i, 100 + i}, map::Cell{1});
  const Result<EditId> edit = painter.edit(line);
  if (!edit) {
    std::fprintf(stderr, "%s\n", edit.error().message.c_str());
    return 1;
  }
  if (!painter.wait_durable(5s) || !painter.is_durable(*edit)) {
    const auto why = painter.rejection(*edit);
    std::fprintf(stderr, "not painted: %s\n", why ? why->message.c_str() : "the server did not answer");
    return 1;
  }
  std::printf("painted 32 cells in \"%s\"; they are on disk\n", painter.world()->name.c_str());
}
