#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "loadtest/latencies.h"
#include "loadtest/options.h"
#include "terrazzo/client.h"

namespace terrazzo::loadtest {

struct Figures {
  std::uint64_t sent = 0, durable = 0, rejected = 0, delivered = 0, refused = 0, reconnects = 0;
  Latencies delivery;  // from edit() of the author to its sight at another client
  Latencies ack;       // from edit() to durable (applied, where that was asked for)
  void merge(const Figures& other);
};

// When each edit of each painter was sent, for every thread to see: the painter's newest 4096 edits.
class SendTimes {
 public:
  static constexpr std::uint64_t kKept = 4096;
  explicit SendTimes(std::size_t painters) : times_(painters * kKept) {}
  void put(std::size_t painter, EditId edit, std::uint64_t ns) {
    slot(painter, edit).store(ns, std::memory_order_relaxed);
  }
  std::uint64_t get(std::size_t painter, EditId edit) const {
    return times_[painter * kKept + edit.value % kKept].load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t>& slot(std::size_t painter, EditId edit) {
    return times_[painter * kKept + edit.value % kKept];
  }
  std::vector<std::atomic<std::uint64_t>> times_;
};

// The clients of one thread of the program, on one reactor.
class Crowd {
 public:
  Crowd(const Options& options, std::size_t first_client, std::size_t count, SendTimes& times);
  ~Crowd();

  // Connects, opens the world and subscribes. Every client sees the area afterwards.
  Status join();
  // Tells whose edits are whose; by session.
  void know(std::shared_ptr<const std::unordered_map<std::uint64_t, std::size_t>> painters) {
    painters_ = std::move(painters);
  }
  void paint(std::uint64_t until_ns);
  // The first client stamps random cells somewhere in the area, so many times, as large as it and a message allow.
  void paint_large(const map::Rect& area, int times);
  // From here on counts who comes back; with `drop` every connection is lost now, as a failing network would do it.
  void begin_storm(bool drop);
  // Clients that have been connected anew since begin_storm() and see the area.
  std::size_t seeing_again() const;
  // Waits until every edit is answered. False: not within the time.
  bool settle(std::uint64_t until_ns);
  // Lets clients work until the predicate holds.
  bool run_until(const std::function<bool()>& done, std::uint64_t until_ns);

  std::vector<std::unique_ptr<client::Client>>& clients() { return clients_; }
  std::size_t first_client() const { return first_; }
  const Figures& figures() const { return figures_; }
  // What was found since the last time.
  Figures take_figures() { return std::exchange(figures_, {}); }
  std::uint64_t sent() const { return live_sent_.load(std::memory_order_relaxed); }
  std::uint64_t delivered() const { return live_delivered_.load(std::memory_order_relaxed); }
  map::LayerId layer() const { return layer_; }

 private:
  void stroke(std::size_t index);
  void note(std::size_t index, const client::Event& event);

  const Options& options_;
  std::size_t first_;
  SendTimes& times_;
  client::Reactor reactor_;
  std::vector<std::unique_ptr<client::Client>> clients_;
  std::vector<client::SubscriptionId> subscriptions_;
  std::shared_ptr<const std::unordered_map<std::uint64_t, std::size_t>> painters_;
  std::mt19937_64 random_;
  map::LayerId layer_ = 0;
  std::uint32_t tile_end_ = 1;
  std::vector<map::Cell> cells_;  // scratch
  std::vector<std::uint64_t> connections_before_storm_;
  Figures figures_;
  std::atomic<std::uint64_t> live_sent_{0}, live_delivered_{0};  // for the progress line
};

std::uint64_t now_ns();

}  // namespace terrazzo::loadtest
