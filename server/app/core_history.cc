// What HTTP asks of the edits that were made.
#include <spdlog/spdlog.h>

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
        if (*page) {
          (*page)->complete_since_us = node_.reach.since_us();
          for (http::HistoryEntry& entry : (*page)->entries) entry.name = node_.user_names.name_of(entry.user);
        }
        return [done, page] { done(std::move(*page)); };
      });
  if (!asked) done(WorkerPool::busy());
}

void CoreServices::write_names() {
  const bool asked = node_.workers->submit(self_, [this]() -> WorkerPool::Done {
    if (const Status written = node_.user_names.flush(*node_.data); !written)
      spdlog::warn("names of users are in memory only: {}", written.error().message);
    return {};
  });
  if (!asked) spdlog::warn("names of users are in memory only until the next one comes in");
}

void CoreServices::forget_user(std::string name, Done done) {
  const UserId user = user_number(node_.config.auth == AuthMode::token, name);
  const bool asked = node_.workers->submit(self_, [this, user, done]() -> WorkerPool::Done {
    return [done, forgotten = node_.user_names.forget(*node_.data, user)] { done(forgotten); };
  });
  if (!asked) done(WorkerPool::busy());
}

}  // namespace terrazzo::app
