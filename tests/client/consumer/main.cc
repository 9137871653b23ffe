// A program outside of the tree, against the installed library alone.
#include <cstdio>

#include "terrazzo/client.h"
#include "terrazzo/render.h"

int main() {
  terrazzo::client::Client client({.url = "nonsense"});
  const terrazzo::Status connected = client.connect();
  const terrazzo::render::Image image{1, 1, {1, 2, 3, 4}};
  const auto png = terrazzo::render::encode_png(image);
  std::printf("%s; %zu bytes of PNG\n", connected.ok() ? "connected?" : connected.error().message.c_str(), png.ok() ? png->size() : 0);
  return connected.ok() || !png.ok() ? 1 : 0;
}
