#pragma once

#include <functional>

#include "map/edit.h"
#include "server/shard/chunk_states.h"
#include "server/shard/messages.h"
#include "server/shard/store_restore.h"
#include "server/storage/head.h"

// What of a store must be in memory before an edit or a subscription is carried out, so that the core never waits for
// the disk (docs/storage.md). Each touches nothing that is not present, and is asked again when what it named is.
namespace terrazzo::shard {

void look_edit(const storage::Head& store, const map::Edit& edit, storage::Missing& missing);
// `watched`: chunks whose new cells viewers will be sent.
void look_restore(const storage::Head& store, const RestoreFrom& from, const Restore& restore,
                  const std::function<bool(const map::Rect& chunks)>& watched, storage::Missing& missing);
void look_states(const storage::Head& store, const SubscribeRequest& request, const KnownRules& rules,
                 storage::Missing& missing);
void look_cells(const storage::Head& store, const CellsRequest& request, storage::Missing& missing);
void look_changed(const storage::Head& store, const RefreshRequest& request, storage::Missing& missing);

}  // namespace terrazzo::shard
