#pragma once

// Ctrl-C, for commands that go on until somebody has had enough.
namespace terrazzo::cli {

// From now on SIGINT and SIGTERM end no process, but are noted. On the main thread, once.
void note_interruptions();
bool interrupted();

}  // namespace terrazzo::cli
