#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "map/coords.h"
#include "map/world.h"
#include "proto/messages.h"

namespace terrazzo::loadtest {

struct Options {
  std::string server = "http://127.0.0.1:8080";
  std::string world = "demo";
  std::string ca_file;  // for https://; empty: whom the system trusts
  std::string token;
  std::uint32_t clients = 200;
  double rate = 2;                        // edits per second and painter
  std::optional<std::uint32_t> painters;  // how many of the clients paint; all, if not given
  double seconds = 10;
  std::uint32_t threads = 1;  // of this program
  proto::Form form = proto::Form::binary;
  bool mixed_forms = false;  // every other client in the JSON form
  map::Rect area = map::Rect::of_size(0, 0, 256, 256);
  std::optional<map::LayerId> layer;  // the first tile layer, if not given
  std::uint64_t seed = 1;
  bool verify = false;
  bool applied = false;  // ask for acknowledgements when applied, not when durable
  std::optional<int> server_pid;
  std::string json_file;
};

}  // namespace terrazzo::loadtest
