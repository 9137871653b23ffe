#include "server/shard/fanout.h"

#include <cstring>
#include <utility>

#include "proto/ws/frame_codec.h"

namespace terrazzo::shard {

void append_frame(proto::Form form, std::span<const std::byte> payload, proto::ByteBuffer& frames) {
  proto::ws::append_frame_header(proto::ws::opcode_of(form), payload.size(), frames);
  frames.insert(frames.end(), payload.begin(), payload.end());
}

SharedBytes shared(std::span<const std::byte> bytes) {
  SharedBytes copy = SharedBytes::allocate(bytes.size());
  // Not std::ranges::copy, which GCC 12 makes a loop over single bytes.
  if (!bytes.empty()) std::memcpy(copy.writable().data(), bytes.data(), bytes.size());
  return copy;
}

Fanout::Cast Fanout::cast(const ShardKey& shard, const proto::Applied& applied, const InterestIndex& interest) {
  Cast cast;
  if (interest.anybody() == 0) return cast;
  std::array<CoreMask, 2> by_form{};
  boost::container::small_vector<map::Rect, 2> touched;
  for (const map::Op& op : applied.ops) {
    const map::Rect chunks = map::chunks_of(op.rect);
    if (!touched.empty() && touched.back() == chunks) continue;  // a stroke: many ops in one place
    touched.push_back(chunks);
    for (const proto::Form form : {proto::Form::binary, proto::Form::json})
      by_form[static_cast<std::size_t>(form)] |= interest.viewers(form, chunks);
  }
  cast.cores = by_form[0] | by_form[1];
  if (cast.cores == 0) return cast;
  boost::intrusive_ptr<Publication> publication(new (publications_) Publication);
  publication->shard = shard;
  publication->lsn = applied.lsn;
  publication->touched = std::move(touched);
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    if (by_form[static_cast<std::size_t>(form)] == 0) continue;
    payload_.clear();
    encoder_->append(form, applied, payload_);
    publication->frame[static_cast<std::size_t>(form)] =
        proto::ws::whole_frame(proto::ws::opcode_of(form), payload_, frames_);
    ++encodings_;
  }
  cast.publication = std::move(publication);
  return cast;
}

Fanout::Cast Fanout::cast_states(const ShardKey& shard, Lsn lsn, std::span<const map::Rect> touched,
                                 const InterestIndex& interest) {
  Cast cast;
  for (const map::Rect& chunks : touched)
    for (const proto::Form form : {proto::Form::binary, proto::Form::json})
      cast.cores |= interest.viewers(form, chunks);
  if (cast.cores == 0) return cast;
  boost::intrusive_ptr<Publication> publication(new Publication);
  publication->shard = shard;
  publication->lsn = lsn;
  publication->touched.assign(touched.begin(), touched.end());
  publication->as_states = true;
  cast.publication = std::move(publication);
  return cast;
}

}  // namespace terrazzo::shard
