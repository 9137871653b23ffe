#include "loadtest/group.h"

#include <algorithm>
#include <limits>
#include <mutex>

namespace terrazzo::loadtest {

Crowds make_group(const Options& options, std::size_t first, std::size_t count, SendTimes& times) {
  Crowds crowds;
  const std::size_t threads = std::min<std::size_t>(options.threads, count);
  for (std::size_t i = 0, made = 0; i < threads; ++i) {
    const std::size_t share = (count - made) / (threads - i);
    crowds.push_back(std::make_unique<Crowd>(options, first + made, share, times));
    made += share;
  }
  return crowds;
}

Status join(const Crowds& crowds) {
  std::mutex mutex;
  Status outcome;
  each(crowds, [&](Crowd& crowd) {
    Status joined = crowd.join();
    const std::lock_guard lock(mutex);
    if (!joined) outcome = std::move(joined);
  });
  return outcome;
}

void introduce(const Crowds& painters, const Crowds& watchers) {
  auto known = std::make_shared<std::unordered_map<std::uint64_t, std::size_t>>();
  for (const auto& crowd : painters)
    for (std::size_t i = 0; i < crowd->clients().size(); ++i)
      known->emplace(crowd->clients()[i]->session().value, crowd->first_client() + i);
  for (const auto& crowd : watchers) crowd->know(known);
}

Attendance::Attendance(const Crowds& crowds) {
  for (const auto& crowd : crowds)
    threads_.emplace_back([this, &crowd = *crowd] {
      crowd.run_until([this] { return stop_.load(); }, std::numeric_limits<std::uint64_t>::max());
    });
}
Attendance::~Attendance() {
  stop_.store(true);
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace terrazzo::loadtest
