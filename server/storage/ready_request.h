#pragma once

#include <vector>

#include "server/storage/page_file.h"

namespace terrazzo::storage {

// What another thread can do for the edits to come: the first write to a page since the last sync of its file faults
// into the file system, some 1.5 µs where it was in use before and three times that where it is new; and space for new
// pages is the file system's to find.
struct ReadyRequest {
  PageNo grow_from = 0, grow_to = 0;  // the file is to have disk space for these, too; equal: it has enough
  std::vector<PageNo> pages;          // to make writable; their bytes are nobody's
};

}  // namespace terrazzo::storage
