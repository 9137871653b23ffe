#include "tests/sim/move_actor.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/sim/playground.h"

namespace terrazzo::sim {

void MoveActor::act() {
  const nlohmann::json body{{"core", random_.below(6)}};  // perhaps one that is not there
  const std::string target = fmt::format("/v1/worlds/{}/shards/{},{}/move", random_.chance(0.5) ? kPainting : kDiary,
                                         random_.between(-1, 0), random_.between(-1, 0));
  ask("POST", target, body.dump(), [this](unsigned status, const std::string& answer) {
    if (status == 0) return;
    if (status != 200) return marks_.hit(Mark::move_refused);
    const nlohmann::json moved = nlohmann::json::parse(answer);
    if (moved.at("from") != moved.at("core")) marks_.hit(Mark::shard_moved);
  });
}

}  // namespace terrazzo::sim
