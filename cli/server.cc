#include "cli/server.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <ranges>

namespace terrazzo::cli {
namespace {

using namespace std::chrono_literals;

}  // namespace

Result<std::unique_ptr<client::Client>> enter(const CommandLine& line, const std::string& world) {
  client::ConnectOptions options;
  options.url = line.server;
  options.tls.ca_file = line.ca_file;
  while (options.url.ends_with('/')) options.url.pop_back();
  options.token = line.token;
  options.name = line.name;
  options.program = "terrazzo-cli/0.1";
  options.reconnect.enabled =
      line.command == "watch" || line.command == "import" || (line.command == "chat" && line.text.empty());
  // A picture is drawn when all of its cells are here: none may go again, however many there are.
  if (line.command == "render") options.cache_bytes_max = std::numeric_limits<std::size_t>::max();
  auto client = std::make_unique<client::Client>(options);
  if (Status connected = client->connect(); !connected) return connected.error();
  if (Status opened = client->open(world); !opened) return opened.error();
  if (Status live = client->wait_live(10s); !live) {
    const bool away = live.error().code == ErrorCode::overloaded;
    return Error{live.error().code,
                 away ? line.server + ": " + live.error().message + ": is the server running? `./dev run` starts one"
                      : live.error().message};
  }
  return client;
}

std::vector<map::LayerId> tile_layers(const map::World& world) {
  std::vector<map::LayerId> layers;
  for (const map::Layer& layer : world.layers)
    if (layer.kind == map::LayerKind::tile) layers.push_back(layer.id);
  return layers;
}

Result<map::LayerId> tile_layer(const map::World& world, const std::string& name) {
  std::string known;
  for (const map::Layer& layer : world.layers | std::views::reverse) {
    if (layer.kind != map::LayerKind::tile) continue;
    if (name.empty() || layer.name == name || std::to_string(layer.id) == name) return layer.id;
    known = "\"" + layer.name + "\" (" + std::to_string(layer.id) + ")" + (known.empty() ? "" : ", ") + known;
  }
  return Error{ErrorCode::not_found,
               "there is no tile layer \"" + name + "\"; there are: " + (known.empty() ? "none" : known)};
}

Result<std::vector<map::LayerId>> chosen_layers(const map::World& world, const std::string& name,
                                                std::vector<map::LayerId> otherwise) {
  if (name.empty()) return otherwise;
  const Result<map::LayerId> one = tile_layer(world, name);
  return one ? Result<std::vector<map::LayerId>>(std::vector{*one}) : one.error();
}

Result<client::SubscriptionId> fetch(client::Client& client, const map::Rect& rect,
                                     std::span<const map::LayerId> layers) {
  const Result<client::SubscriptionId> sub = client.subscribe(rect, layers);
  if (!sub) return sub.error();
  if (!client.wait_until([&] { return client.is_ready(*sub) || client.state() == client::State::failed; }, 60s) ||
      !client.is_ready(*sub))
    return client.last_error() ? *client.last_error()
                               : Error{ErrorCode::overloaded, "the server did not send the cells within a minute"};
  return *sub;
}

Result<std::string> get_asset(HttpClient& http, const std::string& world, const std::string& hash) {
  return http.request("GET", "/v1/worlds/" + percent_encode(world) + "/assets/" + hash);
}

}  // namespace terrazzo::cli
