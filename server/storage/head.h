#pragma once

#include "server/storage/shard_store.h"

namespace terrazzo::storage {

// One head of a store as if it were all there is: a pointer and a number, copied at will; the store outlives it.
// Without a store everything reads as empty, and nothing else may be called. See ShardStore for what the calls do.
class Head {
 public:
  Head() = default;
  Head(ShardStore& store, HeadId id = kMainHead) : store_(&store), id_(id) {}

  explicit operator bool() const { return store_ != nullptr; }
  HeadId id() const { return id_; }

  ChunkRead read(std::uint8_t layer, std::uint16_t chunk) const {
    return store_ == nullptr ? ChunkRead{} : store_->read(layer, chunk, id_);
  }
  ChunkRead read(const PinInfo& pin, std::uint8_t layer, std::uint16_t chunk) const {
    return store_->read(pin, layer, chunk);
  }
  Lsn lsn() const { return store_ == nullptr ? Lsn{} : store_->lsn(id_); }

  Status begin_edit(Lsn lsn, std::uint32_t pages_worst) const { return store_->begin_edit(lsn, pages_worst, id_); }
  std::uint32_t* write(std::uint8_t layer, std::uint16_t chunk) const { return store_->write(layer, chunk); }
  void fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value) const {
    store_->fill_chunk(layer, chunk, value);
  }
  void fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value) const {
    store_->fill_region(layer, region, value);
  }
  void fill_layer(std::uint8_t layer, std::uint32_t value) const { store_->fill_layer(layer, value); }
  std::uint64_t restore(const PinInfo& from, std::uint8_t layer, const ChunkRect& chunks) const {
    return store_->restore(from, layer, chunks);
  }

  const PinInfo& pin(PinKind kind, std::uint64_t id) const { return store_->pin(kind, id, id_); }
  Status unpin(PinKind kind, std::uint64_t id) const { return store_->unpin(kind, id, id_); }
  const PinInfo* find_pin(PinKind kind, std::uint64_t id) const { return store_->find_pin(kind, id, id_); }
  // The head's own, those being dropped left out.
  std::vector<PinInfo> pins() const {
    std::vector<PinInfo> own = store_->pins();
    std::erase_if(own, [&](const PinInfo& pin) { return pin.head != id_ || pin.dropping; });
    return own;
  }

  void look_read(const Access& access, Missing& missing) const { store_->look_read(access, missing, id_); }
  void look_read(const PinInfo& pin, const Access& access, Missing& missing) const {
    store_->look_read(pin, access, missing);
  }
  void look_write(const Access& access, Missing& missing) const { store_->look_write(access, missing, id_); }
  void look_fresh(std::size_t fresh, Missing& missing) const { store_->look_fresh(fresh, missing); }

 private:
  ShardStore* store_ = nullptr;
  HeadId id_ = kMainHead;
};

}  // namespace terrazzo::storage
