#include "server/app/undo_finder.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "server/io/durable_file.h"
#include "server/shard/log_record.h"
#include "server/storage/history.h"

namespace terrazzo::app {
namespace {

// A record is stamped where its connection is, and logged by the shard's owner: this much later at most, or the older
// one of two steps of which another core logged the newer one may be taken for the newer.
constexpr std::uint64_t kDelayUs = 1'000'000;
// Records at the beginning of a segment of which one was not delayed.
constexpr std::size_t kFirstRecords = 64;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

constexpr std::size_t kFrontBytes = 1 << 20;

// Whether a page of zeros begins there.
bool zeros_at(std::span<const std::byte> bytes, std::uint64_t at) {
  if (at + storage::kPageBytes > bytes.size()) return false;
  return std::ranges::all_of(bytes.subspan(at, storage::kPageBytes), [](std::byte b) { return b == std::byte{}; });
}

struct Step {
  shard::UserStep step;
  std::vector<LoggedPart> parts;
};
struct NewestFirst {
  using Key = std::pair<std::uint64_t, shard::EditName>;  // time, name
  bool operator()(const Key& a, const Key& b) const { return a > b; }
};

// The log of one core, the newest segment last.
struct Stream {
  std::vector<io::SegmentName> segments;
  std::uint64_t bound = kNever;  // of the times in those that are left
};

class Finder {
 public:
  Finder(const io::DataDirectory& data, const UndoQuery& query) : data_(data), query_(query), stack_(query.wish) {}

  Result<UndoFound> find() {
    if (Status listed = list(); !listed) return listed.error();
    while (true) {
      const auto widest = std::ranges::max_element(streams_, {}, [](const auto& s) { return s.second.bound; });
      const std::uint64_t bound = widest == streams_.end() ? 0 : widest->second.bound;
      if (std::optional<Result<UndoFound>> found = decide(bound)) return *std::move(found);
      if (bound == 0) return foreign_ ? Result<UndoFound>(not_yours()) : Result<UndoFound>(stack_.nothing());
      if (Status read = read_next(widest->second); !read) return read.error();
    }
  }

 private:
  Status list();
  Status read_next(Stream& stream);
  // The records of a segment, wherever it is by now. Nothing: it went with the oldest history.
  Status visit(const io::SegmentName& segment, const std::function<void(const storage::Record&)>& visit) const;
  void look_at(const storage::Record& record);
  std::optional<Result<UndoFound>> decide(std::uint64_t bound);
  static Error not_yours() { return {ErrorCode::forbidden, "this edit is somebody else's: everybody undoes his own"}; }

  const io::DataDirectory& data_;
  const UndoQuery& query_;
  shard::UndoStack stack_;
  std::map<std::uint32_t, Stream> streams_;              // by core
  std::map<NewestFirst::Key, Step, NewestFirst> steps_;  // of the user, not judged yet
  std::optional<Result<UndoFound>> judged_;              // while the undo itself is looked for
  bool foreign_ = false;                                 // somebody else's edit has the name that is wanted
};

Status Finder::list() {
  const auto segments = data_.list_segments();
  if (!segments) return segments.error();
  const auto history = data_.list_history();
  if (!history) return history.error();
  for (const io::SegmentName& segment : *segments) streams_[segment.core].segments.push_back(segment);
  for (const auto& file : *history) streams_[file.name.core].segments.push_back(file.name);
  for (auto& [core, stream] : streams_) {
    std::ranges::sort(stream.segments, {}, [](const io::SegmentName& s) { return std::pair(s.incarnation, s.number); });
    // One that is being sealed is there twice.
    const auto twice = std::ranges::unique(stream.segments);
    stream.segments.erase(twice.begin(), twice.end());
  }
  return {};
}

Status Finder::visit(const io::SegmentName& segment, const std::function<void(const storage::Record&)>& each) const {
  // A segment that is being written has zeros behind what is there: they need not all be read.
  for (std::size_t front = kFrontBytes;; front *= 8) {
    const auto bytes = data_.read_segment(segment.core, segment.incarnation, segment.number, front);
    if (!bytes) break;
    std::vector<storage::Record> records;
    const auto scanned = storage::scan_segment(*bytes, segment, [&](const auto& record) { records.push_back(record); });
    if (!scanned) return scanned.error();
    if (bytes->size() == front && !zeros_at(*bytes, scanned->end_at)) continue;
    for (const storage::Record& record : records) each(record);
    return {};
  }
  // Sealed meanwhile, or long ago.
  const auto history = data_.list_history();
  if (!history) return history.error();
  const auto file = std::ranges::find(*history, segment, &io::DataDirectory::HistoryFile::name);
  if (file == history->end()) return {};
  const Result<std::string> text = io::read_file(file->path);
  if (!text) return {};
  const auto reader = storage::HistoryReader::open(std::as_bytes(std::span(*text)));
  if (!reader) return Error{reader.error().code, file->path + ": " + reader.error().message};
  const auto read = reader->visit({}, each);
  return read ? Status() : Status(Error{read.error().code, file->path + ": " + read.error().message});
}

Status Finder::read_next(Stream& stream) {
  const io::SegmentName segment = stream.segments.back();
  stream.segments.pop_back();
  std::uint64_t first = 0;
  std::size_t stamped = 0;
  const Status read = visit(segment, [&](const storage::Record& record) {
    if (record.kind != storage::RecordKind::edit) return;
    if (stamped < kFirstRecords) {
      const auto head = shard::peek_edit(record.payload);
      if (head && head->time_us != 0) {
        ++stamped;
        first = std::max(first, head->time_us);
      }
    }
    if (record.shard.world == query_.world) look_at(record);
  });
  if (stamped != 0) stream.bound = std::min(stream.bound, first + kDelayUs);
  if (stream.segments.empty()) stream.bound = 0;
  return read;
}

void Finder::look_at(const storage::Record& record) {
  const auto head = shard::peek_edit(record.payload);
  if (!head || head->user.value == 0) return;
  const shard::EditName name{head->author, head->edit.id};
  if (head->user != query_.user) {
    foreign_ = foreign_ || (query_.wish.edit && name == *query_.wish.edit);
    return;
  }
  if (head->time_us >= query_.time_us && name != query_.own) return;
  Step& step = steps_[{head->time_us, name}];
  step.step = {name, head->time_us, head->undo};
  // A part that was rolled forward by a start that did not come to its end is there twice.
  const map::ShardPos shard{record.shard.x, record.shard.y};
  if (std::ranges::find(step.parts, shard, &LoggedPart::shard) != step.parts.end()) return;
  step.parts.push_back({shard, record.lsn, std::vector<std::byte>(record.payload.begin(), record.payload.end())});
}

// Of the steps that are newer than anything left unread.
std::optional<Result<UndoFound>> Finder::decide(std::uint64_t bound) {
  while (!steps_.empty() && (steps_.begin()->first.first > bound || bound == 0)) {
    Step step = std::move(steps_.extract(steps_.begin()).mapped());
    const shard::EditName& name = step.step.name;
    if (name == query_.own && step.step.undo) return UndoFound{step.step.undo->edit, std::move(step.parts), true};
    // What a session asked for before comes before in its log.
    const bool cannot_come =
        !query_.may_be_applied || (name.author == query_.own.author && name.edit < query_.own.edit);
    if (!judged_ && stack_.take(step.step)) {
      if (stack_.error()) {
        judged_ = Result<UndoFound>(*stack_.error());
      } else {
        judged_ = Result<UndoFound>(UndoFound{shard::subject(step.step), std::move(step.parts), false});
      }
    }
    if (judged_ && cannot_come) return judged_;
  }
  if (judged_ && bound == 0) return judged_;
  if (foreign_ && !query_.may_be_applied) return Result<UndoFound>(not_yours());
  return std::nullopt;
}

}  // namespace

Result<UndoFound> find_undo(const io::DataDirectory& data, const UndoQuery& query) {
  return Finder(data, query).find();
}

}  // namespace terrazzo::app
