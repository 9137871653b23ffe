#pragma once

#include "terrazzo/render.h"

namespace terrazzo::render {

// A premultiplied picture at another size: the mean of what each new pixel covers, or the pixel repeated.
Image scaled_to(const Image& from, std::uint32_t width, std::uint32_t height);
// Premultiplied → straight, in place.
void straighten(Image& image);

}  // namespace terrazzo::render
