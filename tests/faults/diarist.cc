#include "diarist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

// Nothing is waited for that long but what never comes.
constexpr auto kPatience = 60s;
constexpr std::size_t kBlocks = 8, kCounter = kBlocks;
constexpr std::int64_t kSide = 6, kPitch = 8, kCorner = 8192;

std::vector<map::Rect> block(int diarist, std::size_t index) {
  const auto square = [](std::int64_t x, std::int64_t y) {
    return map::Rect::of_size(kCorner + x, kCorner + y, kSide, kSide);
  };
  const std::int64_t along = kPitch * (diarist * static_cast<std::int64_t>(kBlocks) + static_cast<std::int64_t>(index));
  if (index == kCounter) return {map::Rect::of_size(kCorner + 16 + diarist, kCorner + 100, 1, 1)};
  switch (index % 4) {
    case 0:
      return {square(along - 272, -280)};
    case 1:
      return {square(-3, along - 272)};
    case 2:
      return {square(along - 272, -3)};
    default:
      return {square(along - 272, -60), square(along + 16, -60), square(along - 272, 40), square(along + 16, 40)};
  }
}

client::ConnectOptions options_for(std::uint16_t port) {
  client::ConnectOptions options;
  options.url = "ws://127.0.0.1:" + std::to_string(port);
  options.reconnect.delay_min_ms = 1;
  options.reconnect.delay_max_ms = 20;
  return options;
}

client::EditDraft noise(std::mt19937& random) {
  constexpr std::int64_t kNoiseSide = 96;
  std::vector<map::Cell> cells(kNoiseSide * kNoiseSide);
  for (map::Cell& cell : cells) cell.bits = 1 + random() % kDiaryTiles;
  const auto x = static_cast<std::int64_t>(random() % (560 - kNoiseSide)), y = static_cast<std::int64_t>(random() % 64);
  client::EditDraft draft;
  draft.set(kDiaryLayer, map::Rect::of_size(kCorner - 280 + x, kCorner + 120 + y, kNoiseSide, kNoiseSide), cells);
  return draft;
}

Error wrong(std::string what) {
  return {ErrorCode::internal, std::move(what)};
}

}  // namespace

Diarist::Diarist(client::Reactor& reactor, int number, std::uint16_t port)
    : number_(number), durable_(kBlocks + 1, 0), newest_(kBlocks + 1, 0) {
  client::ConnectOptions options = options_for(port);
  options.form = number % 2 == 0 ? proto::Form::binary : proto::Form::json;
  options.seed = static_cast<std::uint64_t>(number) + 1;
  client_ = std::make_unique<Client>(reactor, options);
}

Status Diarist::write(std::mt19937& random) {
  const auto draw = random() % 16;
  if (draw == 0) return send(noise(random), newest_.size(), 0);
  if (draw <= 3) {
    const std::uint32_t count = newest_[kCounter];
    const map::Rect cell = block(number_, kCounter)[0];
    client::EditDraft draft;
    draft.require(kDiaryLayer, cell, map::Cell{count}).fill(kDiaryLayer, cell, map::Cell{count + 1});
    return send(draft, kCounter, count + 1);
  }
  const std::size_t index = random() % kBlocks;
  client::EditDraft draft;
  for (const map::Rect& rect : block(number_, index)) draft.fill(kDiaryLayer, rect, map::Cell{next_value_});
  return send(draft, index, next_value_++);
}

Status Diarist::send(const client::EditDraft& draft, std::size_t block, std::uint32_t value) {
  const Result<EditId> id = client_->edit(draft);
  if (!id) return wrong(fmt::format("diarist {}: the library takes no edit: {}", number_, id.error().message));
  waiting_.push_back({*id, block, value});
  ++edits_;
  if (block < newest_.size()) newest_[block] = value;
  return {};
}

Status Diarist::look() {
  for (const Sent& sent : waiting_) {
    if (const std::optional<Error> refusal = client_->rejection(sent.id))
      return wrong(fmt::format("edit {} of diarist {} ({} of block {}) is refused: {}", sent.id.value, number_,
                               sent.value, sent.block, refusal->message));
    if (sent.block < durable_.size() && client_->is_durable(sent.id))
      durable_[sent.block] = std::max(durable_[sent.block], sent.value);
  }
  std::erase_if(waiting_, [&](const Sent& sent) { return client_->is_durable(sent.id); });
  return {};
}

Status Diarist::compare(const Client& reader, const Values& durable, const Values& newest) const {
  for (std::size_t i = 0; i < durable.size(); ++i) {
    std::optional<std::uint32_t> value;
    for (const map::Rect& rect : block(number_, i)) {
      std::vector<map::Cell> cells(static_cast<std::size_t>(rect.area()));
      if (!reader.read_rect(kDiaryLayer, rect, cells, client::View::confirmed))
        return wrong(fmt::format("block {} of diarist {} is not shown", i, number_));
      for (const map::Cell cell : cells)
        if (cell.bits != value.value_or(cell.bits))
          return wrong(fmt::format("block {} of diarist {} is torn: {} and {}", i, number_, *value, cell.bits));
        else
          value = cell.bits;
    }
    if (*value < durable[i] || *value > newest[i])
      return wrong(fmt::format("block {} of diarist {} is {}: {} is durable, {} was sent last", i, number_, *value,
                               durable[i], newest[i]));
  }
  return {};
}

Result<std::unique_ptr<Client>> look_anew(std::uint16_t port) {
  auto client = std::make_unique<Client>(options_for(port));
  if (Status connected = client->connect(); !connected) return connected.error();
  if (Status opened = client->open("w"); !opened) return opened.error();
  if (Status live = client->wait_live(kPatience); !live) return live.error();
  const Result<client::SubscriptionId> view = client->subscribe(kDiaryView);
  if (!view) return view.error();
  if (!client->wait_until([&] { return client->is_ready(*view); }, kPatience))
    return wrong("somebody who looks for the first time is not shown the area");
  return client;
}

std::vector<map::Cell> cells_of(const Client& client, client::View view) {
  std::vector<map::Cell> cells(static_cast<std::size_t>(kDiaryView.area()));
  client.read_rect(kDiaryLayer, kDiaryView, cells, view);
  return cells;
}

}  // namespace terrazzo::integration
