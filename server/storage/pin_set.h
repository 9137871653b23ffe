#pragma once

#include <cstdint>
#include <vector>

#include "server/storage/page_file.h"
#include "server/storage/page_pool.h"
#include "server/storage/position.h"
#include "server/storage/shard_store.h"

namespace terrazzo::storage {

class NodeTree;
class PageLook;

// The trees of one shard besides each other: its heads and what is pinned. Knows whether anybody else still reaches a
// page, and gives the pages of dropped pins back. There is no list of dead pages for each pin, as ZFS has it: trees may
// share a page again after the head had let go of it (restore, branches), so the trees themselves are asked
// (docs/decisions/0006).
class PinSet {
 public:
  PinSet(PageFile& file, PagePool& pool) : file_(file), pool_(pool) {}

  void add_head(const NodeTree* head) { heads_.push_back(head); }
  void remove_head(const NodeTree* head) { std::erase(heads_, head); }

  PinInfo& add(const PinInfo& pin);
  // Marks it as being dropped; false: there is none.
  bool drop(PinKind kind, std::uint64_t id, HeadId head);
  // Likewise all of a head.
  void drop_all(HeadId head);
  PinInfo* find(PinKind kind, std::uint64_t id, HeadId head);
  // Goes on with what is being dropped; true: there is more. With `missing`: as far as what it reads is present.
  bool reclaim(std::size_t entries, Residency& residency, Missing* missing);

  // Whether a head other than `but` or a pin reaches the page there.
  bool held(PageNo page, const Position& at, const NodeTree* but) const;
  // Looks ahead at what held() will read.
  void look_held(PageNo page, const Position& at, const NodeTree* but, PageLook& look) const;
  // An entry of a later revision is in no other tree. Takes the pin, restore or branch at `lsn` into account.
  std::uint64_t shared_lsn() const { return shared_lsn_; }
  void share(std::uint64_t lsn) { shared_lsn_ = std::max(shared_lsn_, lsn); }
  // From now on trees share pages across LSNs, so that shared_lsn() must not sink when pins go.
  void share_for_good(std::uint64_t lsn) {
    for_good_ = true;
    share(lsn);
  }

  struct Pin {
    PinInfo info;
    std::uint32_t cursor = 0;  // being dropped: the next leaf to look at; what lies before is not this pin's any more
  };
  const std::vector<Pin>& pins() const { return pins_; }
  std::vector<Pin>& pins() { return pins_; }
  // Tells changes of what checkpoints keep.
  std::uint64_t changes() const { return changes_; }

 private:
  Pin* dropping();
  // Looks ahead at what step() will read.
  void look_step(const Pin& pin, PageLook& look) const;
  // One leaf, or the node above when its last leaf is done. Returns the entries looked at.
  std::size_t step(Pin& pin);
  std::size_t drop_leaf(const Pin& pin, const shardfile::Entry& leaf, const Position& at);
  // The leaves that the others have there, into other_leaves_.
  void find_leaves(const Pin& than, const Position& at);
  void finish(Pin& pin);
  bool held_by_others(PageNo page, const Position& at, const Pin& than) const;
  const shardfile::Node& node(PageNo page) const {
    return *reinterpret_cast<const shardfile::Node*>(file_.base() + std::size_t{page} * kPageBytes);
  }
  PageNo page_at(const shardfile::Entry& top, const Position& at) const;
  void retire(const shardfile::Entry& entry);

  PageFile& file_;
  PagePool& pool_;
  std::vector<const NodeTree*> heads_;
  std::vector<Pin> pins_;             // by age
  std::vector<PageNo> other_leaves_;  // of drop_leaf()
  std::uint64_t shared_lsn_ = 0;
  bool for_good_ = false;
  std::uint64_t changes_ = 0;
};

// Every page of a blob, first to last.
template <class Visit>
void for_each_blob_page(PageFile& file, PageNo first, Visit&& visit) {
  for (PageNo page = first; page != 0;) {
    const PageNo next =
        reinterpret_cast<const shardfile::BlobPage*>(file.base() + std::size_t{page} * kPageBytes)->next;
    visit(page);
    page = next;
  }
}

}  // namespace terrazzo::storage
