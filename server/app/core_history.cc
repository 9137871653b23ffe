// What HTTP asks of the edits that were made.
#include "server/app/core_services.h"
#include "server/app/edit_history.h"

namespace terrazzo::app {

void CoreServices::history(WorldId world, http::HistoryAsk ask, HistoryDone done) {
  // Who proves nothing is whom he says he is, and may be asked for under that name only.
  const std::optional<UserId> user =
      ask.user ? std::optional(user_number(node_.config.auth == AuthMode::token, *ask.user)) : std::nullopt;
  const bool asked =
      node_.workers->submit(self_, [this, world, ask = std::move(ask), user, done]() -> WorkerPool::Done {
        auto page = std::make_shared<Result<http::HistoryPage>>(find_edits(*node_.data, world, ask, user));
        if (*page)
          for (http::HistoryEntry& entry : (*page)->entries) entry.name = node_.user_names.name_of(entry.user);
        return [done, page] { done(std::move(*page)); };
      });
  if (!asked) done(WorkerPool::busy());
}

}  // namespace terrazzo::app
