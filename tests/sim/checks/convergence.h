#pragma once

#include "tests/sim/client.h"
#include "tests/sim/truth.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// Once nothing is under way any more, every cell that a client follows is what the server holds, in both of its views.
void check_convergence(const char* world, Client& client, Truth& truth, Verdict& verdict);

}  // namespace terrazzo::sim
