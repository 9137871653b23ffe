#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "map/coords.h"

namespace terrazzo::cli {

// What was asked, and everything it was asked with. Only the fields of `command` mean something.
struct CommandLine {
  std::optional<int> exit_code;  // --help, or flags that are wrong (explained already)
  std::string command;

  std::string server = "http://127.0.0.1:8080";
  std::string ca_file;                         // for https://; empty: whom the system trusts
  std::string token;                           // for servers with --auth token
  std::string version, other_version = "now";  // of a world, by name or number; of backup: its name
  std::string branch;                          // its name
  std::string with = "main";                   // of diff-branch: main or origin
  std::string take;                            // of merge: ours or theirs; empty: refuse where both have changed
  std::vector<std::int64_t> ours, theirs;      // of merge: four numbers a rectangle
  bool preview = false;                        // of merge and revert
  bool yes = false;                            // of revert: do not ask
  std::string by;                              // of history and revert: whose edits
  std::string before;                          // of history: where the page before ended
  double hours = 0;                            // of history: how far back; 0: as far as there is
  unsigned limit = 20;                         // of history
  std::vector<std::int64_t> cell;              // of blame, flood, line and stamp: two numbers
  std::vector<std::int64_t> to;                // of copy and line: likewise
  std::string to_layer;                        // of copy; empty: the same
  std::string flip = "none";                   // of copy
  unsigned turns = 0;                          // of copy: quarters clockwise
  int thickness = 1;                           // of line, in cells
  std::string text;                            // of chat; empty: listen
  std::string shard;                           // of move: X,Y
  unsigned core = 0;                           // of move
  std::uint64_t session = 0;                   // of release: whose claim
  std::uint32_t claim = 0;                     // its number there
  std::string since;                           // of backup: an earlier one to build on; of revert: a time
  std::string until;                           // of revert and diff-times: a time
  std::string at;                              // of render: a time; empty: now
  std::string world;
  // Of edit-world: what the world is to be called; NUMBER=NAME each.
  std::string new_name;
  std::vector<std::string> layer_names, tileset_names;
  std::string file;
  std::optional<map::Rect> rect;  // cells
  std::string layer;              // name or id; empty: the command's default
  std::uint32_t tile = 0;
  double scale = 1;
  std::string encoding = "csv";
  bool force = false;  // of export: replace images that differ
  double seconds = 0;  // of watch and chat; 0: until it is interrupted
  bool once = false;

  // token
  std::string data = "data";
  std::string key_file;   // empty: the data folder's secret
  std::string algorithm;  // empty: the key's
  std::string key_id, issuer, audience;
  std::string user = "me";
  std::string name = "terrazzo";                  // for others, and for a server that wants no token
  std::string edit;                               // of undo and redo: AUTHOR:NUMBER; empty: the newest
  std::vector<std::string> roles = {"*=editor"};  // WORLD=ROLE, or ROLE everywhere
  std::string expires = "24h";                    // number and unit, or never
};

CommandLine parse_command_line(int argc, char** argv);

}  // namespace terrazzo::cli
