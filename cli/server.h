#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command_line.h"
#include "cli/http_client.h"
#include "map/world.h"
#include "terrazzo/client.h"

// The steps that commands share.
namespace terrazzo::cli {

// A client that is live in the world of the command line.
Result<std::unique_ptr<client::Client>> enter(const CommandLine& line, const std::string& world);
// The tile layer by name or id; `fallback` decides where none is named: the topmost.
Result<map::LayerId> tile_layer(const map::World& world, const std::string& name);
std::vector<map::LayerId> tile_layers(const map::World& world);
// Only the one that is named, or `otherwise` where none is.
Result<std::vector<map::LayerId>> chosen_layers(const map::World& world, const std::string& name,
                                                std::vector<map::LayerId> otherwise);
// Subscribes, waits until the cells are there, and leaves the subscription in force.
Result<client::SubscriptionId> fetch(client::Client& client, const map::Rect& rect,
                                     std::span<const map::LayerId> layers);
Result<std::string> get_asset(HttpClient& http, const std::string& world, const std::string& hash);

}  // namespace terrazzo::cli
