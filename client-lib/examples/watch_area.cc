// Prints what changes in an area of a world, and who is there, until it is interrupted.
//   watch_area ws://127.0.0.1:8080 demo
#include <cstdio>
#include <variant>

#include "terrazzo/client.h"

using namespace terrazzo;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
  client::ConnectOptions options;
  options.url = argc > 1 ? argv[1] : "ws://127.0.0.1:8080";
  options.name = "watch_area";
  client::Client watcher(options);
  Status status = watcher.connect();
  if (status) status = watcher.open(argc > 2 ? argv[2] : "demo");
  if (status) status = watcher.wait_live(5s);
  if (!status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  const Result<client::SubscriptionId> area = watcher.subscribe(map::Rect::of_size(0, 0, 256, 256));
  if (!area) {
    std::fprintf(stderr, "%s\n", area.error().message.c_str());
    return 1;
  }
  for (;;) {
    watcher.run_once(100ms);
    for (const client::Event& event : watcher.poll()) {
      if (const auto* changed = std::get_if<client::CellsChanged>(&event);
          changed != nullptr && changed->cause == client::CellsChanged::Cause::edit) {
        for (const client::Area& a : changed->areas)
          std::printf("edit %llu: layer %d, %lld,%lld, %lld by %lld cells\n",
                      static_cast<unsigned long long>(changed->lsn.value), a.layer, static_cast<long long>(a.rect.x0),
                      static_cast<long long>(a.rect.y0), static_cast<long long>(a.rect.width()),
                      static_cast<long long>(a.rect.height()));
      } else if (const auto* peer = std::get_if<client::PeerChanged>(&event)) {
        std::printf("%s is here\n", watcher.peer(peer->session)->name.c_str());
      } else if (const auto* state = std::get_if<client::StateChanged>(&event)) {
        std::printf("%.*s\n", static_cast<int>(client::state_name(state->state).size()),
                    client::state_name(state->state).data());
      }
    }
    std::fflush(stdout);
  }
}
