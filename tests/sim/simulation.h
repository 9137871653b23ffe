#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/branch_actor.h"
#include "tests/sim/cast.h"
#include "tests/sim/checks/damage.h"
#include "tests/sim/checks/diary.h"
#include "tests/sim/checks/gaps.h"
#include "tests/sim/checks/once.h"
#include "tests/sim/checks/saved_versions.h"
#include "tests/sim/checks/shard_order.h"
#include "tests/sim/checks/unread.h"
#include "tests/sim/checks/wake_ups.h"
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/gardeners.h"
#include "tests/sim/machine.h"
#include "tests/sim/marks.h"
#include "tests/sim/move_actor.h"
#include "tests/sim/network.h"
#include "tests/sim/options.h"
#include "tests/sim/outcome.h"
#include "tests/sim/playground.h"
#include "tests/sim/scribes.h"
#include "tests/sim/server.h"
#include "tests/sim/truth.h"
#include "tests/sim/verdict.h"
#include "tests/sim/version_actor.h"

namespace terrazzo::sim {

// One run of one seed: a server, clients in two worlds, faults; rounds of activity, each of which ends with everything
// made whole, all at rest, and all claims looked at.
class Simulation final : private ClientObserver {
 public:
  explicit Simulation(const Options& options);
  ~Simulation() override;

  // The seed and everything that was drawn from it.
  std::string description() const;
  Outcome run();

 private:
  struct Actor {
    std::unique_ptr<Client> client;
    std::string world;
    bool inspector = false;           // looks at everything and does nothing
    bool scripted = false;            // somebody else says what it does
    double rate = 1;                  // of what it does, per second
    std::vector<EditId> paints = {};  // the newest, of what nobody counts on
    std::set<EditId> undos = {};
  };
  // Those who have a script, and what they are told of the run.
  class Stage final : public Cast {
   public:
    explicit Stage(Simulation& run) : Cast(run.machine_, run.marks_, run.verdict_, *run.server_), run_(run) {}
    std::uint32_t come(const char* world) override;
    Client* client(std::uint32_t number) override;
    bool active() const override { return run_.active_; }

   private:
    Simulation& run_;
  };

  // ClientObserver
  void heard(std::uint32_t client, std::uint64_t connection, Incarnation incarnation,
             const proto::ServerMessage& message) override;
  void connected(std::uint32_t client, std::uint64_t connection) override;
  void told(std::uint32_t client, const client::Event& event) override;

  void say(std::uint32_t client, const proto::ServerMessage& message) const;
  void create_world(const char* name);
  Actor& add_client(const std::string& world, bool inspector);
  void people_come(const std::string& branch);
  void people_go(const std::string& branch);
  bool without(const char* what) const;
  std::array<HttpActor*, 4> asking() { return {&versions_, &diary_versions_, &branches_, &moves_}; }
  void look_around(Actor& actor);
  void act_later(std::uint32_t client);
  void act(Actor& actor);
  void paint(Actor& actor);
  void copy_or_flood(Actor& actor);
  map::Rect some_place(const map::Rect& in, std::int64_t size_max);
  void paint_twins(Actor& actor);
  void write_register(Actor& actor);
  bool writes_pairs(std::uint32_t client) const { return has_pair(client) && !without("pairs"); }
  void take_back(Actor& actor);
  void act_in_callback(Actor& actor, const client::Event& event);
  void change_views(Actor& actor);
  map::Rect some_cells(std::int64_t size_max);
  map::Cell some_cell();
  // Nothing: nobody kept it, too many wait. Callbacks may have acted meanwhile.
  std::optional<EditId> submit(Actor& actor, const client::EditDraft& draft);
  void submit_painting(Actor& actor, const client::EditDraft& draft);
  void take_undo_marks(const Actor& actor, const client::Event& event);

  void begin_faults();
  // Counts those that found something to strike.
  void later(Fault fault, bool (Simulation::*strike)());
  bool strike_cut();
  bool strike_half_open();
  bool strike_slow_reader();
  void read_again(std::uint32_t client, Network::Link link);
  bool strike_client_crash();
  void replace(std::uint32_t number);
  void replace_failed();
  bool strike_core_stall();
  bool strike_power_loss();
  bool strike_restart();
  bool strike_disk_full();
  bool strike_bit_rot();
  bool strike_clock_jump();
  void server_is_gone();
  int some_cores();
  Actor* some_actor();

  bool advance(std::uint64_t duration_ns);
  void round();
  void heal();
  // What is still under way; empty: nothing.
  std::string unrest();
  void settle();
  void check();
  void take_marks();

  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  const Options options_;
  std::unique_ptr<std::FILE, CloseFile> trace_;
  Machine machine_;
  Random random_;
  // Of what came later than the seeds that tests name: theirs must stay what they were.
  Random later_random_, copy_random_, newest_random_;
  Verdict verdict_;
  Marks marks_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Truth> truth_;
  Diary diary_;
  SavedVersions saved_{diary_, verdict_};
  VersionActor versions_, diary_versions_;
  BranchActor branches_;
  MoveActor moves_;
  ShardOrder order_;
  AppliedOnce once_;
  Gaps gaps_;
  Damage damage_;
  Unread unread_{verdict_};
  WakeUps wake_ups_{verdict_};
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<Scribes> scribes_;
  std::unique_ptr<Gardeners> gardeners_;
  std::map<std::uint32_t, Actor> actors_;
  std::uint32_t last_client_ = 0;
  std::uint32_t twin_value_ = 0;
  std::uint32_t clients_, rounds_, round_seconds_;
  int cores_;
  int worlds_ = 0;  // that are there
  bool has_branches_, has_moves_, has_copies_;
  bool has_undo_, has_claims_, has_callbacks_;
  bool active_ = false;
  std::uint64_t edits_ = 0;
  std::uint64_t active_number_ = 0;
};

}  // namespace terrazzo::sim
