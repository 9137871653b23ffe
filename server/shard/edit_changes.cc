#include "server/shard/edit_changes.h"

#include <map>
#include <memory>
#include <tuple>

#include "map/edit_apply.h"

namespace terrazzo::shard {
namespace {

struct Canvas {
  ChunkCells before{}, after{};
};
using Canvases = std::map<std::tuple<map::LayerId, std::int32_t, std::int32_t>, std::unique_ptr<Canvas>>;

void paint(Canvases& canvases, const map::Op& op, ChunkCells Canvas::*side) {
  map::for_each_chunk_part(op.rect, [&](map::ChunkPos chunk, const map::Rect&) {
    auto& canvas = canvases[{op.layer, chunk.y, chunk.x}];
    if (!canvas) canvas = std::make_unique<Canvas>();
    map::apply_op(op, chunk, (*canvas).*side);
  });
}

}  // namespace

Status for_each_change(const LoggedEdit& edit, const ChangeVisit& visit) {
  TZ_ASSERT(edit.pre_image_kind == PreImageKind::cells && !edit.restore);
  Arena scratch;
  const auto overwritten = decode_pre_image(edit.edit.ops, edit.pre_image, scratch);
  if (!overwritten) return overwritten.error();
  Canvases canvases;
  for (const map::Op& op : *overwritten) paint(canvases, op, &Canvas::before);
  for (auto& [at, canvas] : canvases) canvas->after = canvas->before;
  for (const map::Op& op : edit.edit.ops) paint(canvases, op, &Canvas::after);
  for (const auto& [at, canvas] : canvases)
    visit(std::get<0>(at), {std::get<2>(at), std::get<1>(at)}, canvas->before, canvas->after);
  return {};
}

}  // namespace terrazzo::shard
