#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <vector>

namespace terrazzo::cli {
namespace {

void add_server(CLI::App* app, CommandLine& line) {
  app->add_option("--server", line.server, "the server's address")->envname("TERRAZZO_SERVER")->capture_default_str();
  app->add_option("--ca", line.ca_file, "PEM file of whom to trust over https://, instead of whom the system trusts")
      ->envname("TERRAZZO_CA");
  app->add_option("--as", line.name,
                  "who you are to others; to a server that wants no token also whose edits are yours")
      ->envname("TERRAZZO_NAME")
      ->capture_default_str();
  app->add_option("--token", line.token, "for a server with --auth token; `terrazzo token` makes one")
      ->envname("TERRAZZO_TOKEN");
}

CLI::Option* add_rect(CLI::App* command, std::vector<std::int64_t>& rect, const char* help) {
  return command->add_option("--rect", rect, help)->delimiter(',')->expected(4)->type_name("X,Y,W,H");
}

void add_scale(CLI::App* command, CommandLine& line) {
  command->add_option("--scale", line.scale, "pixels of the picture per pixel of the art")
      ->check(CLI::Range(0.01, 8.0))
      ->capture_default_str();
}

// Of commands that tell where two states differ: show it instead.
void add_png(CLI::App* command, CommandLine& line, std::vector<std::int64_t>& rect) {
  command->add_option("--png", line.file,
                      "draw it into this file instead: green what was empty, red what is empty now, amber other tiles");
  add_rect(command, rect, "of the picture, in cells (default: the whole world, where it has bounds)");
  command->add_option("--layer", line.layer, "of the picture: only what differs in this tile layer (default: all)");
  add_scale(command, line);
}

void add_import_and_export(CLI::App& app, CommandLine& line) {
  CLI::App* import = app.add_subcommand(
      "import", "make a world from a map of the Tiled editor (.tmx or .tmj, all encodings, infinite maps)");
  import->add_option("file", line.file, "the map")->required();
  import->add_option("--world", line.world, "name of the new world (default: the file's name)");
  add_server(import, line);

  CLI::App* exported =
      app.add_subcommand("export", "write a world as a map for the Tiled editor, with its images beside it");
  exported->add_option("world", line.world, "name or id")->required();
  exported->add_option("file", line.file, "FILE.tmx or FILE.tmj")->required();
  exported->add_option("--encoding", line.encoding, "of the cells: csv, base64, zlib, gzip or zstd")
      ->check(CLI::IsMember({"csv", "base64", "zlib", "gzip", "zstd"}))
      ->capture_default_str();
  exported->add_flag("--force", line.force, "replace images beside the file that have other content");
  add_server(exported, line);
}

void add_edit_world(CLI::App& app, CommandLine& line) {
  CLI::App* edit = app.add_subcommand(
      "edit-world", "rename a world, or change its metadata; whoever has it open sees it at once (owners only)");
  edit->add_option("world", line.world, "name or id")->required();
  edit->add_option("--name", line.new_name, "its new name");
  edit->add_option("--layer-name", line.layer_names, "of a layer: ID=NAME");
  edit->add_option("--tileset-name", line.tileset_names, "of a tileset: FIRST_TILE=NAME");
  edit->add_option("--patch", line.file,
                   "file with a JSON object of everything that is to change, as PATCH /v1/worlds takes it");
  add_server(edit, line);
}

void add_watch_and_paint(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  CLI::App* watch =
      app.add_subcommand("watch", "a live view of a world in the terminal, with who is there (Ctrl-C ends it)");
  watch->add_option("world", line.world, "name or id")->required();
  add_rect(watch, rect, "the part to show, in cells (default: as much as fits, from the corner of the world)");
  watch->add_option("--layer", line.layer,
                    "only this tile layer, by name or id (default: all, the upper ones in front)");
  watch->add_option("--seconds", line.seconds, "stop after this time");
  watch->add_flag("--once", line.once, "draw once and stop");
  add_server(watch, line);

  CLI::App* paint =
      app.add_subcommand("paint", "fill a rectangle with a tile, and wait until that is on the server's disk");
  paint->add_option("world", line.world, "name or id")->required();
  add_rect(paint, rect, "in cells")->required();
  paint->add_option("--tile", line.tile, "index of the tile; 0 erases")->required();
  paint->add_option("--layer", line.layer, "tile layer by name or id (default: the topmost)");
  add_server(paint, line);
}

CLI::Option* add_place(CLI::App* command, const char* name, std::vector<std::int64_t>& place, const char* help) {
  return command->add_option(name, place, help)
      ->delimiter(',')
      ->expected(2)
      ->type_name("X,Y")
      ->check(CLI::Range(-2147483648.0, 2147483647.0));
}

void add_copy_and_flood(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  CLI::App* copy =
      app.add_subcommand("copy",
                         "lay the cells of a rectangle down again elsewhere, flipped and turned if you like; one step "
                         "for `terrazzo undo`\n\n"
                         "  terrazzo copy island --rect 0,0,20,10 --to 40,0\n"
                         "  terrazzo copy island --rect 0,0,20,10 --to 40,0 --flip horizontal --turns 1\n"
                         "  terrazzo copy island --layer Ground --rect 0,0,20,10 --to 0,0 --to-layer Roofs\n\n"
                         "The two places may overlap. It is flipped first, then turned; what the tiles show is turned "
                         "with them. At most as "
                         "many cells as the server's --derived-cells-per-edit-max (512 by 512 unless set otherwise).");
  copy->add_option("world", line.world, "name or id")->required();
  add_rect(copy, rect, "what to copy, in cells")->required();
  add_place(copy, "--to", line.to, "where its upper left corner goes")->required();
  copy->add_option("--layer", line.layer, "tile layer by name or id (default: the topmost)");
  copy->add_option("--to-layer", line.to_layer, "where it goes (default: the same layer)");
  copy->add_option("--flip", line.flip, "none, horizontal (left becomes right), vertical or both")
      ->check(CLI::IsMember({"none", "horizontal", "vertical", "both"}))
      ->capture_default_str();
  copy->add_option("--turns", line.turns, "quarters clockwise")->check(CLI::Range(0, 3))->capture_default_str();
  add_server(copy, line);

  CLI::App* flood =
      app.add_subcommand("flood",
                         "fill the region of equal cells around a place with a tile; one step for `terrazzo undo`\n\n"
                         "  terrazzo flood island --at 12,30 --tile 7\n"
                         "  terrazzo flood island --at 12,30 --tile 7 --rect 0,0,100,100    not beyond these cells\n\n"
                         "A region goes on where cells touch side by side, not at corners. --rect has at most as many "
                         "cells as the server's "
                         "--derived-cells-per-edit-max.");
  flood->add_option("world", line.world, "name or id")->required();
  add_place(flood, "--at", line.cell, "where it begins")->required();
  flood->add_option("--tile", line.tile, "index of the tile; 0 erases")->required();
  add_rect(flood, rect, "how far it may go (default: 512 by 512 cells around the place)");
  flood->add_option("--layer", line.layer, "tile layer by name or id (default: the topmost)");
  add_server(flood, line);
}

void add_line_and_stamp(CLI::App& app, CommandLine& line) {
  CLI::App* drawn = app.add_subcommand("line",
                                       "draw a straight line of a tile; one step for `terrazzo undo`\n\n"
                                       "  terrazzo line island --from 0,0 --to 40,12 --tile 7 --thickness 3");
  drawn->add_option("world", line.world, "name or id")->required();
  add_place(drawn, "--from", line.cell, "its first cell")->required();
  add_place(drawn, "--to", line.to, "its last cell")->required();
  drawn->add_option("--tile", line.tile, "index of the tile; 0 erases")->required();
  drawn->add_option("--thickness", line.thickness, "in cells")->check(CLI::Range(1, 1024))->capture_default_str();
  drawn->add_option("--layer", line.layer, "tile layer by name or id (default: the topmost)");
  add_server(drawn, line);

  CLI::App* stamp = app.add_subcommand(
      "stamp",
      "lay a pattern of cells down, leaving alone what is under its empty ones; one step for `terrazzo undo`\n\n"
      "  printf '1,2,1\\n0,3,0\\n' | terrazzo stamp island - --at 10,10\n"
      "  terrazzo read-local data island --rect 0,0,8,4 > house.csv; terrazzo stamp island house.csv --at 50,20\n\n"
      "A pattern is rows of numbers with commas between them, as read-local prints them: the low 28 bits are the index "
      "of "
      "a tile (0: empty, nothing is written there), the high 4 its flips, as in Tiled.");
  stamp->add_option("world", line.world, "name or id")->required();
  stamp->add_option("file", line.file, "the pattern; -: from standard input")->required();
  add_place(stamp, "--at", line.cell, "where its upper left corner goes")->required();
  stamp->add_option("--layer", line.layer, "tile layer by name or id (default: the topmost)");
  add_server(stamp, line);
}

void add_chat(CLI::App& app, CommandLine& line) {
  CLI::App* chat =
      app.add_subcommand("chat",
                         "say something to everybody who has a world open, or listen\n\n"
                         "  terrazzo chat island \"who has the bridge?\" --as Ada\n"
                         "  terrazzo chat island                  what is said from now on (Ctrl-C ends it)\n\n"
                         "A line has at most 1024 bytes. It is kept nowhere.");
  chat->add_option("world", line.world, "name or id")->required();
  chat->add_option("text", line.text, "what to say (default: listen)");
  chat->add_option("--seconds", line.seconds, "stop listening after this time");
  add_server(chat, line);
}

void add_undo(CLI::App& app, CommandLine& line) {
  const auto command = [&](const char* name, const char* help) {
    CLI::App* made = app.add_subcommand(name, help);
    made->add_option("world", line.world, "name or id")->required();
    made->add_option("--edit", line.edit, "this edit instead of the newest: AUTHOR:NUMBER, as undo and redo print it");
    add_server(made, line);
  };
  command("undo",
          "take back your newest edit of a world, wherever you made it; cells that somebody has changed since stay as "
          "they are");
  command("redo", "do again what you undid last");
}

void add_render(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  CLI::App* render = app.add_subcommand("render", "draw a part of a world as a PNG file");
  render->add_option("world", line.world, "name or id")->required();
  render->add_option("file", line.file, "the PNG file")->required();
  add_rect(render, rect, "in cells (default: the whole world, where it has bounds)");
  add_scale(render, line);
  render
      ->add_option("--at", line.at,
                   "as it was then: how long ago (90s, 30m, 2h, 7d) or when (2026-11-22, \"2026-11-22 13:30\", "
                   "2026-11-22T13:30:05Z), as far back as the server keeps history")
      ->type_name("TIME");
  render->add_option("--version", line.version, "as it is in this version, by name or number")->excludes("--at");
  add_server(render, line);
}

void add_read_local(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  CLI::App* read = app.add_subcommand(
      "read-local",
      "print cells of a world on the server's own host, from the server's files and not through it.\n"
      "Rows of numbers with commas between them go to standard output: the low 28 bits are the index of a tile (0: "
      "empty), the high 4 its flips, as in Tiled. What state that is goes to standard error: all cells of a shard "
      "(8192 by 8192 cells) are of the same moment, and no server has to stop or even to know.\n\n"
      "  terrazzo read-local data island --rect 0,0,8,4\n"
      "  terrazzo read-local /var/lib/terrazzo island --layer Ground --rect 100,100,64,64 > ground.csv\n\n"
      "The server must be running, must have the place open (somebody looked at it or painted there since it "
      "started), and this program needs the server's rights to its folder. For programs of your own: "
      "terrazzo/local_shard.h");
  read->add_option("data", line.data, "the server's data folder")->required();
  read->add_option("world", line.world, "name or id")->required();
  add_rect(read, rect, "in cells")->required();
  read->add_option("--layer", line.layer, "tile layer by name or id (default: the topmost)");
}

void add_versions(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  const auto command = [&](const char* name, const char* help) {
    CLI::App* made = app.add_subcommand(name, help);
    made->add_option("world", line.world, "name or id")->required();
    add_server(made, line);
    return made;
  };
  command("versions", "list the saved versions of a world");
  command("save", "save the present state of a world as a version, all of it at one moment, while others paint")
      ->add_option("version", line.version, "its name")
      ->required();
  command("go-back", "make a world again what it was in a version; those who watch see it happen")
      ->add_option("version", line.version, "name or number")
      ->required();
  command("delete-version", "delete a version; its disk space comes back by and by")
      ->add_option("version", line.version, "name or number")
      ->required();
  CLI::App* diff = command("diff", "where two versions differ");
  diff->add_option("version", line.version, "name or number")->required();
  diff->add_option("other", line.other_version, "another one, or now")->capture_default_str();
  add_png(diff, line, rect);
  CLI::App* times = command("diff-times", "draw what has changed between two times, as far as history is kept");
  times->add_option("from", line.since, "how long ago (2h) or when (\"2026-11-22 13:30\")")->required()->type_name("TIME");
  times->add_option("to", line.until, "likewise")->default_str("now")->type_name("TIME");
  add_png(times, line, rect);
  times->get_option("--png")->required();
  CLI::App* backup = app.add_subcommand(
      "backup",
      "have the server write a backup of all its worlds into its backup folder, while edits go on (owners only)");
  backup->add_option("name", line.version, "of the new backup")->required();
  backup->add_option("--since", line.since,
                     "name of an earlier backup there: only what changed since is written, and the new one needs it");
  add_server(backup, line);
}

void add_branches(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  const auto command = [&](const char* name, const char* help) {
    CLI::App* made = app.add_subcommand(name, help);
    made->add_option("world", line.world, "name or id")->required();
    add_server(made, line);
    return made;
  };
  const auto named = [&](const char* name, const char* help) {
    CLI::App* made = command(name, help);
    made->add_option("branch", line.branch, "its name")->required();
    return made;
  };
  command("branches", "list the branches of a world");
  named("branch",
        "make a branch of a world: a copy that goes its own way and takes disk space only for what differs. It is "
        "opened, painted, saved and gone back like a world, as WORLD@BRANCH")
      ->add_option("--at", line.version, "version it begins at, by name or number (default: the present state)");
  named("drop-branch", "drop a branch with all its versions; its disk space comes back by and by");
  CLI::App* diff = named("diff-branch", "where a branch differs from its world");
  diff->add_option("--with", line.with, "main: the world as it is now; origin: what the branch began with")
      ->check(CLI::IsMember({"main", "origin"}))
      ->capture_default_str();
  add_png(diff, line, rect);
  CLI::App* merge = named(
      "merge",
      "bring what was changed in a branch into the line that it began in, as one edit that `terrazzo undo` takes back. "
      "Cells that both have changed, and not to the same, are conflicts: they are listed, and nothing is merged until "
      "it is said what becomes of them");
  merge->add_flag("--preview", line.preview, "only say what would be merged, and where the conflicts are");
  merge->add_option("--take", line.take, "what all conflicts become: ours (they stay) or theirs (as in the branch)")
      ->check(CLI::IsMember({"ours", "theirs"}));
  const auto choice = [&](const char* name, std::vector<std::int64_t>& rects, const char* help) {
    merge->add_option(name, rects, help)->delimiter(',')->type_size(4)->expected(1, 1000)->type_name("X,Y,W,H");
  };
  choice("--ours", line.ours, "conflicts here stay as they are; may be given again");
  choice("--theirs", line.theirs, "conflicts here become what they are in the branch; may be given again");
  add_rect(merge, rect, "merge only this part, in cells");
}

void add_history(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  const auto command = [&](const char* name, const char* help) {
    CLI::App* made = app.add_subcommand(name, help);
    made->add_option("world", line.world, "name or id")->required();
    made->add_option("--layer", line.layer, "only this tile layer, by name or id (default: all)");
    made->add_option("--by", line.by, "only this user's edits");
    add_server(made, line);
    return made;
  };
  CLI::App* history = command(
      "history",
      "list the edits of a world, the newest first, as far back as the server keeps them; AUTHOR:NUMBER is what "
      "`terrazzo undo --edit` takes");
  add_rect(history, rect, "only edits that touch these cells");
  history->add_option("--hours", line.hours, "only edits of the last so many hours")->check(CLI::PositiveNumber);
  history->add_option("--limit", line.limit, "at most so many")->check(CLI::Range(1, 1000))->capture_default_str();
  history->add_option("--before", line.before, "older ones than the last list, as it said at its end");
  command("blame", "who wrote a cell last")
      ->add_option("cell", line.cell, "X,Y")
      ->delimiter(',')
      ->expected(2)
      ->type_name("X,Y")
      ->required();
  CLI::App* forget = app.add_subcommand(
      "forget-user", "let go of what a user is called: history keeps the edits, by number (owners only)");
  forget->add_option("name", line.by, "of the user")->required();
  add_server(forget, line);
}

void add_revert(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  CLI::App* revert = app.add_subcommand(
      "revert",
      "take back everything that somebody did, or that was done in an area or since a time, in one step that `terrazzo "
      "undo` takes back. What others painted over it since stays. Shows first what it would do, and asks.\n\n"
      "  terrazzo revert island --user eve --since 2h\n"
      "  terrazzo revert island --rect 0,0,100,100 --since \"2026-11-22 13:30\" --until \"2026-11-22 14:00\"\n\n"
      "A TIME is how long ago (90s, 30m, 2h, 7d) or when (2026-11-22, \"2026-11-22 13:30\", 2026-11-22T13:30:05Z). An "
      "owner reverts anybody's edits, an editor only his own");
  revert->add_option("world", line.world, "name or id")->required();
  revert->add_option("--user", line.by, "only this user's edits");
  revert->add_option("--since", line.since, "only edits since then")->type_name("TIME");
  revert->add_option("--until", line.until, "only edits before then")->type_name("TIME");
  add_rect(revert, rect, "only these cells");
  revert->add_option("--layer", line.layer, "only this tile layer, by name or id (default: all)");
  revert->add_flag("--preview", line.preview, "only say what it would do");
  revert->add_flag("--yes", line.yes, "do not ask");
  add_server(revert, line);
}

void add_claims(CLI::App& app, CommandLine& line, std::vector<std::int64_t>& rect) {
  CLI::App* claim = app.add_subcommand(
      "claim", "keep a part of a world for yourself: nobody else can paint there while this runs (Ctrl-C lets it go)");
  claim->add_option("world", line.world, "name or id")->required();
  add_rect(claim, rect, "in cells")->required();
  claim->add_option("--layer", line.layer, "only this tile layer, by name or id (default: all)");
  claim->add_option("--seconds", line.seconds, "let it go after this time");
  add_server(claim, line);
  CLI::App* claims = app.add_subcommand("claims", "list which parts of a world are kept by whom");
  claims->add_option("world", line.world, "name or id")->required();
  add_server(claims, line);
  CLI::App* release = app.add_subcommand("release", "end somebody's claim (owners only)");
  release->add_option("world", line.world, "name or id")->required();
  release->add_option("session", line.session, "whose, as `terrazzo claims` lists it")->required();
  release->add_option("claim", line.claim, "its number there")->required();
  add_server(release, line);
}

void add_cores(CLI::App& app, CommandLine& line) {
  CLI::App* cores = app.add_subcommand(
      "cores", "how busy the server's cores are, and with which shards (owners only); ask twice for what is now");
  add_server(cores, line);
  CLI::App* move = app.add_subcommand(
      "move", "give a shard (8192 by 8192 cells) to another core of the server while people paint on it (owners only)");
  move->add_option("world", line.world, "name or id")->required();
  move->add_option("shard", line.shard, "X,Y: the shard of cell X*8192,Y*8192")
      ->required()
      ->check([](const std::string& shard) {
        const bool fits = shard.find_first_not_of("-0123456789,") == std::string::npos;
        return fits ? std::string() : "a shard is X,Y, for example 0,-1";
      });
  move->add_option("core", line.core, "from 0")->required();
  add_server(move, line);
}

void add_token_and_doctor(CLI::App& app, CommandLine& line) {
  CLI::App* token = app.add_subcommand(
      "token",
      "make a token for a server of one's own: with the secret in its data folder, or with a key of one's own");
  token->add_option("--data", line.data, "the server's data folder")->envname("TERRAZZO_DATA")->capture_default_str();
  token->add_option(
      "--key", line.key_file,
      "file with a private key (PEM without a passphrase, or a JWK) or a secret; default DATA/token.secret");
  token->add_option("--alg", line.algorithm, "RS256, EdDSA or HS256: only to make sure, since the key says it")
      ->check(CLI::IsMember({"RS256", "EdDSA", "HS256"}));
  token->add_option("--kid", line.key_id, "what the server calls the key, where it has several");
  token->add_option("--issuer", line.issuer, "for a server with --token-issuer");
  token->add_option("--audience", line.audience, "for a server with --token-audience");
  token->add_option("--user", line.user, "who the token is for")->capture_default_str();
  token
      ->add_option("--roles,--role", line.roles,
                   "viewer, editor or owner, in all worlds, or WORLD=ROLE with commas between them: "
                   "island=owner,secret=none,*=viewer")
      ->delimiter(',')
      ->capture_default_str();
  token->add_option("--expires", line.expires, "after so many s, m, h or d: 90s, 8h, 30d; or never")
      ->capture_default_str();

  CLI::App* doctor =
      app.add_subcommand("doctor", "say what this machine offers a server, and what to do about what it lacks");
  doctor->add_option("--data", line.data, "the folder whose disk is tried")->capture_default_str();
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  CLI::App app{
      "terrazzo: worlds of a Terrazzo server from the command line.\n\n"
      "  terrazzo import island.tmx --world island      a map of the Tiled editor becomes a world\n"
      "  terrazzo watch island                          see it live, in the terminal\n"
      "  terrazzo paint island --rect 10,10,4,4 --tile 7\n"
      "  terrazzo render island --rect 0,0,64,64 island.png\n"
      "  terrazzo export island island-now.tmx\n"};
  app.name("terrazzo");
  app.require_subcommand(1);
  std::vector<std::int64_t> rect;
  add_server(app.add_subcommand("worlds", "list the worlds of the server"), line);
  add_import_and_export(app, line);
  add_edit_world(app, line);
  add_watch_and_paint(app, line, rect);
  add_copy_and_flood(app, line, rect);
  add_line_and_stamp(app, line);
  add_chat(app, line);
  add_undo(app, line);
  add_render(app, line, rect);
  add_read_local(app, line, rect);
  add_versions(app, line, rect);
  add_branches(app, line, rect);
  add_history(app, line, rect);
  add_revert(app, line, rect);
  add_claims(app, line, rect);
  add_cores(app, line);
  add_token_and_doctor(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error);
    return line;
  }
  line.command = app.get_subcommands().front()->get_name();
  if (!rect.empty()) {
    line.rect = map::Rect::of_size(rect[0], rect[1], rect[2], rect[3]);
    if (line.rect->empty() || !map::kPlane.contains(*line.rect)) {
      std::fputs("terrazzo: --rect X,Y,W,H: at least one cell wide and high, inside the plane of 32-bit positions\n",
                 stderr);
      line.exit_code = 2;
    }
  }
  return line;
}

}  // namespace terrazzo::cli
