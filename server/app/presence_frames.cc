#include "server/app/presence_frames.h"

#include "proto/ws/frame_codec.h"

namespace terrazzo::app {
namespace {

constexpr std::uint64_t kKeptNs = 1'000'000'000;
// Some 10 MB. A crowd that is larger is encoded anew from there on.
constexpr std::size_t kKeptMax = 16384;

}  // namespace

SharedBytes PresenceFrames::encode(proto::Form form, const session::PresenceNote& note) {
  ++encodings_;
  payload_.clear();
  encoder_.append(form, session::message_of(note), payload_);
  return proto::ws::whole_frame(proto::ws::opcode_of(form), payload_, blocks_);
}

const SharedBytes& PresenceFrames::kept(proto::Form form, const session::SharedNote& note) {
  if (kept_.size() >= kKeptMax && !kept_.contains(note.get())) kept_.clear();
  Kept& kept = kept_[note.get()];
  kept.note = note;
  SharedBytes& frame = kept.frames[form == proto::Form::json ? 1 : 0];
  if (!frame) frame = encode(form, *note);
  return frame;
}

void PresenceFrames::tick(std::uint64_t now_ns) {
  if (kept_.empty() || now_ns < forget_ns_) return;
  // The first look after something was kept begins its time.
  if (forget_ns_ != 0) kept_.clear();
  forget_ns_ = kept_.empty() ? 0 : now_ns + kKeptNs;
}

}  // namespace terrazzo::app
