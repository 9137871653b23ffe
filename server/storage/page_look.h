#pragma once

#include <cstdint>
#include <functional>

#include "server/storage/page_file.h"
#include "server/storage/position.h"
#include "server/storage/residency.h"
#include "server/storage/shard_store.h"

namespace terrazzo::storage {

class NodeTree;
class PinSet;

// Walks what an access will touch, without touching a page that is not present: what is cold goes to a list, and what
// lies below it waits for the next look.
class PageLook {
 public:
  PageLook(PageFile& file, Residency& residency, Missing& missing)
      : file_(file), residency_(residency), missing_(missing) {}

  // The chunks of one tree. `changing`: what this head shares with pins will be looked for in those, see
  // PinSet::held().
  void tree(const shardfile::Entry& top, const Access& access, const PinSet& pins, const NodeTree* changing);
  // Whether the node may be entered; false, too: there is none.
  bool node(const shardfile::Entry& entry);
  const shardfile::Entry& entry(const shardfile::Entry& of, std::size_t index) const {
    return reinterpret_cast<const shardfile::Node*>(file_.base() + std::size_t{of.value} * kPageBytes)->at(index);
  }
  // The nodes on the way down to `at`; whether the page there is this one, as far as one can tell.
  bool leads_to(const shardfile::Entry& top, const Position& at, PageNo page);

 private:
  bool wanted(PageNo page, std::uint32_t crc, bool present);
  void chunk(const shardfile::Entry& entry, Access::Depth depth);
  void shared(const shardfile::Entry& entry, const Position& at, const PinSet& pins, const NodeTree* changing);

  PageFile& file_;
  Residency& residency_;
  Missing& missing_;
};

}  // namespace terrazzo::storage
