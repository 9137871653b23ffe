#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/cast.h"
#include "tests/sim/checks/undo.h"
#include "tests/sim/random.h"

namespace terrazzo::sim {

// Authors who write on slates in the diary, take back what they wrote and do it again, step by step or by name, each
// with somebody who writes between the lines. One thing after another, so that a plain model knows what must come of
// it, whatever happens to connections, server and disk meanwhile. Where nobody can know whether something was done,
// the author goes on on a clean slate.
class Scribes {
 public:
  Scribes(Cast& cast, Random random) : cast_(cast), random_(random) {}
  // So many authors come, once.
  void come(int authors);
  // There is activity.
  void begin();
  void told(std::uint32_t client, const client::Event& event);
  // It has crashed; nobody knows what became of what it had asked for.
  void gone(std::uint32_t client);
  bool plays(std::uint32_t client) const;
  void check(Truth& truth) const;

 private:
  struct Ask {
    enum class Kind : std::uint8_t { write, overwrite, undo, redo, in_vain } kind = Kind::write;
    std::uint32_t client = 0;
    EditId id = {};
    std::vector<int> cells = {};  // written
    std::uint32_t value = 0;
    EditId about = {};    // of undo and redo: which edit it must be
    ErrorCode code = {};  // in vain: with which it must be refused
  };
  struct Author {
    std::uint32_t self = 0, other = 0;
    int slate = 0;
    double rate = 1;
    SessionId session = {};  // of all edits on the slate
    SlateModel model = {};
    std::optional<Ask> ask = {};  // that is not answered
    Incarnation written_in = {};  // the run of the server in which the newest edit was answered
    bool sees_mural = false;
    bool over = false;  // no clean slate is left
  };

  void later(std::size_t author);
  void act(Author& author);
  void write(Author& author, bool by_other);
  void paint_mural(Author& author, Client& client);
  void take_back(Author& author, bool redo);
  void ask_in_vain(Author& author);
  void undo(Author& author, Client& client, proto::Undo wanted, Ask ask);
  void done(Author& author, const client::UndoDone& event);
  void refused(Author& author, const client::EditRejected& event);
  void written(Author& author);
  void clean_slate(Author& author);
  Author* who_asked(std::uint32_t client, EditId id);
  std::vector<int> some_cells();

  Cast& cast_;
  Random random_;
  std::vector<Author> authors_;
  int slates_ = 0;
  std::uint32_t value_ = 0;
  std::uint64_t turn_ = 0;
};

}  // namespace terrazzo::sim
