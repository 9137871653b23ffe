#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/shard/claim_table.h"
#include "server/shard/messages.h"

namespace terrazzo::shard {

struct ClaimLimits {
  std::uint32_t claims_max = 16;                     // of one user, in one world
  std::uint64_t cells_max = 1u << 22;                // likewise, of all of them together
  std::uint64_t ttl_max_ns = 600'000'000'000;        // of a claim, and of a renewal
  std::uint64_t grace_ns = 10'000'000'000;           // for a session that has no connection
  static constexpr std::uint64_t kShardsMax = 64;    // that a claim touches
  static constexpr std::size_t kWorldMax = 4096;     // of a world; each edit may look at as many
  static constexpr std::size_t kConflictsNamed = 8;  // of a refusal
};

// What a session asks (home → desk).
struct ClaimRequest {
  enum class Kind : std::uint8_t {
    claim,    // number, rect, layers, ttl_ms, name
    release,  // number; session, where it is another one's
    look,     // area, known: who subscribes there is to be told
    lost,     // the session's connection
  };
  Kind kind = Kind::claim;
  WorldId world;
  Origin origin;
  ClaimId number;
  SessionId session;
  std::string name;
  map::Rect rect;  // cells, inside the world
  std::vector<map::LayerId> layers;
  std::uint32_t ttl_ms = 0;
  map::Rect area, known;  // chunks
};

// A claim begins (`on`) or ends in one shard (desk → owner), and that it has (owner → desk).
struct ClaimPart {
  ShardKey shard;
  SharedClaim claim;
  bool on = true;
  std::optional<Error> error;  // of the answer: the shard cannot be opened
};

// A claim is in force, or over (desk → every home).
struct ClaimNote : boost::intrusive_ref_counter<ClaimNote, boost::thread_safe_counter> {
  WorldId world;
  SharedClaim claim;
  bool over = false;
  proto::ReleaseReason reason = proto::ReleaseReason::released;
  std::uint32_t ttl_ms = 0;
  SessionId asked;  // who is to know besides the claim's session and those who watch
};
using SharedClaimNote = boost::intrusive_ptr<const ClaimNote>;
proto::ServerMessage message_of(const ClaimNote& note);

// To who asked (desk → home).
struct ClaimAnswer {
  Origin origin;
  ClaimId number;
  std::optional<Error> error;            // of a claim, unless `of_release`
  std::vector<SharedClaim> claims = {};  // that are in the way
  bool of_release = false;
  std::vector<SharedClaimNote> standing = {};  // what there is, for who renews or subscribes
};

// What a desk makes its core do. No call fails, blocks or calls back.
class ClaimOutput {
 public:
  virtual ~ClaimOutput() = default;
  // To the owner; first-in first-out with the parts of edits that the world's coordinator forwards. Comes back.
  virtual void claim_part(std::unique_ptr<ClaimPart> part) = 0;
  virtual void claim_note(SharedClaimNote note) = 0;
  virtual void claim_answer(std::unique_ptr<ClaimAnswer> answer) = 0;
  // Whether some connection speaks for the session.
  virtual bool is_there(SessionId session) const = 0;
};

struct ClaimCounters {
  std::uint64_t made = 0, renewed = 0, refused = 0, expired = 0, left = 0, broken = 0;
  ClaimCounters& operator+=(const ClaimCounters& more);
};

// All claims of one world, on the core of its coordinator: decides which there are, and sees to it that the owners of
// the shards know. Pure; one thread; time is an argument.
//
//   waiting ── edits decided before are out ──▶ beginning ── every owner knows ──▶ in force
//      any of them ── released, expired, … ──▶ ending ── every owner knows ──▶ gone
//
//  1. Claims of different users never meet: one desk decides, at once, for the whole area.
//  2. `claimed` is told when the claim is in force in all of its shards, `released` when it is in none: owners carry
//     out what comes from this core in its order, also while a shard moves.
//  3. Edits over shards are decided on this core: the coordinator looks at table(), where a claim is from the moment it
//     is decided. Those decided before it reach each shard before the claim does.
//  4. Nothing of it is kept on disk.
class ClaimDesk {
 public:
  ClaimDesk(WorldId world, const ClaimLimits& limits);
  ~ClaimDesk();

  // `decided`: the newest edit over shards; `unsent`: the oldest whose parts are not on their way.
  struct Coordinated {
    std::uint64_t decided = 0, unsent = ~std::uint64_t{0};
  };
  void request(const ClaimRequest& request, const Coordinated& edits, std::uint64_t now_ns, ClaimOutput& out);
  void part_done(const ClaimPart& part, std::uint64_t now_ns, ClaimOutput& out);
  // Parts of edits have gone out.
  void sent(const Coordinated& edits, ClaimOutput& out);
  // An owner of the server ends a claim. False: there is none.
  bool end(SessionId session, ClaimId number, ClaimOutput& out);
  void tick(std::uint64_t now_ns, ClaimOutput& out);
  std::uint64_t next_tick_ns() const;  // the largest number: never

  const ClaimTable& table() const;
  // Those in force, with what is left of their time.
  std::vector<SharedClaimNote> standing(std::uint64_t now_ns) const;
  const ClaimCounters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::shard
