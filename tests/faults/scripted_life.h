#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "terrazzo/client.h"

// A server's life with clients, in days that begin with a start and end with a stop or with kill -9; and the proof,
// after whatever its disk did to it, that what the clients were told is true.
namespace terrazzo::integration {

inline constexpr int kDays = 3;

// What the clients were told. Blocks are areas that edits write whole, each time with a greater value.
struct Told {
  using Blocks = std::map<int, std::uint32_t>;
  Blocks durable, sent;
  bool world = false;  // 201
  bool image = false;
  // A version that was saved (201): each block between these.
  struct Version {
    Blocks durable, sent;
  };
  std::optional<Version> noon;
  bool delete_asked = false, deleted = false;  // 200
  // Of the newest day: whether the server listened, and whether at its end everything could be edited.
  bool started = false, went_on = false;
};

// Whether what is under way may never come: on a good disk everything does, however busy the machine is; on a failing
// one waiting long for each thing would take hours, and what is not waited for counts as not told.
enum class Disk { good, failing };

// Day 0 makes the world, paints until the log has more than one segment, saves a version and an image, and ends with
// kill -9. Day 1 recovers, paints and stops. Day 2 starts from a clean stop, paints, deletes the version and stops.
void live_a_day(int day, const std::filesystem::path& data, Told& told, Disk disk = Disk::good);

// On a good disk: the server starts, everything the clients were told is there, nothing is torn, everything can be
// edited, it stops, and `terrazzo-server verify` has no findings.
void expect_nothing_lost(const std::filesystem::path& data, Told& told);

// What is shown to somebody who has just come lies between these and is not torn. While the disk fails that may be
// nothing, but nothing wrong; and an edit over two shards may have reached one of them only.
void expect_blocks(std::uint16_t port, const Told::Blocks& at_least, const Told::Blocks& at_most,
                   Disk disk = Disk::good);
void expect_pages_accounted_for(const std::filesystem::path& data);

// ---- what the days are made of ----

// One core; files written by threads, because nobody can preload anything into io_uring.
std::vector<std::string> life_flags();
inline constexpr map::LayerId kLifeLayer = 1;
inline constexpr std::uint32_t kLifeTiles = 100'000;
map::Rect life_block(int index);
// Connected, and in the world; null: not possible.
std::unique_ptr<client::Client> enter_life(std::uint16_t port, Disk disk = Disk::good);

// Paints blocks with value + index, and writes down what was sent and what was said to be durable.
class Painter {
 public:
  Painter(client::Client& client, Told& told, Disk disk = Disk::good);

  // One after the other, so that each has its own group in the log.
  void paint(int first, int last, std::uint32_t value);
  void paint_at_once(int first, int last, std::uint32_t value);
  // Everything, again and again, until all of it is durable. False: the server is gone, or takes no more edits before
  // it is started again.
  bool go_on(std::uint32_t value);

 private:
  struct Sent {
    EditId id;
    int index;
    std::uint32_t value;
  };
  void send(int index, std::uint32_t value);
  bool hear();  // all are durable

  client::Client& client_;
  Told& told_;
  std::vector<Sent> waiting_;
  std::chrono::milliseconds patience_;
  bool refused_for_good_ = false;
};

// ---- the shim ----

// Environment for the servers started in its lifetime. `count` empty: nobody asks.
class ShimSettings {
 public:
  ShimSettings(const std::filesystem::path& folder, long at, int kind, const std::filesystem::path& count);
  ~ShimSettings();
  ShimSettings(const ShimSettings&) = delete;
  ShimSettings& operator=(const ShimSettings&) = delete;
  void set(const std::string& name, const std::string& value);

 private:
  std::vector<std::string> names_;
};

// Where thousands of lives fit and syncs cost nothing: /dev/shm if it has room. For TemporaryFolder.
std::filesystem::path memory_folder();

}  // namespace terrazzo::integration
