// Presence and chat: what homes tell each other of who is there and what is said.
#include "server/app/core_services.h"

namespace terrazzo::app {

void CoreServices::deliver_company(const runtime::MeshMessage& message) {
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::presence:
      return home_.presence(shared_in<session::PresenceNote>(message));
    case MeshKind::ask_presence:
      return home_.presence_asked(*unboxed<session::PresenceAsk>(message));
    case MeshKind::presence_to: {
      const auto answer = unboxed<PresenceTo>(message);
      return home_.presence_for(answer->newcomer, answer->note);
    }
    case MeshKind::chat:
      return home_.chat(shared_in<session::ChatNote>(message));
    case MeshKind::world_changed:
      return take_changed_world(WorldId{message.words[0]});
    default:
      TZ_ASSERT(false);
  }
}

void CoreServices::send_presence(proto::Form form, std::span<const session::Connection> connections,
                                 const session::SharedNote& note, session::PresenceIsFor is_for,
                                 std::vector<session::Connection>* refused) {
  const SharedBytes frame = is_for == session::PresenceIsFor::newcomers ? presence_frames_.kept(form, note)
                                                                        : presence_frames_.encode(form, *note);
  if (refused == nullptr) return network_.send(connections, frame);
  network_.send_if_room(connections, frame, *refused, net::Network::Room::much);
}

void CoreServices::presence(const session::SharedNote& note) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), shared(MeshKind::presence, note));
}

void CoreServices::ask_presence(const session::PresenceAsk& ask) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), boxed(MeshKind::ask_presence, ask));
}

void CoreServices::presence_to(const shard::Origin& newcomer, const session::SharedNote& note) {
  post(newcomer.core, boxed(MeshKind::presence_to, PresenceTo{newcomer, note}));
}

void CoreServices::chat(const session::SharedChat& note) {
  for (int core = 0; core < node_.cores; ++core) post(static_cast<shard::CoreId>(core), shared(MeshKind::chat, note));
}

}  // namespace terrazzo::app
