#include "loadtest/crowd.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <variant>

#include "terrazzo/edit_draft.h"

namespace terrazzo::loadtest {
namespace {

using std::chrono::milliseconds;
constexpr std::uint64_t kJoinNs = 60'000'000'000;

std::uint32_t microseconds_since(std::uint64_t then_ns) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>((now_ns() - then_ns) / 1000, UINT32_MAX));
}

}  // namespace

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

void Figures::merge(const Figures& other) {
  sent += other.sent;
  durable += other.durable;
  rejected += other.rejected;
  delivered += other.delivered;
  refused += other.refused;
  reconnects += other.reconnects;
  delivery.merge(other.delivery);
  ack.merge(other.ack);
}

Crowd::Crowd(const Options& options, std::size_t first_client, std::size_t count, SendTimes& times)
    : options_(options), first_(first_client), times_(times), random_(options.seed + first_client) {
  for (std::size_t i = 0; i < count; ++i) {
    client::ConnectOptions connect;
    connect.url = options.server;
    connect.tls.ca_file = options.ca_file;
    connect.token = options.token;
    connect.name = fmt::format("painter {}", first_ + i);
    connect.program = "terrazzo-load/0.1";
    connect.form =
        options.mixed_forms ? ((first_ + i) % 2 == 0 ? proto::Form::binary : proto::Form::json) : options.form;
    connect.seed = options.seed * 1'000'003 + first_ + i + 1;
    clients_.push_back(std::make_unique<client::Client>(reactor_, connect));
    clients_.back()->on_event([this, i](const client::Event& event) { note(i, event); });
  }
}

Crowd::~Crowd() = default;

bool Crowd::run_until(const std::function<bool()>& done, std::uint64_t until_ns) {
  while (!done()) {
    if (now_ns() >= until_ns) return false;
    reactor_.run_once(milliseconds(20));
  }
  return true;
}

Status Crowd::join() {
  for (auto& client : clients_) {
    if (Status connected = client->connect(); !connected) return connected;
    if (Status opened = client->open(options_.world); !opened) return opened;
  }
  const auto all = [&](auto&& predicate) { return std::ranges::all_of(clients_, predicate); };
  const auto live_or_failed = [&] {
    return std::ranges::any_of(clients_, [](const auto& c) { return c->last_error().has_value(); }) ||
           all([](const auto& c) { return c->state() == client::State::live; });
  };
  const std::uint64_t until = now_ns() + kJoinNs;
  if (!run_until(live_or_failed, until))
    return Error{ErrorCode::overloaded, "not every client could connect within a minute"};
  for (auto& client : clients_)
    if (client->last_error()) return *client->last_error();
  const map::World& world = *clients_.front()->world();
  const auto layer = std::ranges::find_if(world.layers, [&](const map::Layer& l) {
    return options_.layer ? l.id == *options_.layer : l.kind == map::LayerKind::tile;
  });
  if (layer == world.layers.end()) return Error{ErrorCode::not_found, "the world has no such tile layer"};
  layer_ = layer->id;
  tile_end_ = world.tile_end();
  for (auto& client : clients_) {
    const Result<client::SubscriptionId> sub = client->subscribe(options_.area, {&layer_, 1});
    if (!sub) return sub.error();
    subscriptions_.push_back(*sub);
  }
  std::size_t ready = 0;
  const auto all_ready = [&] {
    while (ready < clients_.size() && clients_[ready]->is_ready(subscriptions_[ready])) ++ready;
    return ready == clients_.size();
  };
  if (!run_until(all_ready, until))
    return Error{ErrorCode::overloaded, "not every client got the area within a minute"};
  return {};
}

void Crowd::note(std::size_t index, const client::Event& event) {
  if (const auto* changed = std::get_if<client::CellsChanged>(&event)) {
    if (changed->cause != client::CellsChanged::Cause::edit || !painters_) return;
    const auto author = painters_->find(changed->author.value);
    if (author == painters_->end() || author->second == first_ + index) return;
    const std::uint64_t sent = times_.get(author->second, changed->edit);
    if (sent != 0) figures_.delivery.add(microseconds_since(sent));
    ++figures_.delivered;
    live_delivered_.store(figures_.delivered, std::memory_order_relaxed);
  } else if (const auto* durable = std::get_if<client::EditDurable>(&event)) {
    ++figures_.durable;
    if (!options_.applied) figures_.ack.add(microseconds_since(times_.get(first_ + index, durable->edit)));
  } else if (const auto* applied = std::get_if<client::EditApplied>(&event)) {
    if (options_.applied) figures_.ack.add(microseconds_since(times_.get(first_ + index, applied->edit)));
  } else if (std::holds_alternative<client::EditRejected>(event)) {
    ++figures_.rejected;
  } else if (const auto* state = std::get_if<client::StateChanged>(&event)) {
    if (state->state == client::State::waiting && painters_) ++figures_.reconnects;
  }
}

void Crowd::stroke(std::size_t index) {
  const auto pick = [&](std::int64_t from, std::int64_t to) {  // inclusive
    return std::uniform_int_distribution<std::int64_t>(from, to)(random_);
  };
  const auto random_cell = [&] { return map::Cell{static_cast<std::uint32_t>(pick(0, tile_end_ - 1))}; };
  const std::int64_t kind = pick(0, 99);
  // Mostly single cells, as a brush gives; some stamps, fills and replacements.
  const std::int64_t size_max = kind < 60 ? 1 : kind < 85 ? 8 : 24;
  const std::int64_t w = pick(1, std::min(size_max, options_.area.width())),
                     h = pick(1, std::min(size_max, options_.area.height()));
  const map::Rect rect = map::Rect::of_size(pick(options_.area.x0, options_.area.x1 - w),
                                            pick(options_.area.y0, options_.area.y1 - h), w, h);
  client::EditDraft draft;
  if (kind < 85) {
    cells_.resize(rect.area());
    for (map::Cell& cell : cells_) cell = random_cell();
    draft.set(layer_, rect, cells_);
  } else if (kind < 97) {
    draft.fill(layer_, rect, random_cell());
  } else {
    draft.replace(layer_, rect, random_cell(), random_cell());
  }
  const std::uint64_t began = now_ns();
  const Result<EditId> edit =
      clients_[index]->edit(draft, options_.applied ? map::AckMode::applied : map::AckMode::durable);
  if (!edit) {
    ++figures_.refused;
    return;
  }
  times_.put(first_ + index, *edit, began);
  ++figures_.sent;
  live_sent_.store(figures_.sent, std::memory_order_relaxed);
}

void Crowd::paint(std::uint64_t until_ns) {
  const std::size_t painters = options_.painters.value_or(options_.clients);
  const double interval_ns = 1e9 / options_.rate;
  std::vector<double> due;
  for (std::size_t i = 0; i < clients_.size() && first_ + i < painters; ++i)
    due.push_back(static_cast<double>(now_ns()) + std::uniform_real_distribution<double>(0, interval_ns)(random_));
  while (now_ns() < until_ns) {
    const auto now = static_cast<double>(now_ns());
    double next = static_cast<double>(until_ns);
    for (std::size_t i = 0; i < due.size(); ++i) {
      // A late stroke is made late, not left out: the rate is what the server was asked for.
      while (due[i] <= now) {
        stroke(i);
        due[i] += interval_ns;
      }
      next = std::min(next, due[i]);
    }
    const double wait_ms = (next - static_cast<double>(now_ns())) / 1e6;
    reactor_.run_once(milliseconds(static_cast<int>(std::clamp(wait_ms, 0.0, 20.0))));
  }
}

void Crowd::paint_large(const map::Rect& area, int times) {
  constexpr std::int64_t kSide = 96;
  const std::int64_t w = std::min(kSide, area.width()), h = std::min(kSide, area.height());
  for (int i = 0; i < times; ++i) {
    const auto place = [&](std::int64_t from, std::int64_t to) {
      return std::uniform_int_distribution<std::int64_t>(from, to)(random_);
    };
    const map::Rect rect = map::Rect::of_size(place(area.x0, area.x1 - w), place(area.y0, area.y1 - h), w, h);
    cells_.resize(rect.area());
    for (map::Cell& cell : cells_) cell.bits = static_cast<std::uint32_t>(place(0, tile_end_ - 1));
    if (!clients_.front()->edit(client::EditDraft().set(layer_, rect, cells_), map::AckMode::applied))
      ++figures_.refused;
  }
}

void Crowd::begin_storm(bool drop) {
  connections_before_storm_.clear();
  for (const auto& client : clients_) {
    connections_before_storm_.push_back(client->statistics().connections);
    if (drop) client->drop_connection();
  }
}

std::size_t Crowd::seeing_again() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < clients_.size(); ++i)
    count +=
        clients_[i]->statistics().connections > connections_before_storm_[i] && clients_[i]->is_ready(subscriptions_[i])
            ? 1u
            : 0u;
  return count;
}

bool Crowd::settle(std::uint64_t until_ns) {
  return run_until([&] { return std::ranges::all_of(clients_, [](const auto& c) { return c->edits_waiting() == 0; }); },
                   until_ns);
}

}  // namespace terrazzo::loadtest
