#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/branch_world.h"
#include "base/progress.h"
#include "server/app/maintenance_commands.h"
#include "server/io/data_directory.h"
#include "server/io/durable_file.h"
#include "server/shard/coordinator.h"
#include "server/shard/log_record.h"
#include "server/storage/history.h"
#include "server/storage/log_damage.h"
#include "server/storage/wal.h"

namespace terrazzo::app {
namespace {

std::string text_of(const map::Rect& rect) {
  return fmt::format("[{},{},{},{}]", rect.x0, rect.y0, rect.width(), rect.height());
}

std::string text_of(const shard::LoggedEdit& edit) {
  constexpr std::string_view kKinds[] = {"set", "fill", "replace"};
  constexpr std::string_view kPast[] = {"", ", past in cells", ", past in an undo point"};
  std::string text = fmt::format("edit {} of session {:x}", edit.edit.id.value, edit.author.value);
  if (edit.coordinated != 0) text += fmt::format(", part of {:x}", edit.coordinated);
  if (edit.version != 0) text += fmt::format(", after version {}", edit.version);
  if (edit.undo)
    text += fmt::format(", {} of edit {} of session {:x}, {} cells, {} skipped", edit.undo->redo ? "redo" : "undo",
                        edit.undo->edit.edit.value, edit.undo->edit.author.value, edit.restored, edit.skipped);
  for (const map::Op& op : edit.edit.ops) {
    text += fmt::format("; {} layer {} {}", kKinds[static_cast<std::size_t>(op.kind)], op.layer, text_of(op.rect));
    if (op.kind != map::OpKind::set) text += fmt::format(" = {}", op.cell.bits);
    if (op.kind == map::OpKind::set && op.cells.size() == 1) text += fmt::format(" = {}", op.cells[0].bits);
  }
  if (edit.restore) {
    text += fmt::format("; back to {} {}", edit.restore->from == storage::PinKind::version ? "version" : "before edit",
                        edit.restore->id);
    for (const auto& area : edit.restore->areas) text += fmt::format(" layer {} {}", area.layer, text_of(area.rect));
  }
  return text + std::string(kPast[static_cast<std::size_t>(edit.pre_image_kind)]);
}

std::string text_of(const storage::Record& record) {
  if (record.kind == storage::RecordKind::coordinated) {
    const auto request = shard::decode_coordinated(record.payload);
    if (!request) return request.error().message;
    std::string text =
        fmt::format("coordinated edit {} of session {:x} over", (*request)->id.value, (*request)->origin.session.value);
    for (const auto& part : (*request)->parts)
      text += fmt::format(" {},{}", part->shard.position.x, part->shard.position.y);
    return text;
  }
  Arena arena;
  const auto edit = shard::decode_edit(record.payload, arena);
  return edit ? text_of(*edit) : edit.error().message;
}

class Dump {
 public:
  explicit Dump(const CommandLine& line) : line_(line) {}

  Status filters() {
    query_.first = Lsn{line_.from};
    query_.last = Lsn{line_.to};
    if (!line_.world_filter.empty()) {
      std::uint64_t id = 0;
      const char* end = line_.world_filter.data() + line_.world_filter.size();
      if (const auto parsed = std::from_chars(line_.world_filter.data(), end, id); parsed.ptr != end)
        return Error{ErrorCode::bad_message, "--world takes a world's number; terrazzo-server inspect lists them"};
      world_ = id;
    }
    if (!line_.shard.empty()) {
      std::int32_t x = 0, y = 0;
      const char* end = line_.shard.data() + line_.shard.size();
      const auto first = std::from_chars(line_.shard.data(), end, x);
      const bool comma = first.ec == std::errc() && first.ptr != end && *first.ptr == ',';
      if (!comma || std::from_chars(first.ptr + 1, end, y).ptr != end)
        return Error{ErrorCode::bad_message, "--shard takes X,Y, for example --shard 0,-1"};
      shard_ = std::pair(x, y);
    }
    return {};
  }

  // Bytes of files that will be printed.
  void expect(std::uint64_t bytes) {
    // Between lines on the same terminal a bar would only disturb.
    if (::isatty(STDERR_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 0) bar_.emplace("dump-wal", bytes);
  }

  Status history(const io::DataDirectory::HistoryFile& file) {
    const Result<std::string> text = io::read_file(file.path);
    if (!text) return text.error();
    const auto reader = storage::HistoryReader::open(std::as_bytes(std::span(*text)));
    if (!reader) return Error{reader.error().code, file.path + ": " + reader.error().message};
    begin(file.name, "sealed");
    const auto read = reader->visit(query_, [&](const storage::Record& record) { show(record); });
    move_on(text->size());
    return read ? Status() : Status(Error{read.error().code, file.path + ": " + read.error().message});
  }

  Status segment(const io::DataDirectory& data, const io::SegmentName& name) {
    auto bytes = data.read_segment(name.core, name.incarnation, name.number);
    if (!bytes) return bytes.error();
    auto scan = storage::scan_segment(*bytes, name, [](const storage::Record&) {});
    if (scan && scan->end == storage::WalScan::End::damaged) {
      // A server that writes it now may have put a later group behind what had been read already. By now that is old.
      bytes = data.read_segment(name.core, name.incarnation, name.number);
      if (!bytes) return bytes.error();
    }
    begin(name, "segment");
    const auto place = [&](const storage::Record& record) {
      return static_cast<std::uint64_t>(record.payload.data() - bytes->data());
    };
    const auto shown = [&](const storage::Record& record) {
      show(record);
      if (bar_) bar_->at(done_ + place(record));
    };
    bool first = true;
    scan = storage::scan_segment(*bytes, name, shown, [&](const storage::Record& record) {
      if (std::exchange(first, false) && !line_.json)
        fmt::print("  DAMAGED: what lies behind the damage, from byte {}\n", place(record));
      behind_damage_ = true;
      shown(record);
    });
    behind_damage_ = false;
    if (!scan) return Error{scan.error().code, io::file_of(name) + ": " + scan.error().message};
    scans_.push_back({name, *scan});
    move_on(bytes->size());
    if (!line_.json) print_end(*scan, bytes->size());
    return {};
  }

  // `at_rest`: no server writes. What a segment says of those before it can be told only then, since they are not all
  // read at the same moment. True: the log is damaged.
  bool damage(bool at_rest) {
    bar_.reset();
    bool any = false;
    for (const storage::LogDamage& damage : storage::find_log_damage(scans_)) {
      const auto of = [&](const storage::ScannedSegment& s) { return s.name == damage.segment; };
      if (!at_rest && std::ranges::find_if(scans_, of)->scan.end != storage::WalScan::End::damaged) continue;
      any = true;
      if (!line_.json) {
        fmt::print("DAMAGED {}: {}\n", io::file_of(damage.segment), damage.what);
        continue;
      }
      const nlohmann::json all{{"core", damage.segment.core},
                               {"incarnation", damage.segment.incarnation.value},
                               {"segment", damage.segment.number},
                               {"kind", "damage"},
                               {"byte", damage.at},
                               {"groups_behind", damage.groups_behind},
                               {"records_behind", damage.records_behind},
                               {"segments_behind", damage.segments_behind},
                               {"text", damage.what}};
      fmt::print("{}\n", all.dump());
    }
    return any;
  }

 private:
  static void print_end(const storage::WalScan& scan, std::uint64_t bytes) {
    switch (scan.end) {
      case storage::WalScan::End::clean:
        return fmt::print("  {} records; the log ends at byte {} of {}\n", scan.records, scan.end_at, bytes);
      case storage::WalScan::End::torn:
        return fmt::print("  {} records; the log ends in a torn group at byte {} of {}\n", scan.records, scan.end_at,
                          bytes);
      case storage::WalScan::End::damaged:
        return fmt::print(
            "  {} records up to byte {} of {}; it does not check, and behind it lie {} records of {} "
            "later groups\n",
            scan.records, scan.end_at, bytes, scan.records_behind, scan.groups_behind);
    }
  }

  void move_on(std::uint64_t bytes) {
    done_ += bytes;
    if (bar_) bar_->at(done_);
  }

  void begin(const io::SegmentName& name, const char* what) {
    name_ = name;
    if (!line_.json) fmt::print("{} {}-{} of core {}\n", what, name.incarnation.value, name.number, name.core);
  }

  void show(const storage::Record& record) {
    if (world_ && main_world(record.shard.world).value != *world_) return;
    if (record.lsn < query_.first || record.lsn > query_.last) return;
    const bool edit = record.kind == storage::RecordKind::edit;
    if (shard_ && (!edit || std::pair(record.shard.x, record.shard.y) != *shard_)) return;
    const std::string text = text_of(record);
    if (line_.json) {
      nlohmann::json all{{"core", name_.core},
                         {"incarnation", name_.incarnation.value},
                         {"segment", name_.number},
                         {"kind", edit ? "edit" : "coordinated"},
                         {"world", std::to_string(main_world(record.shard.world).value)},
                         {"line", line_of(record.shard.world)},
                         {"shard", {record.shard.x, record.shard.y}},
                         {"lsn", record.lsn.value},
                         {"bytes", record.payload.size()},
                         {"text", text}};
      if (behind_damage_) all["behind_damage"] = true;
      fmt::print("{}\n", all.dump());
      return;
    }
    if (edit) {
      fmt::print("  {} shard {},{} lsn {}: {}\n", name_of_line(record.shard.world), record.shard.x, record.shard.y,
                 record.lsn.value, text);
    } else {
      fmt::print("  {} number {:x}: {}\n", name_of_line(record.shard.world), record.lsn.value, text);
    }
  }

  const CommandLine& line_;
  storage::HistoryQuery query_;
  std::optional<std::uint64_t> world_;
  std::optional<std::pair<std::int32_t, std::int32_t>> shard_;
  io::SegmentName name_;
  bool behind_damage_ = false;
  std::vector<storage::ScannedSegment> scans_;
  std::optional<Progress> bar_;
  std::uint64_t done_ = 0;
};

const io::DataDirectory::HistoryFile* sealed_as(const io::SegmentName& segment,
                                                std::span<const io::DataDirectory::HistoryFile> files) {
  const auto found = std::ranges::find_if(files, [&](const auto& file) { return file.name == segment; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

int dump_wal(const CommandLine& line) {
  const auto fail = [](const Error& error) {
    fmt::print(stderr, "terrazzo-server: {}\n", error.message);
    return 2;
  };
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return fail(data.error());
  Dump dump(line);
  if (const Status understood = dump.filters(); !understood) return fail(understood.error());
  // Before the history: a segment that a running server seals meanwhile is in one of the two lists, or in both.
  const auto segments = (*data)->list_segments();
  if (!segments) return fail(segments.error());
  const auto files = (*data)->list_history();
  if (!files) return fail(files.error());
  std::uint64_t bytes = 0;
  for (const auto& file : *files) bytes += file.bytes;
  for (const io::SegmentName& name : *segments)
    if (sealed_as(name, *files) == nullptr) bytes += (*data)->segment_size(name);
  dump.expect(bytes);
  const bool at_rest = (*data)->holder().empty();
  int code = 0;
  for (const auto& file : *files)
    if (const Status done = dump.history(file); !done) code = fail(done.error());
  for (const io::SegmentName& name : *segments) {
    if (sealed_as(name, *files) != nullptr) continue;
    const Status done = dump.segment(**data, name);
    if (done) continue;
    const auto now = (*data)->list_history();
    const io::DataDirectory::HistoryFile* const sealed = now ? sealed_as(name, *now) : nullptr;
    const bool gone = done.error().code == ErrorCode::not_found;
    if (gone && sealed != nullptr) {
      if (const Status late = dump.history(*sealed); !late) code = fail(late.error());
    } else if (!gone) {  // gone without history: it held no record, or none is kept
      code = fail(done.error());
    }
  }
  if (dump.damage(at_rest) && code == 0) code = 1;
  return code;
}

}  // namespace terrazzo::app
