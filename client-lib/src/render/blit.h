#pragma once

#include "client-lib/src/render/draw_list.h"

namespace terrazzo::render {

// Puts one picture on a premultiplied RGBA canvas (source over destination; Porter and Duff 1984).
void blit(const DrawCommand& command, Image& canvas);

}  // namespace terrazzo::render
