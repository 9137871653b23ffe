#pragma once

#include "server/app/config.h"

// What `terrazzo-server` does besides serving, for the person at the terminal. Each returns the exit code.
namespace terrazzo::app {

int inspect(const CommandLine& line);
// 0: everything is proven; 1: something is damaged; 2: it could not be looked at.
int verify(const CommandLine& line);
int dump_wal(const CommandLine& line);
int backup(const CommandLine& line);
int restore(const CommandLine& line);

}  // namespace terrazzo::app
