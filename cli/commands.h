#pragma once

#include "base/error.h"
#include "cli/command_line.h"

// One function per command; an error is shown to the person and ends the program with exit code 1.
namespace terrazzo::cli {

Status list_worlds(const CommandLine& line);
Status edit_world(const CommandLine& line);
Status import_world(const CommandLine& line);
Status export_world(const CommandLine& line);
Status watch(const CommandLine& line);
Status paint(const CommandLine& line);
Status copy_cells(const CommandLine& line);
Status flood(const CommandLine& line);
Status draw_line(const CommandLine& line);
Status stamp(const CommandLine& line);
Status chat(const CommandLine& line);
Status undo(const CommandLine& line);
Status redo(const CommandLine& line);
Status render(const CommandLine& line);
Status read_local(const CommandLine& line);
Status list_versions(const CommandLine& line);
Status save_version(const CommandLine& line);
Status restore_version(const CommandLine& line);
Status delete_version(const CommandLine& line);
Status diff_times(const CommandLine& line);
Status forget_user(const CommandLine& line);
Status diff_versions(const CommandLine& line);
Status list_branches(const CommandLine& line);
Status make_branch(const CommandLine& line);
Status drop_branch(const CommandLine& line);
Status diff_branch(const CommandLine& line);
Status merge_branch(const CommandLine& line);
Status show_history(const CommandLine& line);
Status revert(const CommandLine& line);
Status blame(const CommandLine& line);
Status claim_area(const CommandLine& line);
Status list_claims(const CommandLine& line);
Status break_claim(const CommandLine& line);
Status backup(const CommandLine& line);
Status list_cores(const CommandLine& line);
Status move_shard(const CommandLine& line);
Status make_token(const CommandLine& line);
Status doctor(const CommandLine& line);

}  // namespace terrazzo::cli
