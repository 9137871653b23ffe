// What goes wrong in a run now and then: the faults that have a rate per second.
#include <algorithm>
#include <utility>

#include "base/branch_world.h"
#include "tests/sim/simulation.h"

namespace terrazzo::sim {
namespace {

// An edit that goes to its viewers on top of others; here nobody makes larger ones.
constexpr std::uint64_t kOneEditBytes = 64 << 10;

}  // namespace

void Simulation::begin_faults() {
  later(Fault::cut, &Simulation::strike_cut);
  later(Fault::half_open, &Simulation::strike_half_open);
  later(Fault::slow_reader, &Simulation::strike_slow_reader);
  later(Fault::client_crash, &Simulation::strike_client_crash);
  later(Fault::core_stall, &Simulation::strike_core_stall);
  later(Fault::power_loss, &Simulation::strike_power_loss);
  later(Fault::restart, &Simulation::strike_restart);
  later(Fault::disk_full, &Simulation::strike_disk_full);
  later(Fault::bit_rot, &Simulation::strike_bit_rot);
  later(Fault::clock_jump, &Simulation::strike_clock_jump);
}

void Simulation::later(Fault fault, bool (Simulation::*strike)()) {
  const double rate = machine_.faults.rate(fault);
  if (rate <= 0) return;
  Random& random = fault == Fault::bit_rot ? later_random_ : random_;
  const auto delay = static_cast<std::uint64_t>(random.exponential(rate) * static_cast<double>(kSecond));
  machine_.schedule.after(delay, [this, fault, strike, number = active_number_] {
    if (!active_ || number != active_number_) return;
    if ((this->*strike)()) machine_.faults.count(fault);
    later(fault, strike);
  });
}

Simulation::Actor* Simulation::some_actor() {
  auto at = actors_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_.below(actors_.size())));
  return &at->second;
}

bool Simulation::strike_cut() {
  return network_->cut(some_actor()->client->link());
}

bool Simulation::strike_half_open() {
  return network_->black_hole(some_actor()->client->link());
}

bool Simulation::strike_slow_reader() {
  Actor* const actor = some_actor();
  const Network::Link link = actor->client->link();
  const bool struck = network_->hold(link, true);
  machine_.schedule.after(random_.log_between(10 * kMillisecond, 20 * kSecond),
                          [this, link, client = actor->client->number()] { read_again(client, link); });
  return struck;
}

void Simulation::read_again(std::uint32_t client, Network::Link link) {
  const auto found = actors_.find(client);
  const bool there = found != actors_.end() && found->second.client->link() == link && link != 0;
  // Where cores or rings are slow, edits may still be on their way to the viewer's queue.
  const bool in_queue = machine_.faults.rate(Fault::core_stall) <= 0 && machine_.faults.rate(Fault::small_rings) <= 0;
  if (there && in_queue && server_->running())
    unread_.reads_again(client, truth_->newest(found->second.world.c_str()),
                        server_->config().conflate_bytes + network_->room_most() + kOneEditBytes);
  network_->hold(link, false);
}

bool Simulation::strike_client_crash() {
  const Actor* const actor = some_actor();
  if (actor->inspector) return false;
  replace(actor->client->number());
  return true;
}

// The client is gone with all it knew, and another one comes.
void Simulation::replace(std::uint32_t number) {
  const Actor& actor = actors_.at(number);
  const std::string world = actor.world;
  const bool inspector = actor.inspector, scripted = actor.scripted;
  actors_.erase(number);
  gaps_.gone(number);
  if (!scripted) {
    add_client(world, inspector);
    return;
  }
  scribes_->gone(number);
  gardeners_->gone(number);
}

// Who is told that what it looks at cannot be read gives up; whoever uses the program starts it again.
void Simulation::replace_failed() {
  std::vector<std::uint32_t> failed;
  for (const auto& [number, actor] : actors_)
    if (actor.client->machine().state() == client::State::failed) failed.push_back(number);
  for (const std::uint32_t number : failed) replace(number);
}

bool Simulation::strike_core_stall() {
  if (!server_->running()) return false;
  const auto core = static_cast<int>(random_.below(static_cast<std::uint64_t>(server_->cores())));
  server_->loop(core).stall(random_.log_between(kMillisecond, 3 * kSecond));
  return true;
}

int Simulation::some_cores() {
  if (!random_.chance(machine_.faults.rate(Fault::core_count))) return cores_;
  const int cores = static_cast<int>(random_.between(1, 6));
  if (cores != cores_) {
    machine_.faults.count(Fault::core_count);
    marks_.hit(Mark::cores_changed);
  }
  return cores_ = cores;
}

void Simulation::server_is_gone() {
  machine_.schedule.after(random_.log_between(kMillisecond, 3 * kSecond), [this] {
    // While it recovers, too.
    if (random_.chance(0.3) && machine_.faults.strikes(Fault::power_loss, random_))
      server_->lose_power(1 + random_.below(60), [this] { server_is_gone(); });
    if (!active_ || later_random_.chance(0.5)) disk_->mend();
    if (active_ && strike_bit_rot()) machine_.faults.count(Fault::bit_rot);
    server_->start(some_cores());
  });
}

bool Simulation::strike_power_loss() {
  if (!server_->running() || server_->changing()) return false;
  const std::uint64_t changes = random_.chance(0.5) ? 0 : random_.below(40);
  server_->lose_power(changes, [this] { server_is_gone(); });
  return true;
}

bool Simulation::strike_restart() {
  if (!server_->running() || server_->changing()) return false;
  server_->stop([this] { server_is_gone(); });
  return true;
}

bool Simulation::strike_disk_full() {
  disk_->set_full(true);
  machine_.schedule.after(random_.log_between(10 * kMillisecond, 5 * kSecond), [this] { disk_->set_full(false); });
  return true;
}

// In any page that the server would have to read from the disk before it sees it, of any shard's file. It is the disk
// that lies here, and the operator has a copy of it: mend() gives back every page, so nothing at all may be lost, and
// the checkers claim what they always do. Had the operator to do without a copy, what lies in the page would be gone,
// and which cells, versions and undo points that is, only a second implementation of the store could tell.
bool Simulation::strike_bit_rot() {
  if (machine_.faults.rate(Fault::bit_rot) <= 0) return false;
  const std::vector<std::string> files = disk_->files(".shard");
  if (files.empty()) return false;
  const std::string& path = files[later_random_.below(files.size())];
  app::ShardSlot* open = nullptr;
  if (server_->running()) {
    const app::Node& node = server_->assembly().node;
    // What a worker has just read is in memory, and its core does not know yet.
    if (!node.workers->idle() || !node.page_workers->idle()) return false;
    for (const auto& core : server_->assembly().cores)
      core->shards().for_each([&](app::ShardSlot& slot) {
        const shard::ShardKey& key = slot.shard->key();
        if (node.data->shard_path(main_world(key.world), key.position.x, key.position.y) == path) open = &slot;
      });
  }
  const auto is_cold = [&](std::uint64_t page) {
    if (open == nullptr) return true;
    if (open->file == nullptr || page >= open->file->page_count()) return false;
    return open->page_jobs == 0 && !open->shard->residency()->is_present(static_cast<storage::PageNo>(page));
  };
  std::vector<std::uint64_t> pages;
  for (std::uint64_t page = 0; page < disk_->pages(path); ++page)
    if (is_cold(page) && disk_->is_clean(path, page)) pages.push_back(page);
  if (pages.empty()) return false;
  damage_.rotted(path);
  disk_->rot(path, pages[later_random_.below(pages.size())], later_random_.below(storage::kPageBytes * 8));
  return true;
}

bool Simulation::strike_clock_jump() {
  machine_.wall_offset_ns += random_.between(-3600, 3600) * static_cast<std::int64_t>(kSecond);
  return true;
}

void Simulation::take_marks() {
  if (!server_->running()) return;
  for (const auto& core : server_->assembly().cores) {
    const app::CoreSnapshot shot = core->snapshot();
    if (shot.shard.duplicates != 0) marks_.hit(Mark::duplicate_dropped);
    if (shot.network.overloads != 0) marks_.hit(Mark::client_overloaded);
    if (shot.checkpoints != 0) marks_.hit(Mark::checkpoint_done);
    if (shot.log.failures != 0) marks_.hit(Mark::log_failed);
    if (shot.log.bytes > 1 << 20) marks_.hit(Mark::log_segment_filled);
    if (shot.residency.brought_pages != 0) marks_.hit(Mark::pages_brought);
    if (shot.residency.released_pages != 0) marks_.hit(Mark::pages_released);
    if (shot.claim_counters.renewed != 0) marks_.hit(Mark::claim_renewed);
    if (shot.claim_counters.left != 0) marks_.hit(Mark::claim_left);
    if (shot.claim_counters.expired != 0) marks_.hit(Mark::claim_expired);
  }
  for (int from = 0; from < server_->cores(); ++from)
    if (server_->assembly().node.mesh->has_backlog(from)) marks_.hit(Mark::mesh_backlog);
  const ServerCounters& counters = server_->counters();
  if (counters.replayed != 0) marks_.hit(Mark::log_replayed);
  if (counters.rolled_forward != 0) marks_.hit(Mark::parts_rolled_forward);
  if (counters.failed_starts != 0) marks_.hit(Mark::start_failed);
  if (counters.power_losses_at_start != 0) marks_.hit(Mark::power_lost_at_start);
  for (const auto& [number, actor] : actors_)
    if (actor.client->machine().edits_resent() != 0) marks_.hit(Mark::edits_resent);
}

}  // namespace terrazzo::sim
