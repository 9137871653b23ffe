#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "map/world.h"
#include "terrazzo/client.h"

// People of a test, in a world of a real server. What they wait for is not long in coming unless something is wrong.
namespace terrazzo::integration {

inline constexpr map::LayerId kPaintedLayer = 1;

// Connected and in the world, or a failure of the test; comes back at once after a lost connection. `seed`: of its
// jitter, as in ConnectOptions.
std::unique_ptr<client::Client> enter(std::uint16_t port, const std::string& world = "w",
                                      client::Reactor* reactor = nullptr, proto::Form form = proto::Form::binary,
                                      std::uint64_t seed = 0);
// The cells of a rectangle that the client has subscribed to, row by row, as the server has confirmed them.
std::vector<std::uint32_t> cells_of(client::Client& client, const map::Rect& rect);
// What somebody who has seen nothing yet is told.
std::vector<std::uint32_t> look(std::uint16_t port, const std::string& world, const map::Rect& rect);
// Fills the rectangle, and waits until that is durable.
void paint(std::uint16_t port, const std::string& world, const map::Rect& rect, std::uint32_t tile);

}  // namespace terrazzo::integration
