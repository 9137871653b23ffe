#pragma once

#include <boost/container/static_vector.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/shared_bytes.h"
#include "identity/role.h"
#include "map/world.h"
#include "proto/messages.h"
#include "server/session/connection.h"
#include "server/session/token_bucket.h"
#include "server/shard/claim_desk.h"
#include "server/shard/messages.h"

namespace terrazzo::session {

using identity::Role;
using identity::role_name;

struct Identity {
  std::string user;
  identity::WorldRoles roles;
  UserId number = {};                         // for this run; 0: the user is not known
  std::shared_ptr<UserBudget> budget = {};    // of all of the user's connections; null: likewise
  bool proven = true;                         // false: the server asks nobody who he is
  std::optional<std::uint64_t> ends_ns = {};  // when the token does, in the sessions' time; nothing: never
};

// A session's presence on its way to the sessions of the world, on every core. Self-contained, never changed once it is
// shared.
struct PresenceNote : boost::intrusive_ref_counter<PresenceNote, boost::thread_safe_counter> {
  WorldId world;
  SessionId session;
  std::string name;
  std::uint32_t color = 0;
  std::optional<map::CellPos> cursor;
  std::optional<map::Rect> viewport, selection;
  std::optional<std::string> tool;
  bool left = false;
  // Who is to know: everybody in the world, or who watches one of these chunks (where it is, and where it was).
  bool to_all = false;
  boost::container::static_vector<map::Rect, 4> chunks;
};
// As others are told it.
proto::ServerMessage message_of(const PresenceNote& note);
using SharedNote = boost::intrusive_ptr<const PresenceNote>;

// A line of chat on its way to the sessions of the world, on every core.
struct ChatNote : boost::intrusive_ref_counter<ChatNote, boost::thread_safe_counter> {
  WorldId world;
  SessionId session;
  std::string name, text;
};
using SharedChat = boost::intrusive_ptr<const ChatNote>;

// Who asks for the presence of those already there.
struct PresenceAsk {
  WorldId world;
  shard::Origin newcomer;
  // In these chunks and not in those that it watched before; nothing: of everybody.
  std::optional<map::Rect> area;
  map::Rect known = {};
  SessionId only = {};  // this one's; 0: whoever it is
};

// Of a presence: all who are to know, now; or one of those who come and ask for it.
enum class PresenceIsFor : std::uint8_t { all, newcomers };

// The effects of sessions; carried out by app/core_services, recorded by tests and the simulator. Called on the home
// core.
class SessionOutput {
 public:
  virtual ~SessionOutput() = default;
  virtual void send(Connection connection, const proto::ServerMessage& message) = 0;
  virtual void send_frame(std::span<const Connection> connections, const SharedBytes& frame) = 0;
  // An edit, which may be left out where too much waits already: those connections are appended to `refused`.
  virtual void send_edit(std::span<const Connection> connections, const SharedBytes& frame,
                         std::vector<Connection>& refused) = 0;
  // Encoded once for all of them, who have this form. Connections that are left out, as of an edit, are appended to
  // `refused`.
  virtual void send_to_many(proto::Form form, std::span<const Connection> connections,
                            const proto::ServerMessage& message, std::vector<Connection>& refused) = 0;
  // Presence, which is left out first: as soon as more waits than is sent at once. Encoded once for all of them, and
  // where `is_for` says that others will come for the same note, for them, too. Without `refused` nobody is left out.
  virtual void send_presence(proto::Form form, std::span<const Connection> connections, const SharedNote& note,
                             PresenceIsFor is_for, std::vector<Connection>* refused) = 0;
  // Home::room() is to be called, once, when little enough waits for the connection; something does now.
  virtual void tell_room(Connection connection) = 0;
  virtual void close(Connection connection, std::uint16_t code, std::string_view reason) = 0;
  virtual void edit(std::unique_ptr<shard::EditRequest> request) = 0;
  virtual void coordinate(std::unique_ptr<shard::CoordinatedRequest> request) = 0;
  virtual void undo(std::unique_ptr<shard::UndoRequest> request) = 0;
  virtual void subscribe(std::unique_ptr<shard::SubscribeRequest> request) = 0;
  virtual void refresh(std::unique_ptr<shard::RefreshRequest> request) = 0;
  virtual void interest_off(std::unique_ptr<shard::InterestOff> off) = 0;
  // Another core does not keep up: what can wait here, such as presence, waits.
  virtual bool is_behind() const = 0;
  // To every core, this one included.
  virtual void presence(const SharedNote& note) = 0;
  // To every core, this one included.
  virtual void ask_presence(const PresenceAsk& ask) = 0;
  // To every core, this one included.
  virtual void chat(const SharedChat& note) = 0;
  // To the newcomer alone.
  virtual void presence_to(const shard::Origin& newcomer, const SharedNote& note) = 0;
  // To the desk of its world.
  virtual void claim(std::unique_ptr<shard::ClaimRequest> request) = 0;
  // This connection now speaks for the session; an older one that still does is to be closed, wherever it is.
  virtual void speaks_for(SessionId session, Connection connection) = 0;
  virtual void silent(SessionId session, Connection connection) = 0;
};

// What sessions ask of the node: who somebody is, which worlds there are. Called on the home core; answers at once.
class SessionDirectory {
 public:
  virtual ~SessionDirectory() = default;
  // Lasts some ten microseconds.
  virtual Result<Identity> authenticate(std::string_view token) = 0;
  virtual std::shared_ptr<const map::World> find_world(std::string_view name_or_id) = 0;
  // The metadata as `world` messages carry it.
  virtual std::string world_json(const map::World& world) = 0;
  virtual SessionId new_session() = 0;
  virtual std::string resume_token(SessionId session) = 0;
  // unauthenticated: the token is not one of this node's.
  virtual Result<SessionId> session_of(std::string_view resume_token) = 0;
  virtual Incarnation incarnation() const = 0;
  // The same for a user on all his connections, over restarts. `name`: as he calls himself.
  virtual UserId user_id(const Identity& identity, std::string_view name) = 0;
  // Since 1970; each time another one, later than the one before.
  virtual std::uint64_t time_us() = 0;
};

}  // namespace terrazzo::session
