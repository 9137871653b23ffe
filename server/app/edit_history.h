#pragma once

#include "base/error.h"
#include "base/strong_id.h"
#include "server/http/api.h"
#include "server/io/data_directory.h"

namespace terrazzo::app {

// Edits of a world or branch, the newest first, from the log and what was sealed of it. `user`: only this one's. What
// is to be found must be on disk. Of an edit over shards all parts are one entry. Blocks; any thread. internal.
Result<http::HistoryPage> find_edits(const io::DataDirectory& data, WorldId world, const http::HistoryAsk& ask,
                                     std::optional<UserId> user);

}  // namespace terrazzo::app
