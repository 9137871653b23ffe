#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "identity/role.h"
#include "map/coords.h"
#include "map/world.h"
#include "server/net/network.h"

namespace terrazzo::http {

// A named state of a whole world.
struct VersionInfo {
  std::uint64_t id = 0;
  std::string name, author;
  std::int64_t created_ms = 0;  // since 1970
};

// A line of edits of a world besides the main one.
struct BranchInfo {
  std::string name;
  WorldId world;  // opened by this id, or as "world@name"
  std::string author;
  std::int64_t created_ms = 0;  // since 1970
  std::string from;             // the name of the world or branch that it began in
  std::string version;          // at which version of that; empty: at the state of then
};

// An area that one user keeps for himself.
struct ClaimInfo {
  SessionId session;
  std::uint32_t claim = 0;           // its number there
  std::string name;                  // of who holds it
  map::Rect rect;                    // cells
  std::vector<map::LayerId> layers;  // empty: all
  std::uint32_t ttl_ms = 0;          // from now on
};

// Where two states of a shard differ.
struct ShardDiff {
  map::ShardPos shard;
  std::uint64_t chunks = 0;
  struct Area {
    map::LayerId layer = 0;
    map::Rect chunks;  // in the world's chunk coordinates
  };
  std::vector<Area> areas;
};

// What becomes of a branch in the line that it began in. Three states count: the branch, the line, and what both come
// from (what the branch began with, or what it was when it was last merged). A cell that only the branch has changed
// becomes what it is there; one that both have, and not to the same, is a conflict.
struct MergeAsk {
  enum class Conflicts : std::uint8_t { refuse, ours, theirs };  // ours: the line's; theirs: the branch's
  Conflicts conflicts = Conflicts::refuse;
  struct Choice {
    std::optional<map::LayerId> layer;  // nothing: all
    map::Rect rect;                     // cells
    bool theirs = false;
  };
  std::vector<Choice> choices;    // of conflicts, before the rule for all; the first one that has the cell counts
  std::optional<map::Rect> area;  // only these cells
  bool preview = false;           // only look
  std::string name;               // who asks, where nobody has to prove it
};
struct MergeInfo {
  bool done = false;            // otherwise nothing was changed
  std::uint64_t cells = 0;      // that become what they are in the branch
  std::uint64_t same = 0;       // that both have changed alike
  std::uint64_t conflicts = 0;  // cells
  std::uint64_t undecided = 0;  // of these, those that nobody has decided on
  std::uint64_t left = 0;       // that somebody changed while it was done; they are as that one left them
  struct Area {
    map::LayerId layer = 0;
    map::Rect rect;
    std::uint64_t cells = 0;  // conflicts in it
  };
  std::vector<Area> areas;  // of conflicts, at most kAreasMax
  static constexpr std::size_t kAreasMax = 1000;
};

// An edit's place among those of a world, the newest first.
struct EditPlace {
  std::uint64_t time_us = 0;  // since 1970
  SessionId author;
  EditId edit;
  auto operator<=>(const EditPlace&) const = default;
};

// Which of the edits that are kept somebody wants to see.
struct HistoryAsk {
  std::optional<map::Rect> area;                    // that touch these cells; nothing: all
  std::optional<map::LayerId> layer;                // nothing: all
  std::optional<std::string> user;                  // nothing: everybody's
  std::optional<std::uint64_t> since_us, until_us;  // since 1970; the second one not included
  std::size_t limit = 50;                           // at most kLimitMax
  std::optional<EditPlace> before;                  // only what comes after it in the order of the answer
  static constexpr std::size_t kLimitMax = 1000;
};
struct HistoryEntry {
  EditPlace place;
  UserId user;       // 0: nobody knows
  std::string name;  // of the user; empty: not known in this run
  // That it took back, or did again.
  struct Undo {
    SessionId author;
    EditId edit;
    bool redo = false;
  };
  std::optional<Undo> undo;
  struct Change {
    map::ShardPos shard;
    Lsn lsn;  // there
    const char* what = "";
    map::LayerId layer = 0;
    map::Rect rect;
    std::optional<map::Cell> cell;  // where all become one
  };
  std::vector<Change> changes;  // in the area and layer that was asked for, at most kChangesMax
  std::uint64_t all_changes = 0;
  static constexpr std::size_t kChangesMax = 64;
};
struct HistoryPage {
  std::vector<HistoryEntry> entries;  // the newest first
  std::uint64_t complete_since_us = 0;  // what was asked for before, since 1970, may be missing; 0: nothing is
  std::optional<EditPlace> next;      // there is more: ask for what comes before this
};

// Cells of a tile layer: as they are, as they were at a time, or as they are in a version.
struct CellsAsk {
  map::LayerId layer = 0;
  map::Rect area;                      // at most kCellsMax
  std::optional<std::uint64_t> at_us;  // since 1970
  std::string version;                 // name or number
  static constexpr std::uint64_t kCellsMax = 1 << 20;
};

// Which edits are to be taken back, whoever made them; and what that does.
struct RevertAsk {
  std::optional<map::Rect> area;                    // only these cells; nothing: all
  std::optional<map::LayerId> layer;                // nothing: all
  std::optional<std::string> user;                  // nothing: everybody's
  std::optional<std::uint64_t> since_us, until_us;  // since 1970; the second one not included
  bool preview = false;                             // only look
  std::string name;                                 // who asks, where nobody has to prove it
  bool by_owner = false;                            // of the world: others' edits may be reverted, too
};
struct RevertInfo {
  bool done = false;          // otherwise nothing was changed
  std::uint64_t cells = 0;    // that become what they were before
  std::uint64_t same = 0;     // that are what they were before
  std::uint64_t skipped = 0;  // that somebody else painted since
  std::uint64_t lost = 0;     // that stay, since nobody knows any more what they were
  std::uint64_t left = 0;     // that somebody changed while it was done; they are as that one left them
  std::uint64_t edits = 0;    // that the filter finds
  struct Author {
    UserId user;       // 0: nobody knows
    std::string name;  // empty: not known
    std::uint64_t edits = 0, cells = 0;
  };
  std::vector<Author> authors;  // of these edits, with the most cells first
  struct Area {
    map::LayerId layer = 0;
    map::Rect rect;
    std::uint64_t cells = 0, skipped = 0;
  };
  std::vector<Area> areas;  // where, one for each chunk, at most kAreasMax
  std::uint64_t all_areas = 0;
  static constexpr std::size_t kAreasMax = 1000;
};

// The newest backup of this run; no name: there was none.
struct BackupInfo {
  std::string name, since;
  bool running = false;
  std::uint64_t done = 0, total = 0;  // shards
  std::string problem;                // why it failed; empty: it did not
};

// A shard that went from one core to another.
struct MovedShard {
  unsigned from = 0, to = 0;
  std::uint64_t parked_ns = 0;  // how long what was sent to it may have waited
};

// What a core has to do, since somebody asked before, at least for the last second.
struct CoreInfo {
  unsigned core = 0;
  double busy = 0;  // share of the time in which it did not wait
  struct Shard {
    WorldId world;
    map::ShardPos shard;
    double work_per_s = 0;  // edits, encodings and chunk states
  };
  std::vector<Shard> shards;  // open ones, the hottest first
};

// A viewer reads, an editor also writes, an owner may all.
enum class Right : std::uint8_t { read, write, own };

// Who asks, and what he may do where.
struct Asker {
  std::string user;
  identity::WorldRoles roles;
};

// Whether who asks may give this name to a world. Any thread.
using NameRule = std::function<Status(const std::string& name)>;

// What the endpoints need of the node. Answers may come later, on the same core; `done` is called exactly once.
class ApiServices {
 public:
  virtual ~ApiServices() = default;
  // Judges the value of the Authorization header.
  virtual Result<Asker> asker(std::string_view authorization) = 0;
  virtual std::vector<std::shared_ptr<const map::World>> worlds() = 0;
  virtual std::shared_ptr<const map::World> find_world(std::string_view name_or_id) = 0;
  using WorldDone = std::function<void(Result<std::shared_ptr<const map::World>>)>;
  virtual void create_world(map::World world, WorldDone done) = 0;
  // `patch`: of its metadata (formats/world_patch.h). bad_message, not_found, already_exists.
  virtual void edit_world(WorldId world, std::string patch, NameRule may_be_called, WorldDone done) = 0;
  using Done = std::function<void(Status)>;
  virtual void put_asset(WorldId world, std::string hash, std::string bytes, Done done) = 0;
  using BytesDone = std::function<void(Result<std::string>)>;
  virtual void get_asset(WorldId world, std::string hash, BytesDone done) = 0;
  // Where cells were ever written: the positions of the world's shard files.
  using ShardsDone = std::function<void(Result<std::vector<map::ShardPos>>)>;
  virtual void list_shards(WorldId world, ShardsDone done) = 0;
  virtual std::vector<VersionInfo> versions(WorldId world) = 0;
  using VersionDone = std::function<void(Result<VersionInfo>)>;
  virtual void save_version(WorldId world, std::string name, std::string author, VersionDone done) = 0;
  enum class VersionChange : std::uint8_t { remove, restore };
  // By number or name.
  virtual void change_version(WorldId world, std::string_view version, VersionChange change, VersionDone done) = 0;
  using DiffDone = std::function<void(Result<std::vector<ShardDiff>>)>;
  // "now": the present state.
  virtual void diff_versions(WorldId world, std::string_view a, std::string_view b, DiffDone done) = 0;
  virtual std::vector<BranchInfo> branches(WorldId world) = 0;
  using BranchDone = std::function<void(Result<BranchInfo>)>;
  // `version`: where it begins; empty: at the present state.
  virtual void make_branch(WorldId world, std::string name, std::string_view version, std::string author,
                           BranchDone done) = 0;
  virtual void drop_branch(WorldId world, std::string_view name, BranchDone done) = 0;
  // Between what a branch is now and what the world's main line is; or what the branch was when it began.
  virtual void diff_branch(WorldId world, std::string_view name, bool with_origin, DiffDone done) = 0;
  using MergeDone = std::function<void(Result<MergeInfo>)>;
  // Of a branch into the line that it began in, as one edit of who the Authorization header says is asking.
  virtual void merge_branch(WorldId world, std::string_view name, MergeAsk ask, std::string_view authorization,
                            MergeDone done) = 0;
  using HistoryDone = std::function<void(Result<HistoryPage>)>;
  virtual void history(WorldId world, HistoryAsk ask, HistoryDone done) = 0;
  using CellsDone = std::function<void(Result<std::vector<map::Cell>>)>;
  // Row by row. not_found: there is no such version, or the history does not reach back so far.
  virtual void cells(WorldId world, CellsAsk ask, CellsDone done) = 0;
  // Lets go of what a user is called; the edits stay, by number. not_found.
  virtual void forget_user(std::string name, Done done) = 0;
  using RevertDone = std::function<void(Result<RevertInfo>)>;
  // As one edit of who the Authorization header says is asking. forbidden: an editor reverts only his own edits.
  virtual void revert(WorldId world, RevertAsk ask, std::string_view authorization, RevertDone done) = 0;
  using ClaimsDone = std::function<void(const std::vector<ClaimInfo>&)>;
  virtual void claims(WorldId world, ClaimsDone done) = 0;
  // It has begun to end when `done` is called; not_found: there is none.
  virtual void break_claim(WorldId world, SessionId session, std::uint32_t claim, Done done) = 0;
  using MoveDone = std::function<void(Result<MovedShard>)>;
  // not_found: there is no such core or shard; overloaded: not now.
  virtual void move_shard(WorldId world, map::ShardPos shard, unsigned to, MoveDone done) = 0;
  using CoresDone = std::function<void(const std::vector<CoreInfo>&)>;
  virtual void cores(CoresDone done) = 0;
  // `since`: name of the backup it builds on; empty: none. bad_message, conflict: not begun.
  virtual Status start_backup(std::string name, std::string since) = 0;
  virtual BackupInfo backup() = 0;
  // Of all cores, in Prometheus' text form.
  virtual void metrics(std::function<void(std::string)> done) = 0;
  virtual bool ready() = 0;
};

// The HTTP endpoints of one core (docs/http.md). Errors are RFC 9457 problem documents.
class Api {
 public:
  explicit Api(ApiServices& services) : services_(services) {}
  using Respond = std::function<void(net::HttpResponse)>;
  void handle(const net::HttpRequest& request, Respond respond);

 private:
  void worlds(const net::HttpRequest& request, Respond respond);
  void create(const net::HttpRequest& request, const Asker& asker, Respond respond);
  void world(const net::HttpRequest& request, std::string_view name, Respond respond);
  void asset(const net::HttpRequest& request, std::string_view name, std::string_view hash, Respond respond);
  void shards(const net::HttpRequest& request, std::string_view name, Respond respond);
  // `tail`: what follows /v1/worlds/{name}/shards/.
  void shard(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond);
  // `tail`: what follows /v1/worlds/{name}/versions.
  void versions(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond);
  // `tail`: what follows /v1/worlds/{name}/branches.
  void branches(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond);
  void history(const net::HttpRequest& request, std::string_view name, Respond respond);
  void revert(const net::HttpRequest& request, std::string_view name, Respond respond);
  void cells(const net::HttpRequest& request, std::string_view name, Respond respond);
  void user(const net::HttpRequest& request, std::string_view name, Respond respond);
  void merge(const net::HttpRequest& request, WorldId world, std::string_view branch, Respond respond);
  void branch(const net::HttpRequest& request, WorldId world, std::string_view tail, Respond respond);
  // `tail`: what follows /v1/worlds/{name}/claims.
  void claims(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond);
  void backups(const net::HttpRequest& request, Respond respond);
  void cores(const net::HttpRequest& request, Respond respond);
  void version(const net::HttpRequest& request, WorldId world, std::string_view tail, Respond respond);

  // A world that the asker has this right in; nothing: answered already.
  struct Admitted {
    std::shared_ptr<const map::World> world;
    std::string user;
    identity::Role role;  // in this world
    identity::WorldRoles roles;
  };
  std::optional<Admitted> admit(const net::HttpRequest& request, std::string_view name, Right right,
                                const Respond& respond);
  // To what is no world's: by the role everywhere.
  bool admit_to_server(const net::HttpRequest& request, Right right, const Respond& respond);

  ApiServices& services_;
};

// Decodes %XX; an error names the place.
Result<std::string> percent_decode(std::string_view text);

}  // namespace terrazzo::http
