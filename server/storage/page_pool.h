#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "server/storage/page_file.h"
#include "server/storage/ready_request.h"
#include "server/storage/residency.h"

namespace terrazzo::storage {

// Which pages of the file are free. A page that a durable root reaches, or the one being written, waits until a newer
// root is durable before it is used again; others do not, or a shard that is read while it is painted would grow with
// every state that was pinned until the next checkpoint.
class PagePool {
 public:
  PagePool(PageFile& file, Residency& residency) : file_(file), residency_(residency) {}

  // At least `pages` calls of take() will succeed. overloaded: the disk is full.
  Status reserve(std::size_t pages) {
    if (!returned_.empty()) settle(pages);
    return free_.size() >= pages ? Status() : grow(pages);
  }
  PageNo take();
  // Looks ahead at what `pages` calls of take() will give: the kernel reads a page before it lets one overwrite it.
  void look(std::size_t pages, Missing& missing);
  // A page that no root knows.
  void give_back(PageNo page) { free_again(page); }
  // A page that no head or pin reaches any more. Waits for the next root if the newest one (durable or being written)
  // may reach it: if it was taken before that one began.
  void retire(PageNo page) {
    if (is_young(page)) return free_again(page);
    flip(page);
    retired_.push_back(page);
  }

  // ---- pages made ready by another thread ----
  // Pages were taken, and few of those that come next are ready.
  bool wants_ready() const { return taken_ && (ready_ < ready_goal() / 2 || free_count() < ready_goal()); }
  // They count as ready from here on: taking one that is not costs its fault, nothing else. The thread may make one
  // writable that is taken meanwhile.
  ReadyRequest ask_ready();
  // The request is done; with disk space for its new pages, if `grown`.
  void made_ready(const ReadyRequest& request, bool grown);
  // The file was synced: the next write to each page faults again.
  void synced() {
    ready_ = 0;
    demand_ /= 2;
  }

  // The present state becomes a root: what was retired so far is in the root before it only.
  void root_begun();
  // That root is durable: those pages are free. However many they are, this is a moment's work; later calls of
  // reserve() put them where take() finds them.
  void root_durable();

  // A bit for each of the pages from `first` (a multiple of 64) on, as of root_begun(): what is free once that root is
  // durable. Each part of the file is asked for once, whatever is taken and given back meanwhile.
  void copy_free_bits(PageNo first, std::span<std::byte> bits);
  // After open: `pages` were in the file when the root was written, `bits` tells which were free. False: too few bits.
  bool adopt(std::span<const std::byte> bits, PageNo pages);
  // A new file: every page but the roots.
  void adopt_new();

  std::size_t free_count() const { return free_.size() + returned_.size() + unbacked_.size(); }
  std::size_t pending_count() const { return retired_.size() + leaving_.size(); }
  template <class Visit>
  void for_each_free(Visit&& visit) const {
    for (const PageNo page : free_) visit(page);
    for (const PageNo page : returned_) visit(page);
    for (const PageNo page : unbacked_) visit(page);
  }
  template <class Visit>
  void for_each_pending(Visit&& visit) const {
    for (const PageNo page : retired_) visit(page);
    for (const PageNo page : leaving_) visit(page);
  }

 private:
  // A slice of returned_ becomes free_, or as many as it takes for `wanted` pages there.
  void settle(std::size_t wanted);
  Status grow(std::size_t wanted);
  void adopt_grown(PageNo before);
  Status back(std::size_t wanted);
  PageNo extent() const;
  std::size_t ready_goal() const;
  // It was written lately.
  void free_again(PageNo page) {
    flip(page);
    free_.push_back(page);
    ++ready_;
  }
  // Of a page in use: it was taken since the newest root began.
  bool is_young(PageNo page) const { return (flipped_[page / 64] >> page % 64 & 1) != 0; }
  // It comes into use, or goes out of it.
  void flip(PageNo page) {
    const std::uint64_t bit = std::uint64_t{1} << page % 64;
    unused_[page / 64] ^= bit;
    flipped_[page / 64] ^= bit;
  }
  // The bitmaps reach as far as the file; pages from `first` to before `end` are unused.
  void cover(PageNo first, PageNo end);
  // As far as the file, and no page is unused.
  void cover_anew();
  void clear_blank(std::size_t to);

  PageFile& file_;
  Residency& residency_;
  std::vector<PageNo> free_;      // taken from the back; the last ready_ of them can be written without a fault
  std::vector<PageNo> returned_;  // free, not in free_ yet
  std::vector<PageNo> retired_, leaving_;
  std::size_t ready_ = 0;
  bool taken_ = false;            // since ask_ready()
  std::size_t demand_ = 0;        // pages taken lately: since the last sync, and less and less of those before
  std::vector<PageNo> unbacked_;  // free, but perhaps without disk space yet
  // A bit for each page, so that telling what was free when a root began is a few words at a time: free, or on the way
  // there; and whether that has changed since the newest root began.
  std::vector<std::uint64_t> unused_, flipped_;
  std::vector<std::uint64_t> blank_;  // becomes flipped_ when the next root begins; not yet zeros from blank_from_ on
  std::size_t blank_from_ = 0;
  PageNo root_pages_ = 0;  // of the file when the newest root began
};

}  // namespace terrazzo::storage
