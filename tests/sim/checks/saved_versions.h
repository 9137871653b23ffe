#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "map/coords.h"
#include "tests/sim/checks/diary.h"
#include "tests/sim/server.h"
#include "tests/sim/truth.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// A version whose saving was answered, and that nobody asked to delete, is in the server's list, every shard that was
// there when it was asked for holds its state, and that state has what was durable then and nothing from later.
class SavedVersions {
 public:
  SavedVersions(const Diary& diary, Verdict& verdict) : diary_(diary), verdict_(verdict) {}
  // Before anything is saved.
  void begin(Truth& truth) { truth_ = &truth; }

  // What a version must hold that is asked for at this moment.
  struct Moment {
    std::vector<map::ShardPos> shards;
    std::map<std::uint32_t, std::uint32_t> durable;  // values of registers, by client
  };
  Moment now(const std::string& world);
  void saved(const std::string& world, std::uint64_t version, Moment asked);
  // Asked to be deleted, whatever comes of it.
  void gone(const std::string& world, std::uint64_t version) { saved_.erase({world, version}); }
  void gone(const std::string& branch);
  void check(Server& server);

 private:
  struct Saved {
    Moment asked;
    std::map<std::uint32_t, std::uint32_t> written;  // when it was answered
  };
  using Name = std::pair<std::string, std::uint64_t>;
  void check_listed(const Name& name, Server& server);
  void check_shards(const Name& name, const Saved& saved);
  void check_registers(const Name& name, const Saved& saved);
  void fail(const Name& name, const std::string& what);

  Truth* truth_ = nullptr;
  const Diary& diary_;
  Verdict& verdict_;
  std::map<Name, Saved> saved_;
};

}  // namespace terrazzo::sim
