#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "server/app/config.h"
#include "server/runtime/event_loop.h"
#include "server/runtime/file_queue.h"

namespace terrazzo::app {

// What one core waits on, and what writes its files; the files wake the loop, so they go first.
struct CoreIo {
  std::unique_ptr<runtime::EventLoop> loop;
  std::unique_ptr<runtime::FileQueue> files;
};

// One per core, all of one kind: io_uring or epoll, as the configuration says, or by what is there and works on files of
// the data folder. Says once in the
// log which, and why. An error where io_uring was asked for and is not there: what denied it and what to do.
Result<std::vector<CoreIo>> open_core_io(const Config& config, int cores);

}  // namespace terrazzo::app
