// Edits that are more than a rectangle of one tile: copies, floods, lines and stamps.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands.h"
#include "cli/server.h"

namespace terrazzo::cli {
namespace {

using namespace std::chrono_literals;

std::string place_text(map::CellPos at) {
  return fmt::format("{},{}", at.x, at.y);
}

// Makes the edit and waits until it is on the server's disk.
Status make(client::Client& client, const client::EditDraft& draft, const std::string& what) {
  const auto began = std::chrono::steady_clock::now();
  const Result<EditId> edit = client.edit(draft);
  if (!edit) return edit.error();
  if (!client.wait_durable(30s)) return Error{ErrorCode::overloaded, "the server did not confirm the edit within 30 s"};
  if (const auto why = client.rejection(*edit)) return *why;
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  fmt::print("{}, on the server's disk after {:.2f} ms\n", what, ms);
  return {};
}

// Rows of numbers with commas between them, as read-local prints them; shorter rows end with empty cells.
struct Pattern {
  int width = 0;
  std::vector<map::Cell> cells;
};

Result<std::vector<map::Cell>> row_of(std::string_view text, std::size_t row) {
  std::vector<map::Cell> cells;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view number = text.substr(0, comma);
    while (!number.empty() && (number.front() == ' ' || number.front() == '\t')) number.remove_prefix(1);
    while (!number.empty() && (number.back() == ' ' || number.back() == '\r')) number.remove_suffix(1);
    map::Cell cell;
    const char* const end = number.data() + number.size();
    const auto read = std::from_chars(number.data(), end, cell.bits);
    if (read.ec != std::errc() || read.ptr != end)
      return Error{ErrorCode::bad_message,
                   fmt::format("line {} of the pattern: \"{}\" is no number from 0 to 4294967295", row + 1, number)};
    cells.push_back(cell);
    if (comma == std::string_view::npos) return cells;
    text.remove_prefix(comma + 1);
  }
}

Result<Pattern> read_pattern(std::istream& in) {
  constexpr std::size_t kCellsMax = 1 << 20;
  std::vector<std::vector<map::Cell>> rows;
  std::size_t width = 0;
  for (std::string text; std::getline(in, text);) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    Result<std::vector<map::Cell>> row = row_of(text, rows.size());
    if (!row) return row.error();
    width = std::max(width, row->size());
    rows.push_back(*std::move(row));
    if (width * rows.size() > kCellsMax)
      return Error{ErrorCode::too_large, "the pattern has more than a million cells"};
  }
  if (rows.empty()) return Error{ErrorCode::bad_message, "the pattern is empty: rows of numbers with commas between"};
  Pattern pattern{static_cast<int>(width), {}};
  for (std::vector<map::Cell>& row : rows) {
    row.resize(width);
    pattern.cells.insert(pattern.cells.end(), row.begin(), row.end());
  }
  return pattern;
}

map::CellPos position(const std::vector<std::int64_t>& numbers) {
  return {static_cast<std::int32_t>(numbers[0]), static_cast<std::int32_t>(numbers[1])};
}

}  // namespace

Status copy_cells(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  const Result<map::LayerId> from = tile_layer(*client.world(), line.layer);
  if (!from) return from.error();
  const Result<map::LayerId> to = line.to_layer.empty() ? from : tile_layer(*client.world(), line.to_layer);
  if (!to) return to.error();
  constexpr std::string_view kFlips[] = {"none", "horizontal", "vertical", "both"};
  const auto flip = static_cast<map::Flip>(std::ranges::find(kFlips, line.flip) - std::begin(kFlips));
  const map::Op op = map::copy_op(*from, *line.rect, *to, position(line.to), map::Turn::of(flip, line.turns));
  return make(client, client::EditDraft().add(op),
              fmt::format("{} cells of layer {} are at {} of layer {}, too", line.rect->area(), *from,
                          place_text(position(line.to)), *to));
}

Status flood(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  const Result<map::LayerId> layer = tile_layer(*client.world(), line.layer);
  if (!layer) return layer.error();
  const map::CellPos at = position(line.cell);
  // As far as one flood may reach, around where it begins.
  constexpr std::int64_t kSide = 512;
  const map::Rect around = map::Rect::of_size(at.x - kSide / 2, at.y - kSide / 2, kSide, kSide);
  const map::Rect bounds = line.rect.value_or(around.intersect(client.world()->area()));
  return make(client, client::EditDraft().flood(*layer, at, map::Cell{line.tile}, bounds),
              fmt::format("what was joined to {} inside [{},{},{},{}] is tile {} now", place_text(at), bounds.x0,
                          bounds.y0, bounds.width(), bounds.height(), line.tile));
}

Status draw_line(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  const Result<map::LayerId> layer = tile_layer(*client.world(), line.layer);
  if (!layer) return layer.error();
  const map::CellPos from = position(line.cell), to = position(line.to);
  return make(client, client::EditDraft().line(*layer, from, to, map::Cell{line.tile}, line.thickness),
              fmt::format("a line from {} to {} is tile {} now", place_text(from), place_text(to), line.tile));
}

Status stamp(const CommandLine& line) {
  std::ifstream file;
  if (line.file != "-") {
    file.open(line.file);
    if (!file) return Error{ErrorCode::not_found, "cannot read " + line.file};
  }
  const Result<Pattern> pattern = read_pattern(line.file == "-" ? std::cin : file);
  if (!pattern) return pattern.error();
  Result<std::unique_ptr<client::Client>> entered = enter(line, line.world);
  if (!entered) return entered.error();
  client::Client& client = **entered;
  const Result<map::LayerId> layer = tile_layer(*client.world(), line.layer);
  if (!layer) return layer.error();
  const map::CellPos at = position(line.cell);
  return make(client, client::EditDraft().stamp(*layer, at, pattern->width, pattern->cells),
              fmt::format("the pattern is at {} of layer {}", place_text(at), *layer));
}

}  // namespace terrazzo::cli
