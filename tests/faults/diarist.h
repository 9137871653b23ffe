#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {

inline constexpr int kDiarists = 4;
inline constexpr map::LayerId kDiaryLayer = 1;
inline constexpr std::uint32_t kDiaryTiles = 1u << 20;
// All that diarists write: around the corner of four shards.
inline constexpr map::Rect kDiaryView = {8192 - 288, 8192 - 288, 8192 + 288, 8192 + 288};

// Somebody who paints and writes down what he sent and what he was told. Errors are what must never be, in words.
//  - Blocks, his alone, are written whole, with a greater value each time: some inside a shard, some over two, some in
//    all four, so that whole means over all of them.
//  - A counter goes from n to n + 1 under the condition that it is n: done twice, or in another order, it is refused.
//  - Noise, where everybody paints over everybody, makes logs long.
class Diarist {
 public:
  // `number` < kDiarists; every other one speaks JSON.
  Diarist(client::Reactor& reactor, int number, std::uint16_t port);

  client::Client& client() { return *client_; }
  // One edit of some kind, on a connection or without.
  Status write(std::mt19937& random);
  // Writes down what is durable by now.
  Status look();
  bool all_durable() const { return durable_ == newest_ && client_->edits_waiting() == 0; }

  std::uint64_t edits() const { return edits_; }

  // By block, the counter last; 0: never written.
  using Values = std::vector<std::uint32_t>;
  const Values& durable() const { return durable_; }
  const Values& newest() const { return newest_; }
  // What `reader` shows is at least `durable`, at most `newest`, and whole.
  Status compare(const client::Client& reader, const Values& durable, const Values& newest) const;

 private:
  struct Sent {
    EditId id;
    std::size_t block = 0;
    std::uint32_t value = 0;
  };
  Status send(const client::EditDraft& draft, std::size_t block, std::uint32_t value);

  std::unique_ptr<client::Client> client_;
  int number_;
  Values durable_, newest_;
  std::vector<Sent> waiting_;
  std::uint32_t next_value_ = 1;
  std::uint64_t edits_ = 0;
};

// Somebody who has seen nothing yet, and now sees all of it.
Result<std::unique_ptr<client::Client>> look_anew(std::uint16_t port);
// All cells of kDiaryView.
std::vector<map::Cell> cells_of(const client::Client& client, client::View view);

}  // namespace terrazzo::integration
