#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "map/formats/world_json.h"
#include "tests/sim/checks/atomicity.h"
#include "tests/sim/checks/branches.h"
#include "tests/sim/checks/convergence.h"
#include "tests/sim/checks/pages.h"
#include "tests/sim/checks/queues.h"
#include "tests/sim/http_peer.h"
#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

// By then everything is at rest, or something waits for ever. Both sides of a broken connection give it up within a
// minute, and what was under way on it is tried again, perhaps several times.
constexpr std::uint64_t kRestNs = 400 * kSecond;
constexpr int kCoresMost = 6;
// Own edits that some clients hold at most.
constexpr std::size_t kFewHeld = 12;
// A hundred times what a run takes.
constexpr std::uint64_t kStepsMost = 20'000'000;

std::string where(const Client& client) {
  std::string text = "; it looks at";
  for (const Client::View& view : client.views)
    text += fmt::format(" {},{} to {},{}", view.cells.x0, view.cells.y0, view.cells.x1, view.cells.y1);
  return text;
}

std::string waits_for(std::uint32_t client, const client::HeldEdit& edit) {
  std::string text = fmt::format(
      "client {} waits for its edit {} ({}, {}, {}) to be {}; it is", client, edit.id.value,
      edit.ack == map::AckMode::durable ? "durable" : "applied", edit.sent ? "sent" : "not sent",
      edit.acknowledged ? "acknowledged" : "not acknowledged", edit.durable ? "contained in what it sees" : "durable");
  for (const client::HeldEdit::Part& part : edit.parts)
    text +=
        fmt::format(" {} in shard {},{}{}", part.lsn.value, part.shard.x, part.shard.y, part.shown ? " (shown)" : "");
  return text +
         fmt::format("; it touches {},{} to {},{}", edit.bounds.x0, edit.bounds.y0, edit.bounds.x1, edit.bounds.y1);
}

}  // namespace

Simulation::Simulation(const Options& options)
    : options_(options),
      machine_(options.seed),
      random_(machine_.random.split()),
      later_random_(options.seed ^ 0x5EED0F17A7E5ull),
      copy_random_(options.seed ^ 0xC0B1ED5EED51ull),
      newest_random_(options.seed ^ 0xBED5A7D51A7E5ull),
      versions_(machine_, marks_, machine_.random.split(), kPainting, VersionActor::May::restore, saved_),
      diary_versions_(machine_, marks_, Random(options.seed ^ 0xD1A47ull), kDiary, VersionActor::May::save, saved_),
      branches_(
          machine_, marks_, later_random_.split(), saved_, [this](const std::string& world) { people_come(world); },
          [this](const std::string& world) { people_go(world); }),
      moves_(machine_, marks_, later_random_.split()),
      order_(verdict_),
      once_(verdict_),
      gaps_(verdict_),
      damage_(verdict_) {
  machine_.verbose = options.verbose;
  if (!options.trace.empty()) {
    trace_.reset(std::fopen(options.trace.c_str(), "w"));
    TZ_ASSERT(trace_ != nullptr);
    machine_.schedule.trace(trace_.get());
  }
  machine_.faults.draw(machine_.random.split());
  for (const std::string& name : options.with) machine_.faults.switch_on(name);
  for (const std::string& name : options.without) machine_.faults.switch_off(name);
  clients_ = static_cast<std::uint32_t>(random_.log_between(2, 40));
  rounds_ = 1 + static_cast<std::uint32_t>(random_.below(3));
  round_seconds_ = static_cast<std::uint32_t>(random_.log_between(2, 20));
  cores_ = static_cast<int>(random_.between(1, kCoresMost));
  if (options.clients != 0) clients_ = options.clients;
  if (options.rounds != 0) rounds_ = options.rounds;
  if (options.round_seconds != 0) round_seconds_ = options.round_seconds;
  has_branches_ = later_random_.chance(0.4);
  has_moves_ = later_random_.chance(0.5);
  has_copies_ = copy_random_.chance(0.6) && !without("copies");
  has_undo_ = newest_random_.chance(0.6) && !without("undo");
  has_claims_ = newest_random_.chance(0.5) && !without("claims");
  has_callbacks_ = newest_random_.chance(0.5) && !without("callbacks");
  Machine::running = &machine_;
  disk_ = std::make_unique<Disk>(machine_, options.folder);
  network_ = std::make_unique<Network>(machine_);
  server_ = std::make_unique<Server>(machine_, *disk_, *network_);
  truth_ = std::make_unique<Truth>(*server_);
  saved_.begin(*truth_);
  stage_ = std::make_unique<Stage>(*this);
  scribes_ = std::make_unique<Scribes>(*stage_, newest_random_.split());
  gardeners_ = std::make_unique<Gardeners>(*stage_, newest_random_.split());
  server_->on_failed_start = [this](const std::string& why) { damage_.start_failed(why, machine_.faults); };
}

Simulation::~Simulation() {
  actors_.clear();
  server_.reset();
  network_.reset();
  disk_.reset();
  Machine::running = nullptr;
}

std::string Simulation::description() const {
  const app::Config& config = server_->config();
  return fmt::format(
      "{}: {} clients, {} cores, {} rounds of {} s, {} B until conflation, {} MiB for pages, history {}{}{}{}{}{}{}; "
      "faults:{}",
      options_.command(), clients_, cores_, rounds_, round_seconds_, config.conflate_bytes, config.memory_mib,
      config.history_mib != 0 ? "kept" : "not kept", has_branches_ ? ", branches" : "", has_moves_ ? ", moves" : "",
      has_copies_ ? ", copies" : "", has_undo_ ? ", undo" : "", has_claims_ ? ", claims" : "", has_callbacks_ ? ", callbacks" : "",
      machine_.faults.text());
}

Outcome Simulation::run() {
  server_->start(cores_);
  create_world(kPainting);
  create_world(kDiary);
  while (worlds_ < 2 && !verdict_.failed()) advance(10 * kMillisecond);
  for (const char* world : {kPainting, kDiary}) add_client(world, true);
  for (std::uint32_t i = 0; i < clients_; ++i) add_client(i % 2 == 0 ? kPainting : kDiary, false);
  if (has_undo_) scribes_->come(static_cast<int>(newest_random_.between(1, 3)));
  if (has_claims_) gardeners_->come(static_cast<int>(newest_random_.between(1, 4)));
  for (std::uint32_t i = 0; i < rounds_ && !verdict_.failed(); ++i) round();

  Outcome outcome;
  outcome.ok = !verdict_.failed();
  outcome.claim = verdict_.claim();
  outcome.what = verdict_.what();
  outcome.virtual_ns = machine_.schedule.now();
  outcome.hash = machine_.schedule.hash();
  outcome.steps = machine_.schedule.steps();
  outcome.edits = edits_;
  for (std::size_t i = 0; i < kFaults; ++i) outcome.faults[i] = machine_.faults.counted(static_cast<Fault>(i));
  outcome.marks = marks_.counts();
  return outcome;
}

// True: nothing was found wrong meanwhile.
bool Simulation::advance(std::uint64_t duration_ns) {
  const std::uint64_t until = machine_.schedule.now() + duration_ns;
  machine_.schedule.at(until, [] {});
  while (machine_.schedule.now() < until && !verdict_.failed()) {
    machine_.schedule.step();
    if (machine_.schedule.steps() > kStepsMost)
      verdict_.fail("nothing spins", fmt::format("{} steps in {:.3f} s", machine_.schedule.steps(),
                                                 static_cast<double>(machine_.schedule.now()) * 1e-9));
  }
  return !verdict_.failed();
}

bool Simulation::without(const char* what) const {
  return std::ranges::find(options_.without, what) != options_.without.end();
}

void Simulation::round() {
  active_ = true;
  ++active_number_;
  machine_.faults.begin();
  for (auto& [number, actor] : actors_)
    if (!actor.inspector && !actor.scripted) act_later(number);
  scribes_->begin();
  gardeners_->begin();
  if (!without("versions")) versions_.begin(*network_);
  if (!without("versions") && !without("diary-versions")) diary_versions_.begin(*network_);
  if (has_branches_ && !without("branches")) branches_.begin(*network_);
  if (has_moves_ && !without("moves")) moves_.begin(*network_);
  begin_faults();
  for (std::uint32_t tenth = 0; tenth < round_seconds_ * 10; ++tenth) {
    if (!advance(100 * kMillisecond)) return;
    if (!server_->running()) continue;
    check_queues(*server_, actors_.size(), verdict_);
    for (auto& [number, actor] : actors_) check_held_edits(*actor.client, verdict_);
    wake_ups_.look(*server_, machine_.schedule.now());
    take_marks();
  }
  heal();
  settle();
  if (!verdict_.failed()) check();
}

// ---- resting ----

void Simulation::heal() {
  active_ = false;
  for (HttpActor* const actor : asking()) actor->end();
  machine_.faults.end();
  disk_->set_full(false);
  for (auto& [number, actor] : actors_) {
    network_->hold(actor.client->link(), false);
  }
  // Until the server stands still in one state: going down and starting take their time.
  for (int i = 0; i < 300 && (!server_->running() || server_->changing()); ++i) {
    if (!server_->running()) disk_->mend();
    if (!advance(kSecond)) return;
  }
  if (!server_->running() || server_->changing()) return verdict_.fail("the server comes back", server_->start_error());
  // What has failed once is given up until the next start.
  const bool again = disk_->failed_once() || server_->log_failed() || random_.chance(0.3) || !disk_->rotten().empty();
  const bool unreadable = machine_.faults.counted(Fault::read_fail) != 0 || damage_.any();
  if (unreadable) replace_failed();
  disk_->forget_failures();
  if (!again) return;
  if (random_.chance(0.5)) {
    server_->lose_power(0, [this] { server_is_gone(); });
  } else {
    server_->stop([this] { server_is_gone(); });
  }
  for (int i = 0; i < 300 && (!server_->running() || server_->changing()); ++i)
    if (!advance(kSecond)) return;
  if (!server_->running()) return verdict_.fail("the server comes back", server_->start_error());
  if (unreadable) replace_failed();
}

std::string Simulation::unrest() {
  for (const HttpActor* const actor : asking())
    if (actor->busy()) return "somebody waits for an answer about a version, a branch or a move";
  for (auto& [number, actor] : actors_) {
    Client& client = *actor.client;
    client::SyncMachine& machine = client.machine();
    if (!client.live())
      return fmt::format("client {} is {}: {}", number, client::state_name(machine.state()),
                         machine.last_error() ? machine.last_error()->message : "");
    if (network_->black(client.link()))
      return fmt::format("client {} has not noticed that nothing comes through", number);
    for (const Client::View& view : client.views)
      if (!machine.is_ready(view.id)) return fmt::format("client {} waits for a subscription", number);
    for (const auto& [id, edit] : machine.held().table())
      if (!edit.durable || edit.shown()) return waits_for(number, edit) + where(client);
    if (!machine.undos().empty())
      return fmt::format("client {} waits for its undo {}", number, machine.undos().begin()->first.value);
  }
  if (std::string why = gardeners_->unrest(); !why.empty()) return why;
  if (!network_->quiet()) return "bytes are under way";
  for (const auto& core : server_->assembly().cores) {
    if (!core->at_rest()) return "a core has something to do";
    const app::CoreSnapshot shot = core->snapshot();
    if (shot.stale_shards != 0) return "a slow client is still being made good";
    if (shot.network.outbox_bytes != 0) return "an outbox is not empty";
  }
  const app::Node& node = server_->assembly().node;
  return node.workers->idle() && node.page_workers->idle() ? "" : "workers have jobs";
}

void Simulation::settle() {
  if (verdict_.failed()) return;
  const std::uint64_t until = machine_.schedule.now() + kRestNs;
  std::string why, newest;
  // What is seen at one moment may be between two places.
  int at_rest = 0;
  while (machine_.schedule.now() < until) {
    if (!advance(100 * kMillisecond)) return;
    wake_ups_.look(*server_, machine_.schedule.now());
    newest = unrest();
    at_rest = newest.empty() ? at_rest + 1 : 0;
    if (at_rest == 4) return;
    if (!newest.empty()) why = newest;
  }
  verdict_.fail("everything comes to rest", why);
}

void Simulation::check() {
  for (auto& [number, actor] : actors_) check_convergence(actor.world.c_str(), *actor.client, *truth_, verdict_);
  check_durable_edits(diary_, *truth_, verdict_);
  once_.check(diary_, *truth_);
  check_twins(kPainting, *truth_, verdict_);
  check_twins_of_versions(kPainting, versions_.versions(), *truth_, verdict_);
  for (const auto& [branch, versions] : branches_.branches()) {
    check_twins(branch.c_str(), *truth_, verdict_);
    check_twins_of_versions(branch.c_str(), versions, *truth_, verdict_);
  }
  saved_.check(*server_);
  scribes_->check(*truth_);
  check_dropped(branches_.dropped(), *server_, verdict_);
  gaps_.check();
  check_pages(*server_, verdict_);
  take_marks();
}

// ---- clients ----

void Simulation::create_world(const char* name) {
  HttpPeer::request(machine_, *network_, "POST", "/v1/worlds", formats::world_to_json(playground(name)),
                    [this, name](unsigned status, const std::string& answer) {
                      // Not answered: the server is still starting, or it was made and the word was lost.
                      if (status == 0) return machine_.schedule.after(kSecond, [this, name] { create_world(name); });
                      if (status != 201 && status != 409)
                        verdict_.fail("worlds can be made", fmt::format("{}: {} {}", name, status, answer));
                      ++worlds_;
                    });
}

Simulation::Actor& Simulation::add_client(const std::string& world, bool inspector) {
  const std::uint32_t number = last_client_++;
  Actor& actor = actors_[number];
  const std::size_t held_max =
      number % 4 == 3 && !without("few-held") ? kFewHeld : client::ConnectOptions{}.edits_held_max;
  actor.client =
      std::make_unique<Client>(machine_, *network_, number, world, held_max, static_cast<ClientObserver&>(*this));
  actor.world = world;
  actor.inspector = inspector;
  actor.rate = static_cast<double>(random_.log_between(1, 40));
  actor.client->start();
  if (active_ && !inspector) act_later(number);
  return actor;
}

std::uint32_t Simulation::Stage::come(const char* world) {
  const bool was_active = std::exchange(run_.active_, false);  // it does nothing by itself
  Actor& actor = run_.add_client(world, false);
  run_.active_ = was_active;
  actor.scripted = true;
  return actor.client->number();
}

Client* Simulation::Stage::client(std::uint32_t number) {
  const auto found = run_.actors_.find(number);
  return found == run_.actors_.end() ? nullptr : found->second.client.get();
}

void Simulation::people_come(const std::string& branch) {
  add_client(branch, true);
  for (std::int64_t i = random_.between(1, 3); i > 0; --i) add_client(branch, false);
}

// Not from inside the network, which is about to tell them.
void Simulation::people_go(const std::string& branch) {
  machine_.schedule.after(1, [this, branch] {
    std::erase_if(actors_, [&](const auto& entry) {
      if (entry.second.world != branch) return false;
      gaps_.gone(entry.first);
      return true;
    });
  });
}

// An inspector sees every place where something is claimed of a cell.
void Simulation::look_around(Actor& actor) {
  const auto see = [&](const map::Rect& cells) {
    const auto id = actor.client->machine().subscribe(cells, {});
    TZ_ASSERT(id.ok());
    actor.client->views.push_back({*id, cells});
  };
  see(kFree);
  for (const map::Rect& cells : actor.world == kDiary ? kRegisterAreas : kTwinAreas) see(cells);
  if (has_undo_ && actor.world == kDiary)
    for (const map::Rect& cells : kSlateAreas) see(cells);
}

void Simulation::act_later(std::uint32_t client) {
  const auto found = actors_.find(client);
  if (found == actors_.end()) return;
  const auto delay = static_cast<std::uint64_t>(random_.exponential(found->second.rate) * static_cast<double>(kSecond));
  machine_.schedule.after(delay, [this, client, number = active_number_] {
    if (!active_ || number != active_number_) return;
    const auto there = actors_.find(client);
    if (there == actors_.end()) return;
    act(there->second);
    act_later(client);
  });
}

void Simulation::act(Actor& actor) {
  // Before it has seen its world a client does nothing; with its connection lost it goes on.
  if (actor.client->machine().world() == nullptr) return;
  if (has_undo_ && newest_random_.chance(0.08)) return take_back(actor);
  const auto choice = random_.below(100);
  if (choice < 20 || actor.client->views.empty()) return change_views(actor);
  if (choice < 50) return actor.world == kDiary ? write_register(actor) : paint_twins(actor);
  paint(actor);
}

map::Rect Simulation::some_cells(std::int64_t size_max) {
  const std::int64_t w = random_.between(1, size_max), h = random_.between(1, size_max);
  return map::Rect::of_size(random_.between(kFree.x0, kFree.x1 - w), random_.between(kFree.y0, kFree.y1 - h), w, h);
}

map::Cell Simulation::some_cell() {
  return map::Cell{static_cast<std::uint32_t>(random_.chance(0.7) ? random_.below(5) : 1 + random_.below(kTiles - 1))};
}

std::optional<EditId> Simulation::submit(Actor& actor, const client::EditDraft& draft) {
  const map::AckMode ack = random_.chance(0.7) ? map::AckMode::durable : map::AckMode::applied;
  const Result<EditId> id = actor.client->machine().edit(draft, ack);
  if (!id) return std::nullopt;
  ++edits_;
  damage_.submitted(actor.client->number(), *id, actor.world, draft.ops());
  return *id;
}

void Simulation::submit_painting(Actor& actor, const client::EditDraft& draft) {
  const std::optional<EditId> id = submit(actor, draft);
  if (!id) return;
  constexpr std::size_t kPaintsKept = 8;
  if (actor.paints.size() == kPaintsKept) actor.paints.erase(actor.paints.begin());
  actor.paints.push_back(*id);
}

// The newest edit, or one by its number; in the diary never a register, which only grows.
void Simulation::take_back(Actor& actor) {
  proto::Undo wanted;
  const auto choice = newest_random_.below(10);
  wanted.redo = choice >= 6 && choice < 8;
  if (choice >= 8 || actor.world == kDiary) {
    if (actor.paints.empty()) return;
    wanted.edit = actor.paints[newest_random_.below(actor.paints.size())];
  }
  if (const Result<EditId> id = actor.client->machine().undo(wanted)) actor.undos.insert(*id);
}

// Of what comes of its own edits, so that the ones make no more than as many others.
void Simulation::act_in_callback(Actor& actor, const client::Event& event) {
  const auto* const changed = std::get_if<client::CellsChanged>(&event);
  const bool of_own =
      std::holds_alternative<client::EditApplied>(event) || std::holds_alternative<client::EditDurable>(event) ||
      std::holds_alternative<client::EditRejected>(event) || std::holds_alternative<client::UndoDone>(event) ||
      std::holds_alternative<client::SubscriptionReady>(event) ||
      (changed != nullptr && changed->cause == client::CellsChanged::Cause::own);
  if (!of_own || !newest_random_.chance(0.1) || actor.client->machine().world() == nullptr) return;
  marks_.hit(Mark::act_in_callback);
  const std::size_t undos = actor.undos.size();
  act(actor);
  if (actor.undos.size() != undos) marks_.hit(Mark::undo_in_callback);
}

void Simulation::take_undo_marks(const Actor& actor, const client::Event& event) {
  if (const auto* undone = std::get_if<client::UndoDone>(&event)) {
    if (!actor.scripted && undone->restored != 0) marks_.hit(Mark::painter_undid);
  } else if (const auto* rejected = std::get_if<client::EditRejected>(&event)) {
    if (rejected->error.code == ErrorCode::claimed)
      marks_.hit(actor.undos.contains(rejected->edit) ? Mark::undo_claimed : Mark::edit_claimed);
  }
}

void Simulation::paint(Actor& actor) {
  if (has_copies_ && copy_random_.chance(0.3)) return copy_or_flood(actor);
  client::EditDraft draft;
  const auto ops = random_.chance(0.8) ? 1 : random_.between(2, 5);
  for (std::int64_t i = 0; i < ops; ++i) {
    const map::LayerId layer = kLayers[random_.below(2)];
    const map::Rect cells = some_cells(random_.chance(0.15) ? 190 : 6);
    const auto kind = random_.below(4);
    if (kind == 0) {
      const map::Rect small = some_cells(8);
      std::vector<map::Cell> some(static_cast<std::size_t>(small.area()));
      for (map::Cell& cell : some) cell = some_cell();
      draft.set(layer, small, some);
    } else if (kind == 1) {
      draft.replace(layer, cells, some_cell(), some_cell());
    } else {
      draft.fill(layer, cells, some_cell());
    }
  }
  if (random_.chance(0.1)) draft.require(kLayers[random_.below(2)], some_cells(2), some_cell());
  submit_painting(actor, draft);
}

void Simulation::paint_twins(Actor& actor) {
  const auto group = static_cast<int>(random_.below(kTwinGroups));
  const map::Cell value{++twin_value_ % (kTiles - 1) + 1};
  client::EditDraft draft;
  for (int cell = 0; cell < twins_of(group); ++cell) draft.set(kLayers[0], twin_cell(group, cell), value);
  if (options_.verbose)
    fmt::print("{:.6f} client {} writes {} into twins {}\n", static_cast<double>(machine_.schedule.now()) * 1e-9,
               actor.client->number(), value.bits, group);
  submit_painting(actor, draft);
}

void Simulation::write_register(Actor& actor) {
  const std::uint32_t client = actor.client->number();
  if (client >= kRegisterClientsMax) return paint(actor);
  client::EditDraft draft;
  const map::Cell value{diary_.draw(client)};
  draft.set(kLayers[0], register_cell(client), value);
  if (writes_pairs(client)) draft.set(kLayers[0], pair_cell(client), value);
  if (const auto id = submit(actor, draft)) diary_.wrote(client, *id, value.bits, writes_pairs(client));
}

void Simulation::change_views(Actor& actor) {
  std::vector<Client::View>& views = actor.client->views;
  client::SyncMachine& machine = actor.client->machine();
  const map::Rect cells = some_cells(150);
  const auto choice = random_.below(4);
  if (views.empty() || (choice == 0 && views.size() < 4)) {
    if (const auto id = machine.subscribe(cells, {})) views.push_back({*id, cells});
  } else if (choice < 3) {
    Client::View& view = views[random_.below(views.size())];
    if (machine.move_subscription(view.id, cells)) view.cells = cells;
  } else if (views.size() > 1) {
    machine.unsubscribe(views.back().id);
    views.pop_back();
  }
}

void Simulation::connected(std::uint32_t client, std::uint64_t) {
  order_.connected(client);
  gaps_.connected(client);
  unread_.forget(client);
}

void Simulation::say(std::uint32_t client, const proto::ServerMessage& message) const {
  const auto shard = [](const proto::ShardMark& mark) {
    return fmt::format(" {} of {},{}", mark.lsn.value, mark.shard.x, mark.shard.y);
  };
  std::string text;
  if (const auto* welcome = std::get_if<proto::Welcome>(&message)) {
    text = fmt::format("welcome {} run {}{}", welcome->session.value, welcome->incarnation.value,
                       welcome->resumed ? " resumed" : "");
  } else if (const auto* ack = std::get_if<proto::Ack>(&message)) {
    text = fmt::format("ack of {}{}", ack->edit.value, ack->durable ? " durable" : "");
    for (const proto::ShardMark& mark : ack->shards) text += shard(mark);
  } else if (const auto* reject = std::get_if<proto::Reject>(&message)) {
    text = fmt::format("reject of {}: {}", reject->edit.value, reject->message);
  } else if (const auto* applied = std::get_if<proto::Applied>(&message)) {
    text = fmt::format("applied {} by {}", applied->edit.value, applied->author.value) +
           shard({applied->shard, applied->lsn});
  } else if (const auto* subscribed = std::get_if<proto::Subscribed>(&message)) {
    text = fmt::format("subscribed {}", subscribed->sub);
    for (const proto::ShardMark& mark : subscribed->shards) text += shard(mark);
  } else if (const auto* durable = std::get_if<proto::Durable>(&message)) {
    text = "durable" + shard({durable->shard, durable->lsn});
  } else if (const auto* stale = std::get_if<proto::Stale>(&message)) {
    text = "stale" + shard({stale->shard, stale->lsn});
  } else if (const auto* refreshed = std::get_if<proto::Refreshed>(&message)) {
    text = "refreshed" + shard({refreshed->shard, refreshed->lsn});
  } else if (const auto* error = std::get_if<proto::ErrorMessage>(&message)) {
    text = fmt::format("error {}", error->message);
  } else {
    return;
  }
  fmt::print("{:.6f} client {}: {}\n", static_cast<double>(machine_.schedule.now()) * 1e-9, client, text);
}

void Simulation::heard(std::uint32_t client, std::uint64_t, Incarnation incarnation,
                       const proto::ServerMessage& message) {
  const auto found = actors_.find(client);
  if (found == actors_.end()) return;
  if (options_.verbose) say(client, message);
  order_.heard(client, found->second.world, incarnation, message);
  once_.heard(incarnation, message);
  gaps_.heard(client, message);
  unread_.heard(client, message, found->second.client->message_bytes());
  gardeners_->heard(client, message);
  if (const auto* welcome = std::get_if<proto::Welcome>(&message); welcome != nullptr && welcome->resumed)
    marks_.hit(welcome->incarnation == incarnation ? Mark::session_resumed : Mark::session_over_restart);
  if (std::holds_alternative<proto::Welcome>(message))
    for (const auto& [id, undo] : found->second.client->machine().undos())
      if (undo.ever_sent) marks_.hit(Mark::undo_resent);
  if (std::holds_alternative<proto::Stale>(message)) marks_.hit(Mark::viewer_stale);
  if (std::holds_alternative<proto::Refreshed>(message)) marks_.hit(Mark::viewer_refreshed);
}

void Simulation::told(std::uint32_t client, const client::Event& event) {
  if (const auto* durable = std::get_if<client::EditDurable>(&event)) {
    diary_.told_durable(client, durable->edit);
    marks_.hit(Mark::edit_durable);
  } else if (const auto* rejected = std::get_if<client::EditRejected>(&event)) {
    // An edit of a session that the server does not know any more may have been applied; one over several shards that
    // was decided, and that a shard could not take, is completed when the server starts again.
    const bool unknown = rejected->error.code == ErrorCode::conflict ||
                         rejected->error.message.starts_with("the edit is decided and on disk") ||
                         damage_.is_unknown(client, rejected->edit, rejected->error, *server_);
    if (!unknown) diary_.told_rejected(client, rejected->edit);
    damage_.rejected(client, rejected->edit, rejected->error, *server_, machine_.faults);
    marks_.hit(Mark::edit_rejected);
    if (rejected->error.code == ErrorCode::condition_failed) marks_.hit(Mark::condition_failed);
    if (rejected->error.code == ErrorCode::overloaded) marks_.hit(Mark::refused_overloaded);
    if (rejected->error.code == ErrorCode::read_only) marks_.hit(Mark::refused_read_only);
  } else if (std::holds_alternative<client::WorldChanged>(event)) {
    const auto found = actors_.find(client);
    if (found == actors_.end() || !found->second.inspector || !found->second.client->views.empty()) return;
    // Not from inside the machine.
    machine_.schedule.after(1, [this, client] {
      Actor& actor = actors_.at(client);
      if (actor.client->views.empty()) look_around(actor);
    });
  }
  const auto found = actors_.find(client);
  if (found == actors_.end()) return;
  Actor& actor = found->second;
  take_undo_marks(actor, event);
  if (actor.scripted) {
    scribes_->told(client, event);
    gardeners_->told(client, event);
  } else if (has_callbacks_ && active_ && !actor.inspector) {
    act_in_callback(actor, event);
  }
}

}  // namespace terrazzo::sim
