// The home's side of chat (PROTOCOL.md, CH): a line goes to everybody who has the world open and reads in time.
#include <string>
#include <utility>

#include "server/session/home.h"

namespace terrazzo::session {

void Home::chat(Session& session, const proto::Chat& message) {
  if (!session.in_world(out_)) return;
  if (!session.may_chat(now_ns_)) {
    return session.error(ErrorCode::rate_limited,
                         "more than " + std::to_string(limits_.chats.per_second) +
                             " lines of chat a second on this connection: say it again later",
                         out_);
  }
  ++counters_.chats;
  boost::intrusive_ptr<ChatNote> note(new ChatNote);
  note->world = session.world()->id;
  note->session = session.id();
  note->name = session.name();
  note->text = message.text;
  out_.chat(std::move(note));
}

void Home::chat(const SharedChat& note) {
  const auto view = worlds_.find(note->world);
  if (view == worlds_.end()) return;
  const proto::ChatOf message{note->session, note->name, note->text};
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    viewers_.clear();
    std::size_t left_out = 0;
    for (const std::uint32_t slot : view->second.slots) {
      const Session& session = *sessions_[slot];
      if (session.form() != form) continue;
      const Conflation* const slow = owed(session.connection());
      if (slow != nullptr && slow->full()) {
        ++left_out;
      } else {
        viewers_.push_back(session.connection());
      }
    }
    refused_.clear();
    if (!viewers_.empty()) out_.send_to_many(form, viewers_, message, refused_);
    counters_.chat_deliveries += viewers_.size() - refused_.size();
    counters_.chats_left_out += left_out + refused_.size();
  }
}

}  // namespace terrazzo::session
