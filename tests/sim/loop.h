#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "server/runtime/event_loop.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace terrazzo::sim {

// Thrown where a core waits, to take it off its stack when its machine has lost power.
struct PowerLost {};

// What one simulated core waits on. Waiting gives the thread to the scheduler, until something completed, somebody woke
// the core, or its time has come; `run` is then called and must resume the core's fiber.
class Loop final : public runtime::EventLoop {
 public:
  Loop(Machine& machine, Network& network, std::function<void()> run);
  ~Loop() override;

  // ---- runtime::EventLoop ----
  void accept(int listen_fd, runtime::Completion* done) override { network_.accept(listen_fd, *this, done); }
  void receive(int fd, runtime::Completion* done) override { network_.receive(fd, done); }
  void stop_receiving(int fd, runtime::Completion*) override { network_.stop_receiving(fd); }
  std::span<const std::byte> buffer(std::uint16_t id, std::size_t size) const override;
  void give_back(std::uint16_t id) override;
  void send(int fd, const msghdr* message, runtime::Completion* done) override { network_.send(fd, message, done); }
  void close(int fd) override { network_.close(fd); }
  void wake() override;
  void submit_and_wait(std::uint64_t timeout_ns) override;
  std::uint64_t system_calls() const override { return waits_; }
  bool usable_here() const override { return true; }

  // ---- the simulator ----
  // From here on the core runs when it is due.
  void start();
  void complete(runtime::Completion* done, std::int32_t result, std::uint32_t flags);
  // Null: none is free.
  std::byte* take_buffer(std::uint16_t& id);
  // The core does nothing for so long.
  void stall(std::uint64_t duration_ns);
  // Whatever waits here is thrown off; later waits complete everything at once, for destructors.
  void die() { dead_ = true; }
  bool dead() const { return dead_; }
  std::uint64_t waits() const { return waits_; }
  std::uint64_t stalled_until() const { return stalled_until_; }

 private:
  struct Arrival {
    runtime::Completion* done;
    std::int32_t result;
    std::uint32_t flags;
  };
  void due_at(std::uint64_t time);
  void run_arrivals();
  std::uint64_t turn();

  Machine& machine_;
  Network& network_;
  Random random_;
  const std::function<void()> run_;
  std::vector<Arrival> arrivals_;
  std::vector<std::unique_ptr<std::byte[]>> buffers_;
  std::vector<std::uint16_t> free_;
  std::uint64_t due_ = 0;     // when the core runs next; 0: not known
  std::uint64_t number_ = 0;  // of that appointment
  std::uint64_t stalled_until_ = 0;
  std::uint64_t waits_ = 0;
  std::uint64_t turn_ns_;
  bool dead_ = false;
  // Appointments outlive the loop.
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace terrazzo::sim
