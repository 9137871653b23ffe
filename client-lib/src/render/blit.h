#pragma once

#include "client-lib/src/render/draw_list.h"

namespace terrazzo::render {

// Puts one picture on a premultiplied RGBA canvas (source over destination; Porter and Duff 1984), whose corner is at
// (canvas_x, canvas_y) of the view.
void blit(const DrawCommand& command, Image& canvas, std::int64_t canvas_x, std::int64_t canvas_y);

}  // namespace terrazzo::render
