#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "proto/codec.h"
#include "server/app/backup_job.h"
#include "server/app/balancer.h"
#include "server/app/checkpoint_driver.h"
#include "server/app/core_io.h"
#include "server/app/history_keeper.h"
#include "server/app/load_meter.h"
#include "server/app/log_driver.h"
#include "server/app/memory_budget.h"
#include "server/app/merge_job.h"
#include "server/app/mesh_kinds.h"
#include "server/app/metrics_page.h"
#include "server/app/node.h"
#include "server/app/page_bringer.h"
#include "server/app/page_preparer.h"
#include "server/app/past_look.h"
#include "server/app/presence_frames.h"
#include "server/app/revert_plan.h"
#include "server/app/shard_lobby.h"
#include "server/app/shard_mover.h"
#include "server/app/shard_table.h"
#include "server/app/swap_edit.h"
#include "server/app/undo_desk.h"
#include "server/http/answers.h"
#include "server/http/api.h"
#include "server/net/network.h"
#include "server/session/home.h"
#include "server/shard/claim_desk.h"
#include "server/shard/coordinator.h"
#include "server/shard/derivation_desk.h"
#include "server/shard/shard_output.h"

namespace terrazzo::app {

session::SessionLimits session_limits(const Config& config);
net::NetworkLimits network_limits(const Config& config);
shard::ClaimLimits claim_limits(const Config& config);

// One core: its connections, sessions, shards and log, and the tick that moves effects between them. Wiring without
// rules of its own. Constructed before the thread, run() on it; nothing else touches it.
// What records of the log call a user; `proven`: by a token.
UserId user_number(bool proven, std::string_view name);

class CoreServices final : private net::NetworkEvents,
                           private shard::ShardOutput,
                           private shard::ClaimOutput,
                           private session::SessionOutput,
                           private session::SessionDirectory,
                           private ShardLobbyOutput,
                           private VersionDeskOutput,
                           private BackupJobOutput,
                           private MergeJobOutput,
                           private ShardMoverOutput,
                           private UndoDeskOutput,
                           private shard::DerivationOutput,
                           private http::ApiServices {
 public:
  CoreServices(Node& node, shard::CoreId self, CoreIo io, int listen_fd);
  ~CoreServices() override;

  ShardTable& shards() { return shards_; }
  // Until the node drains and everything is on disk.
  void run();
  // Nothing that was taken on waits for another core, for the disk or for workers.
  bool at_rest() const { return nothing_waits() && parked_.empty() && waiting_.empty(); }
  // For metrics, and for whoever runs cores in one thread and looks at their bounds.
  CoreSnapshot snapshot() const;

 private:
  void tick();
  void count_tick(std::uint64_t now_ns);
  std::uint64_t wait_ns(std::uint64_t now_ns) const;
  void deliver(const runtime::MeshMessage& message);
  void deliver_local();
  // Shards whose files were found cut off since the last look take no more edits.
  void find_faulted_shards();
  // For readers on the same host.
  void publish_roots(std::uint64_t now_ns);
  void deliver_outcome(const shard::EditOutcome& outcome);
  void deliver_part_outcome(const runtime::MeshMessage& message);
  void post(shard::CoreId to, const runtime::MeshMessage& message);
  void on_log_durable();
  void forget_log();
  void start_draining();
  void use_newest_certificate();
  bool drained();
  bool nothing_waits() const;
  void last_checkpoints();

  void edit_shard(ShardSlot& slot, std::unique_ptr<shard::EditRequest> request);
  // Whether the part of a decided edit waits behind another one of its shard.
  bool parked_behind(const shard::EditRequest& request) const;
  void try_parked(std::uint64_t now_ns);
  // Errors go to whoever asked.
  void refuse_edit(const shard::EditRequest& request, const Error& why);
  void take_coordinated(std::unique_ptr<shard::CoordinatedRequest> request);
  void refuse_whole(const shard::CoordinatedRequest& request);
  void refuse_subscription(const shard::SubscribeRequest& request, const Error& why);
  void refuse_refresh(const shard::RefreshRequest& request, const Error& why);
  shard::Coordinator& coordinator(WorldId world);

  // ShardLobbyOutput
  void run(ShardSlot& slot, const runtime::MeshMessage& message) override;
  void refuse(const runtime::MeshMessage& message, const Error& why) override;

  // net::NetworkEvents
  void on_open(net::ConnectionId connection, proto::Form form) override;
  void on_message(net::ConnectionId connection, std::span<const std::byte> payload) override;
  void on_close(net::ConnectionId connection) override;
  void on_room(net::ConnectionId connection) override;
  std::optional<net::HttpResponse> refuse_body(const net::HttpRequest& request) override;
  void on_http(net::ConnectionId connection, const net::HttpRequest& request) override;

  // shard::ShardOutput
  std::uint64_t log(const storage::Record& record) override;
  std::optional<Error> busy() const override;
  void publish(shard::CoreMask cores, shard::SharedPublication publication) override;
  void reply(std::unique_ptr<shard::StatesReply> reply) override;
  void outcome(shard::EditOutcome outcome) override;
  void durable(shard::CoreMask cores, const shard::DurableMark& mark) override;
  void forward(std::unique_ptr<shard::EditRequest> part) override;

  // session::SessionOutput
  void send(session::Connection connection, const proto::ServerMessage& message) override;
  bool is_behind() const override { return mesh_behind_; }
  void send_frame(std::span<const session::Connection> connections, const SharedBytes& frame) override;
  void send_edit(std::span<const session::Connection> connections, const SharedBytes& frame,
                 std::vector<session::Connection>& refused) override;
  void send_to_many(proto::Form form, std::span<const session::Connection> connections,
                    const proto::ServerMessage& message, std::vector<session::Connection>& refused) override;
  void send_presence(proto::Form form, std::span<const session::Connection> connections,
                     const session::SharedNote& note, session::PresenceIsFor is_for,
                     std::vector<session::Connection>* refused) override;
  void tell_room(session::Connection connection) override;
  void close(session::Connection connection, std::uint16_t code, std::string_view reason) override;
  void edit(std::unique_ptr<shard::EditRequest> request) override;
  void coordinate(std::unique_ptr<shard::CoordinatedRequest> request) override;
  void undo(std::unique_ptr<shard::UndoRequest> request) override;
  void subscribe(std::unique_ptr<shard::SubscribeRequest> request) override;
  void refresh(std::unique_ptr<shard::RefreshRequest> request) override;
  void interest_off(std::unique_ptr<shard::InterestOff> off) override;
  void presence(const session::SharedNote& note) override;
  void ask_presence(const session::PresenceAsk& ask) override;
  void presence_to(const shard::Origin& newcomer, const session::SharedNote& note) override;
  void chat(const session::SharedChat& note) override;
  void claim(std::unique_ptr<shard::ClaimRequest> request) override;
  // What the four before make a core do (core_company.cc).
  void deliver_company(const runtime::MeshMessage& message);
  void speaks_for(SessionId session, session::Connection connection) override;
  void silent(SessionId session, session::Connection connection) override;

  // session::SessionDirectory
  Result<session::Identity> authenticate(std::string_view token) override;
  std::shared_ptr<const map::World> find_world(std::string_view name_or_id) override;
  std::string world_json(const map::World& world) override;
  SessionId new_session() override;
  std::string resume_token(SessionId session) override;
  Result<SessionId> session_of(std::string_view resume_token) override;
  Incarnation incarnation() const override;
  UserId user_id(const session::Identity& identity, std::string_view name) override;
  std::uint64_t time_us() override;

  // VersionDeskOutput, and what its messages make this core do
  void hold(WorldId world) override;
  void cut(WorldId world, std::uint64_t version) override;
  void drop(WorldId world, std::uint64_t version) override;
  std::optional<Error> undone(WorldId world) override { return coordinator(world).undone(); }
  std::vector<map::ShardPos> decided_shards(WorldId world) override;
  void drop_branch(const catalog::NamedBranch& branch) override;
  void submit(std::unique_ptr<shard::CoordinatedRequest> request) override;
  SessionId name_session() override { return new_session(); }
  void answer(std::unique_ptr<VersionAsk> ask, Result<catalog::NamedVersion> result) override;
  void deliver_version(const runtime::MeshMessage& message);
  // Keeps edits of a world that is being cut for later; true: kept.
  bool held_back(const runtime::MeshMessage& message);
  void take_cut(WorldId world, std::uint64_t version, shard::CoreId tell);
  void drop_in_shards(WorldId world, std::uint64_t version);
  void drop_line(WorldId branch, storage::HeadId number);
  void gather_pins(std::unique_ptr<PinsGather> gather);
  void gather_from(ShardSlot& slot, PinsGather& gather);
  std::optional<shard::ShardContent> content_as_of(ShardSlot& slot, PinsGather& gather);
  // Says that this core takes no more edits of a world, once none wait in the lobby.
  void answer_holds();
  // Holds and cuts that waited for the log.
  void on_log_durable_versions();
  VersionDesk& desk(WorldId world);

  // UndoDeskOutput, and what its messages make this core do (core_undo.cc)
  void sync_logs(std::uint64_t ticket) override;
  void undo_in_shard(std::unique_ptr<shard::EditRequest> request) override;
  void undo_over_shards(std::unique_ptr<shard::CoordinatedRequest> request) override;
  void undo_done(shard::UndoOutcome outcome) override;
  void deliver_undo(const runtime::MeshMessage& message);
  void answer_log_waits();

  // BackupJobOutput
  void pin_world(WorldId world, const std::string& name, std::function<void(Result<std::uint64_t>)> done) override;
  void unpin_world(WorldId world, std::uint64_t version, std::function<void(Status)> done) override;
  void gather_content(const std::vector<shard::LineVersion>& lines, GatherDone done) override;

  // MergeJobOutput
  void gather_trees(std::vector<shard::LineVersion> states, GatherDone done) override;
  void release_trees(PinsGather gather) override;
  // Whether nobody has deleted one of the states since.
  bool all_there(const PinsGather& gather) const override;
  void note_merged(WorldId branch, std::uint64_t version, std::function<void(Status)> done) override;
  void submit_swaps(std::vector<std::unique_ptr<shard::EditRequest>> parts, SwapEdit::Done done) override;

  // http::ApiServices
  Result<http::Asker> asker(std::string_view authorization) override;
  std::vector<std::shared_ptr<const map::World>> worlds() override;
  void create_world(map::World world, WorldDone done) override;
  void edit_world(WorldId world, std::string patch, http::NameRule may_be_called, WorldDone done) override;
  void put_asset(WorldId world, std::string hash, std::string bytes, Done done) override;
  void get_asset(WorldId world, std::string hash, BytesDone done) override;
  void list_shards(WorldId world, ShardsDone done) override;
  void metrics(std::function<void(std::string)> done) override;
  bool ready() override;
  Status start_backup(std::string name, std::string since) override;
  http::BackupInfo backup() override;
  std::vector<http::VersionInfo> versions(WorldId world) override;
  void save_version(WorldId world, std::string name, std::string author, VersionDone done) override;
  void change_version(WorldId world, std::string_view version, VersionChange change, VersionDone done) override;
  void diff_versions(WorldId world, std::string_view a, std::string_view b, DiffDone done) override;
  std::vector<http::BranchInfo> branches(WorldId world) override;
  void make_branch(WorldId world, std::string name, std::string_view version, std::string author,
                   BranchDone done) override;
  void drop_branch(WorldId world, std::string_view name, BranchDone done) override;
  void diff_branch(WorldId world, std::string_view name, bool with_origin, DiffDone done) override;
  void history(WorldId world, http::HistoryAsk ask, HistoryDone done) override;
  void cells(WorldId world, http::CellsAsk ask, CellsDone done) override;
  void forget_user(std::string name, Done done) override;
  void revert(WorldId world, http::RevertAsk ask, std::string_view authorization, RevertDone done) override;
  void merge_branch(WorldId world, std::string_view name, http::MergeAsk ask, std::string_view authorization,
                    MergeDone done) override;
  Result<session::Identity> identify(std::string_view authorization);
  http::BranchInfo branch_info(const catalog::NamedBranch& branch) const;

  void diff_states(const shard::LineVersion& a, const shard::LineVersion& b, DiffDone done);
  void compare(std::unique_ptr<PinsGather> gather, const DiffDone& done);
  // A round of all its shards begins.
  void gather_all(std::unique_ptr<PinsGather> gather);

  // Names of users that are not on disk yet (core_history.cc).
  void write_names();
  // Looking at the past (core_past.cc).
  void look_back(PastLook look);
  void gather_past(const std::shared_ptr<PastLook>& look, std::vector<map::ShardPos> shards);
  void look_on_worker(const std::shared_ptr<PastLook>& look, const std::shared_ptr<PinsGather>& found);
  void looked_back(const std::shared_ptr<PastLook>& look, const std::shared_ptr<PinsGather>& found, bool used_points);
  // not_found: nobody can tell what the line was at that time.
  Status reaches_back(WorldId world, std::uint64_t time_us) const;
  void apply_revert(RevertPlan plan, const shard::Origin& origin, const RevertDone& done);
  // `done` with whether a log failed, when every core's log is on disk as far as it is now.
  void sync_all_logs(std::function<void(bool failed)> done);
  void log_synced(std::uint64_t ticket, bool failed);

  // ShardMoverOutput, and what its messages make this core do (core_moves.cc)
  void post(shard::CoreId to, MoveNote note) override;
  void route(const shard::ShardKey& shard, shard::CoreId to) override;
  bool settle(const shard::ShardKey& shard, std::uint64_t now_ns) override;
  void stay(const shard::ShardKey& shard) override;
  bool quiet(const shard::ShardKey& shard) override;
  std::unique_ptr<ShardSlot> give_up(const shard::ShardKey& shard) override;
  Status expect(const shard::ShardKey& shard) override;
  void take(const shard::ShardKey& shard, std::unique_ptr<ShardSlot> slot) override;
  void moved(const MoveNote& done) override;
  void deliver_move(const runtime::MeshMessage& message);
  void gather_loads(std::unique_ptr<LoadGather> gather);
  void ask_loads(std::function<void(const std::vector<CoreLoad>&)> done);
  // Of core 0, with --balance on.
  void balance(std::uint64_t now_ns);
  void begin_move(WorldId world);
  void end_move(WorldId world, Result<http::MovedShard> result);
  bool has_parked(const shard::ShardKey& shard) const;
  // Tells the cores a shard was on that a checkpoint covers what they logged of it.
  void tell_covered(ShardSlot& slot);
  void claims(WorldId world, ClaimsDone done) override;
  void break_claim(WorldId world, SessionId session, std::uint32_t claim, Done done) override;
  void answer_query(std::unique_ptr<ClaimQuery> query);
  void move_shard(WorldId world, map::ShardPos shard, unsigned to, MoveDone done) override;
  void cores(CoresDone done) override;

  // shard::DerivationOutput, and what its messages make this core do (core_derivations.cc)
  void read(std::unique_ptr<shard::CellsRequest> request) override;
  void derived(std::unique_ptr<shard::CoordinatedRequest> request) override;
  void take_cells_request(ShardSlot& slot, std::unique_ptr<shard::CellsRequest> request);
  void answer_cells_request(std::unique_ptr<shard::CellsRequest> request);

  // shard::ClaimOutput, and what its messages make this core do (core_claims.cc)
  void claim_part(std::unique_ptr<shard::ClaimPart> part) override;
  void claim_note(shard::SharedClaimNote note) override;
  void claim_answer(std::unique_ptr<shard::ClaimAnswer> answer) override;
  bool is_there(SessionId session) const override;
  void deliver_claim(const runtime::MeshMessage& message);
  void take_claim_request(const shard::ClaimRequest& request);
  void take_claim_part(ShardSlot& slot, std::unique_ptr<shard::ClaimPart> part);
  void answer_claim_part(std::unique_ptr<shard::ClaimPart> part);
  // Null: there are none.
  const shard::ClaimTable* claims_in(WorldId world) const;
  shard::ClaimDesk::Coordinated coordinated(WorldId world) const;
  // Parts of decided edits may have gone out.
  void tell_claims_sent();
  void tick_claims(std::uint64_t now_ns);
  std::uint64_t next_claim_ns() const;

  void gather_metrics(std::unique_ptr<MetricsGather> gather);
  NodeSnapshot node_snapshot() const;
  void tell_world_changed(WorldId world);
  void take_changed_world(WorldId main);

  Node& node_;
  const shard::CoreId self_;
  CoreIo io_;
  proto::Encoder encoder_;
  shard::OwnerTable owners_;
  ShardTable shards_;
  PageBringer pages_;
  ShardLobby lobby_;
  PagePreparer preparer_;
  MemoryBudget memory_;
  ShardMover mover_;
  LoadMeter load_;
  Balancer balancer_;
  std::uint64_t next_balance_ns_;
  LogDriver log_;
  CheckpointDriver checkpoints_;
  HistoryTimer history_timer_;  // of core 0
  session::Home home_;
  http::Api api_;
  net::Network network_;

  std::unordered_map<WorldId, std::unique_ptr<shard::Coordinator>> coordinators_;
  std::unordered_map<WorldId, std::unique_ptr<shard::ClaimDesk>> claim_desks_;
  std::vector<runtime::MeshMessage> local_, delivering_;  // what this core says to itself
  ShardSlot* current_ = nullptr;                          // the shard that is calling back
  shard::Coordinator* current_coordinator_ = nullptr;
  std::unordered_map<WorldId, std::unique_ptr<VersionDesk>> desks_;  // by main line
  std::map<SessionId, SwapEdit> swap_edits_;
  // Of worlds whose desk is here: the move under way.
  std::unordered_map<WorldId, std::unique_ptr<MoveAsk>> moves_;
  // Shards that went to other cores, whose records here no checkpoint covers yet.
  struct LogDebt {
    shard::ShardKey shard;
    std::uint64_t until;   // see LogOwed
    std::uint64_t needed;  // the oldest sequence
  };
  std::vector<LogDebt> log_debts_;
  struct Held {
    std::vector<runtime::MeshMessage> edits;        // for this core's shards, once `edits_held`
    std::vector<runtime::MeshMessage> coordinated;  // for this core's coordinator, once `coordinated_held`
    bool edits_held = false, coordinated_held = false;
    bool hold_asked = false;                 // goes out when the coordinator has forwarded everything
    std::optional<shard::CoreId> tell = {};  // who waits for this core's word that it holds
  };
  std::unordered_map<WorldId, Held> held_;
  struct Cut {
    WorldId world;
    std::uint64_t sequence;  // of the log
    shard::CoreId tell;
  };
  std::vector<Cut> cuts_;  // wait for the log
  struct LogWait {
    std::uint64_t ticket, sequence;
    shard::CoreId tell;
  };
  std::vector<LogWait> log_waits_;  // undo desks that wait for the log
  UndoDesk undo_desk_;
  shard::DerivationDesk derivations_;
  struct LogSync {
    int missing = 0;  // cores
    bool failed = false;
    std::function<void(bool failed)> done;
  };
  std::map<std::uint64_t, LogSync> log_syncs_;  // by ticket
  std::uint64_t next_log_sync_ = 1;
  std::uint64_t last_time_us_ = 0;
  // Parts of decided edits that their shards could not take yet (the disk is full), in the coordinator's order.
  std::vector<std::unique_ptr<shard::EditRequest>> parked_;
  bool refused_part_ = false;  // the shard that is calling back did just that
  std::uint64_t next_parked_try_ns_ = 0;
  std::uint64_t next_snapshot_ = 1;
  std::vector<ShardSlot*> waiting_;  // shards with edits that are not durable yet
  proto::ByteBuffer payload_;        // scratch of send()
  BlockPool broadcasts_{512, 256};   // metadata of worlds
  PresenceFrames presence_frames_;
  std::uint64_t next_session_ = 1;
  TickCounters ticks_;
  std::uint64_t working_since_ns_ = 0, calls_before_ = 0;  // of the tick that is under way
  std::uint64_t certificate_ = 0;                          // its generation
  std::uint64_t bus_faults_ = 0;
  std::uint64_t next_publication_ns_ = 0, next_dead_readers_ns_ = 0;
  bool somebody_reads_ = false, somebody_read_ = false;
  bool mesh_behind_ = false;  // as of this tick's beginning
  std::uint64_t drain_began_ns_ = 0;
  bool counted_drained_ = false;
};

}  // namespace terrazzo::app
