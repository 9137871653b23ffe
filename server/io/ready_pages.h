#pragma once

#include <cstddef>

#include "server/storage/ready_request.h"

// On a thread that may wait.
namespace terrazzo::io {

// Has the file system do for these pages what their first write would wait for. `base`: where they are mapped, or were
// when this was asked for: should the mapping have moved, nothing is gained, and nothing that lies there now is
// changed. Returns whether the file has disk space for the new ones.
bool make_ready(int fd, std::byte* base, storage::ReadyRequest& request);

}  // namespace terrazzo::io
