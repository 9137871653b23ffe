#include <cstdio>
#include <string_view>

#include "cli/commands.h"

int main(int argc, char** argv) {
  using namespace terrazzo::cli;
  const CommandLine line = parse_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  constexpr struct {
    std::string_view name;
    terrazzo::Status (*run)(const CommandLine&);
  } kCommands[] = {{"worlds", list_worlds},
                   {"edit-world", edit_world},
                   {"import", import_world},
                   {"export", export_world},
                   {"watch", watch},
                   {"paint", paint},
                   {"copy", copy_cells},
                   {"flood", flood},
                   {"line", draw_line},
                   {"stamp", stamp},
                   {"chat", chat},
                   {"undo", undo},
                   {"redo", redo},
                   {"render", render},
                   {"read-local", read_local},
                   {"versions", list_versions},
                   {"save", save_version},
                   {"go-back", restore_version},
                   {"delete-version", delete_version},
                   {"diff", diff_versions},
                   {"diff-times", diff_times},
                   {"branches", list_branches},
                   {"branch", make_branch},
                   {"drop-branch", drop_branch},
                   {"diff-branch", diff_branch},
                   {"merge", merge_branch},
                   {"history", show_history},
                   {"blame", blame},
                   {"forget-user", forget_user},
                   {"revert", revert},
                   {"claim", claim_area},
                   {"claims", list_claims},
                   {"release", break_claim},
                   {"backup", backup},
                   {"cores", list_cores},
                   {"move", move_shard},
                   {"token", make_token},
                   {"doctor", doctor}};
  for (const auto& command : kCommands) {
    if (line.command != command.name) continue;
    const terrazzo::Status done = command.run(line);
    if (done) return 0;
    std::fprintf(stderr, "terrazzo %s: %s\n", line.command.c_str(), done.error().message.c_str());
    return 1;
  }
  return 2;
}
