#include "tests/sim/gardeners.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

// The word that a claim is over goes by its desk; that somebody has painted there since comes straight from the shard.
// Cores that stand still are between the two, and clients that read slowly.
constexpr std::uint64_t kWordsTakeNs = 60 * kSecond;

}  // namespace

void Gardeners::come(int gardeners) {
  for (int i = 0; i < gardeners; ++i) {
    Gardener gardener;
    gardener.client = cast_.come(kPainting);
    gardener.rate = static_cast<double>(random_.log_between(1, 10));
    gardeners_.push_back(std::move(gardener));
  }
}

Gardeners::Gardener* Gardeners::find(std::uint32_t client) {
  const auto found = std::ranges::find(gardeners_, client, &Gardener::client);
  return found == gardeners_.end() ? nullptr : &*found;
}

bool Gardeners::plays(std::uint32_t client) const {
  return std::ranges::find(gardeners_, client, &Gardener::client) != gardeners_.end();
}

void Gardeners::begin() {
  ++turn_;
  for (std::size_t i = 0; i < gardeners_.size(); ++i) later(i);
}

void Gardeners::later(std::size_t gardener) {
  const auto delay = static_cast<std::uint64_t>(random_.exponential(gardeners_[gardener].rate) * double{kSecond});
  cast_.machine.schedule.after(delay, [this, gardener, turn = turn_] {
    if (turn != turn_ || !cast_.active()) return;
    act(gardeners_[gardener]);
    later(gardener);
  });
}

// ---- what they do ----

void Gardeners::act(Gardener& gardener) {
  Client* const client = cast_.client(gardener.client);
  if (client == nullptr || client->machine().world() == nullptr) return;
  if (!gardener.claim) return choose_bed(gardener, *client);
  if (!gardener.tenure || gardener.suspicious) return;
  if (random_.chance(0.9)) return tend(gardener, *client);
  client->machine().release(*gardener.claim);
  gardener.claim.reset();
  end_tenure(gardener);
  cast_.mark(Mark::claim_released);
}

void Gardeners::choose_bed(Gardener& gardener, Client& client) {
  const std::int64_t w = random_.between(1, 12), h = random_.between(1, 12);
  gardener.bed = map::Rect::of_size(random_.between(-48, 48 - w), random_.between(-48, 48 - h), w, h);
  if (client.views.empty()) {
    if (const auto view = client.machine().subscribe(gardener.bed, {})) client.views.push_back({*view, gardener.bed});
  } else if (client.machine().move_subscription(client.views[0].id, gardener.bed)) {
    client.views[0].cells = gardener.bed;
  }
  const auto ttl = std::chrono::milliseconds(random_.log_between(2000, 20000));
  if (const Result<ClaimId> claim = client.machine().claim(gardener.bed, {}, ttl)) gardener.claim = *claim;
}

void Gardeners::tend(Gardener& gardener, Client& client) {
  client::EditDraft draft;
  const map::Cell cell{static_cast<std::uint32_t>(1 + random_.below(kTiles - 1))};
  draft.fill(kLayers[random_.below(2)], gardener.bed, cell);
  if (const Result<EditId> id = client.machine().edit(std::move(draft), map::AckMode::applied))
    gardener.tenure->tended(*id);
}

// ---- what comes of it ----

void Gardeners::told(std::uint32_t client, const client::Event& event) {
  Gardener* const gardener = find(client);
  if (gardener == nullptr) return;
  const auto is_mine = [&](ClaimId claim) { return gardener->claim && *gardener->claim == claim; };
  if (const auto* held = std::get_if<client::ClaimHeld>(&event); held != nullptr && is_mine(held->claim)) {
    end_tenure(*gardener);
    gardener->tenure.emplace(cast_.client(client)->machine().session(), held->claim, gardener->bed);
    cast_.mark(Mark::claim_held);
  } else if (const auto* ended = std::get_if<client::ClaimEnded>(&event); ended != nullptr && is_mine(ended->claim)) {
    gardener->claim.reset();
    end_tenure(*gardener);
  } else if (const auto* no = std::get_if<client::ClaimRejected>(&event); no != nullptr && is_mine(no->claim)) {
    if (no->error.code == ErrorCode::claimed) cast_.mark(Mark::claim_conflict);
    gardener->claim.reset();
    end_tenure(*gardener);
  } else if (const auto* state = std::get_if<client::StateChanged>(&event)) {
    if (state->state != client::State::live) end_tenure(*gardener);
  }
}

void Gardeners::end_tenure(Gardener& gardener) {
  ++gardener.tenures;
  gardener.tenure.reset();
  gardener.suspicious = false;
}

void Gardeners::heard(std::uint32_t client, const proto::ServerMessage& message) {
  const auto* const applied = std::get_if<proto::Applied>(&message);
  Gardener* const gardener = applied == nullptr ? nullptr : find(client);
  if (gardener == nullptr || !gardener->tenure) return;
  const auto trespass = gardener->tenure->heard(*applied);
  if (trespass && !gardener->suspicious) suspect(static_cast<std::size_t>(gardener - gardeners_.data()), *trespass);
}

// Until it is known the claim is not let go.
void Gardeners::suspect(std::size_t gardener, const Tenure::Trespass& trespass) {
  gardeners_[gardener].suspicious = true;
  cast_.machine.schedule.after(kWordsTakeNs, [this, gardener, trespass, tenures = gardeners_[gardener].tenures] {
    const Gardener& holder = gardeners_[gardener];
    if (holder.tenures != tenures) return;
    cast_.verdict.fail(
        "nobody else edits inside a claim",
        fmt::format("client {} holds {},{} to {},{}, and edit {} of session {} got inside: {} of shard {},{}",
                    holder.client, holder.bed.x0, holder.bed.y0, holder.bed.x1, holder.bed.y1, trespass.edit.value,
                    trespass.by.value, trespass.mark.lsn.value, trespass.mark.shard.x, trespass.mark.shard.y));
  });
}

void Gardeners::gone(std::uint32_t client) {
  Gardener* const gardener = find(client);
  if (gardener == nullptr) return;
  gardener->claim.reset();
  end_tenure(*gardener);
  gardener->client = cast_.come(kPainting);
}

std::string Gardeners::unrest() const {
  std::uint64_t held = 0, standing = 0;
  for (const Gardener& gardener : gardeners_) {
    if (gardener.suspicious) return "a gardener has seen somebody in its bed";
    const Client* const client = cast_.client(gardener.client);
    if (!gardener.claim || client == nullptr) continue;
    if (!gardener.tenure) return fmt::format("gardener {} waits for its claim", gardener.client);
    ++held;
  }
  for (const auto& core : cast_.server.assembly().cores) standing += core->snapshot().claims;
  if (standing == held) return "";
  return fmt::format("there are {} claims, and {} of people who are there: others are let go after a while", standing,
                     held);
}

}  // namespace terrazzo::sim
