#pragma once

#include "bench/store/results.h"

// What is measured of a whole server, over its sockets, on a folder of its own.
namespace terrazzo::bench {

// P4: 256 clients that wait for durable answers: how many of those one sync of the log carries.
void measure_answers_per_sync(Results& results, double seconds);
// P6: named versions of a world of side × side shards, made by POST requests one after another.
void measure_versions_over_http(Results& results, int side);

}  // namespace terrazzo::bench
