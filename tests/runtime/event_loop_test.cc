// The contract of event loops, kept on io_uring and on epoll alike.
#include "server/runtime/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/runtime/clock.h"
#include "tests/runtime/loop_kinds.h"

namespace terrazzo::runtime {
namespace {

// No test needs a wait as long as this one, so only what is waited for ends it.
constexpr std::uint64_t kLongNs = 20 * kNsPerSecond;
constexpr std::uint16_t kBuffers = 8;

// What an operation said, in order.
struct Outcome final : Completion {
  struct Word {
    std::int32_t result;
    std::uint32_t flags;
  };
  void complete(std::int32_t result, std::uint32_t flags) override { words.push_back({result, flags}); }
  bool ended() const { return !words.empty() && (words.back().flags & kMore) == 0; }
  // Ended with bytes: a receive that is to be asked again for what comes after them.
  bool ended_with_bytes() const { return ended() && words.back().result > 0; }
  std::int32_t last() const { return words.back().result; }
  std::vector<Word> words;
};

std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31 + i / 251 + seed) & 255);
  return bytes;
}

class EventLoopTest : public testing::TestWithParam<LoopKind> {
 protected:
  void SetUp() override {
    loop_ = make_loop(GetParam(), kBuffers);
    if (!loop_) GTEST_SKIP() << "io_uring is not there";
    listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(listen_fd_, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listen_fd_, 1024), 0);
    socklen_t size = sizeof address_;
    ASSERT_EQ(::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  void TearDown() override {
    if (!loop_) return;
    loop_->close(listen_fd_);
    for (const int fd : others_) ::close(fd);
  }

  // False: a wait was ended by nothing, although the condition had not come true.
  bool run_until(const std::function<bool()>& condition) {
    while (!condition()) {
      const std::uint64_t from = monotonic_ns();
      loop_->submit_and_wait(kLongNs);
      if (monotonic_ns() - from >= kLongNs) return false;
    }
    return true;
  }
  int connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0) << std::strerror(errno);
    return fd;
  }

  // A connection: the loop's end, and the other one, which is a plain blocking socket.
  struct Pair {
    int ours = -1, other = -1;
  };
  Pair make_pair() {
    const int other = connect();
    others_.insert(other);
    return {::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC), other};
  }
  void close_other(Pair& pair, bool reset = false) {
    const linger at_once{1, 0};
    if (reset) ::setsockopt(pair.other, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    others_.erase(pair.other);
    ::close(std::exchange(pair.other, -1));
  }
  // Ends what is under way on it, and then the socket.
  void end(const Pair& pair, std::initializer_list<Outcome*> under_way) {
    ::shutdown(pair.ours, SHUT_RDWR);
    EXPECT_TRUE(run_until([&] { return std::ranges::all_of(under_way, &Outcome::ended); }));
    for (Outcome* outcome : under_way) take(*outcome);
    loop_->close(pair.ours);
  }

  // The bytes that a receive has brought since the last call; their buffers go back.
  std::string take(Outcome& outcome) {
    std::string text;
    for (auto& [result, flags] : outcome.words) {
      if ((flags & Completion::kHasBuffer) == 0) continue;
      flags &= ~Completion::kHasBuffer;
      const auto bytes = loop_->buffer(Completion::buffer_of(flags), static_cast<std::size_t>(result));
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      loop_->give_back(Completion::buffer_of(flags));
    }
    return text;
  }

  // Receives until `count` bytes are here or the other side is done.
  std::string receive_all(int fd, std::size_t count) {
    std::string text;
    while (text.size() < count) {
      Outcome outcome;
      loop_->receive(fd, &outcome);
      const bool came = run_until([&] {
        text += take(outcome);
        if (text.size() >= count) ::shutdown(fd, SHUT_RD);
        return outcome.ended();
      });
      EXPECT_TRUE(came) << text.size() << " of " << count;
      if (!came || (outcome.last() <= 0 && outcome.last() != -ENOBUFS)) break;
    }
    return text;
  }

  std::unique_ptr<EventLoop> loop_;
  int listen_fd_ = -1;
  sockaddr_in address_{};
  std::set<int> others_;
};

// One gather write of parts, again and again until all is gone.
struct Sender {
  explicit Sender(std::string text, std::size_t part_bytes) : bytes(std::move(text)) {
    for (std::size_t at = 0; at < bytes.size(); at += part_bytes)
      parts.push_back({bytes.data() + at, std::min(part_bytes, bytes.size() - at)});
  }
  void start(EventLoop& loop, int fd) {
    outcome.words.clear();
    message.msg_iov = parts.data() + first;
    message.msg_iovlen = std::min<std::size_t>(parts.size() - first, 256);
    loop.send(fd, &message, &outcome);
  }
  // False: it failed, or all is sent.
  bool go_on(EventLoop& loop, int fd) {
    if (outcome.last() <= 0) return false;
    auto taken = static_cast<std::size_t>(outcome.last());
    sent += taken;
    for (; first < parts.size() && taken >= parts[first].iov_len; ++first) taken -= parts[first].iov_len;
    if (first == parts.size()) return false;
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + taken;
    parts[first].iov_len -= taken;
    start(loop, fd);
    return true;
  }
  std::string bytes;
  std::vector<iovec> parts;
  std::size_t first = 0, sent = 0;
  msghdr message{};
  Outcome outcome;
};

// ---- waiting ----

TEST_P(EventLoopTest, AWakeFromAnotherThreadEndsTheWait) {
  for (int round = 0; round < 50; ++round) {
    const std::uint64_t from = monotonic_ns();
    std::thread waker([&] { loop_->wake(); });
    loop_->submit_and_wait(kLongNs);
    EXPECT_LT(monotonic_ns() - from, kLongNs);
    waker.join();
    loop_->submit_and_wait(0);
  }
}

TEST_P(EventLoopTest, AWakeBeforeTheWaitIsNotLost) {
  for (int round = 0; round < 3; ++round) {
    loop_->wake();
    loop_->wake();
    const std::uint64_t from = monotonic_ns();
    loop_->submit_and_wait(kLongNs);
    EXPECT_LT(monotonic_ns() - from, kLongNs);
  }
}

EventLoop* of_signal = nullptr;

TEST_P(EventLoopTest, ASignalMayWake) {
  of_signal = loop_.get();
  struct sigaction action {};
  action.sa_handler = [](int) { of_signal->wake(); };
  struct sigaction before {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  ::raise(SIGUSR1);
  const std::uint64_t from = monotonic_ns();
  loop_->submit_and_wait(kLongNs);
  EXPECT_LT(monotonic_ns() - from, kLongNs);
  ::sigaction(SIGUSR1, &before, nullptr);
}

// Every wake-up that finds the loop asleep counts: a thread and the loop hand a turn to and fro, and only the wake-up
// ends a wait.
TEST_P(EventLoopTest, NoWakeUpIsLost) {
  constexpr int kTurns = 20'000;
  std::atomic<int> turn{0};
  std::thread other([&] {
    for (int i = 0; i < kTurns; i += 2) {
      while (turn.load() != i) std::this_thread::yield();
      turn.store(i + 1);
      loop_->wake();
    }
  });
  int timed_out = 0;
  while (turn.load() < kTurns) {
    const std::uint64_t from = monotonic_ns();
    if (turn.load() % 2 == 0) loop_->submit_and_wait(20 * kNsPerSecond);
    timed_out += monotonic_ns() - from >= 20 * kNsPerSecond;
    if (turn.load() % 2 == 1) turn.fetch_add(1);
  }
  other.join();
  EXPECT_EQ(timed_out, 0);
}

TEST_P(EventLoopTest, TheTimeoutEndsAWaitForNothingAndNotBefore) {
  for (const std::uint64_t timeout : {std::uint64_t{1}, std::uint64_t{100'000}, 1 * kNsPerMs, 20 * kNsPerMs}) {
    const std::uint64_t from = monotonic_ns();
    int calls = 0;
    for (std::uint64_t passed = 0; passed < timeout; passed = monotonic_ns() - from, ++calls)
      loop_->submit_and_wait(timeout - passed);
    // A signal may end a wait early (the kernel sends itself one when it takes down the ring of the test before).
    EXPECT_LT(calls, 10) << timeout;
    EXPECT_LT(monotonic_ns() - from, kLongNs);
  }
  loop_->submit_and_wait(0);
}

TEST_P(EventLoopTest, BelongsToTheThreadThatFirstWaits) {
  EXPECT_TRUE(loop_->usable_here());
  std::thread([&] { EXPECT_TRUE(loop_->usable_here()); }).join();
  loop_->submit_and_wait(0);
  EXPECT_TRUE(loop_->usable_here());
  std::thread([&] { EXPECT_FALSE(loop_->usable_here()); }).join();
}

TEST_P(EventLoopTest, OperationsMayBeQueuedOnAnotherThreadBefore) {
  Pair pair = make_pair();
  Outcome accepting, receiving;
  std::thread([&] {
    loop_->accept(listen_fd_, &accepting);
    loop_->receive(pair.ours, &receiving);
  }).join();
  others_.insert(connect());
  ASSERT_EQ(::send(pair.other, "hello", 5, 0), 5);
  EXPECT_TRUE(run_until([&] { return !accepting.words.empty() && !receiving.words.empty(); }));
  EXPECT_EQ(take(receiving), "hello");
  loop_->close(accepting.words[0].result);
  end(pair, {&receiving});
  ::shutdown(listen_fd_, SHUT_RDWR);
  EXPECT_TRUE(run_until([&] { return accepting.ended(); }));
}

// ---- accepting ----

TEST_P(EventLoopTest, ManyConnectionsAllArrive) {
  constexpr std::size_t kCount = 300;
  Outcome accepting;
  loop_->accept(listen_fd_, &accepting);
  for (std::size_t i = 0; i < kCount; ++i) {
    others_.insert(connect());
    if (i % 100 == 0) loop_->submit_and_wait(kNsPerMs);
  }
  EXPECT_TRUE(run_until([&] { return accepting.words.size() >= kCount; }));
  std::set<int> fds;
  for (const auto& [result, flags] : accepting.words) {
    ASSERT_GE(result, 0);
    EXPECT_NE(flags & Completion::kMore, 0u);
    EXPECT_NE(::fcntl(result, F_GETFD) & FD_CLOEXEC, 0);
    fds.insert(result);
  }
  EXPECT_EQ(fds.size(), kCount);
  for (const int fd : fds) loop_->close(fd);
  ::shutdown(listen_fd_, SHUT_RDWR);
  EXPECT_TRUE(run_until([&] { return accepting.ended(); }));
  EXPECT_LT(accepting.last(), 0);
}

TEST_P(EventLoopTest, WithoutDescriptorsAcceptEndsAndCanBeAskedAgain) {
  Outcome refused, again;
  const int client = connect();
  others_.insert(client);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(next, 0);
  ::close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  loop_->accept(listen_fd_, &refused);
  const bool ended = run_until([&] { return refused.ended(); });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(ended);
  EXPECT_EQ(refused.last(), -EMFILE);
  // The connection that knocked is still there.
  loop_->accept(listen_fd_, &again);
  ASSERT_TRUE(run_until([&] { return !again.words.empty(); }));
  ASSERT_GE(again.words[0].result, 0);
  loop_->close(again.words[0].result);
  ::shutdown(listen_fd_, SHUT_RDWR);
  EXPECT_TRUE(run_until([&] { return again.ended(); }));
}

// ---- receiving ----

TEST_P(EventLoopTest, BytesComeInOrderWhateverTheirSizes) {
  const std::uint64_t seed = 20261121;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 chance(seed);
  Pair pair = make_pair();
  const std::string text = pattern(3'000'000, 1);
  std::thread writer([&] {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min<std::size_t>(1 + chance() % 60'000, text.size() - at);
      const ssize_t sent = ::send(pair.other, text.data() + at, size, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  });
  EXPECT_TRUE(receive_all(pair.ours, text.size()) == text);
  writer.join();
  loop_->close(pair.ours);
}

TEST_P(EventLoopTest, BytesThatWereThereBeforeAreReceived) {
  Pair pair = make_pair();
  ASSERT_EQ(::send(pair.other, "early", 5, 0), 5);
  Outcome receiving;
  loop_->receive(pair.ours, &receiving);
  ASSERT_TRUE(run_until([&] { return !receiving.words.empty(); }));
  EXPECT_EQ(take(receiving), "early");
  // And later ones, one after the other.
  for (int i = 0; i < 100; ++i) {
    const std::size_t before = receiving.ended() ? 0 : receiving.words.size();
    if (receiving.ended()) {
      receiving.words.clear();
      loop_->receive(pair.ours, &receiving);
    }
    const std::string text = "number " + std::to_string(i);
    ASSERT_EQ(::send(pair.other, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ASSERT_TRUE(run_until([&] { return receiving.words.size() > before; }));
    EXPECT_EQ(take(receiving), text);
  }
  ::shutdown(pair.ours, SHUT_RDWR);
  EXPECT_TRUE(run_until([&] { return receiving.ended(); }));
  loop_->close(pair.ours);
}

TEST_P(EventLoopTest, WhoClosesOneHalfStillReadsTheOther) {
  Pair pair = make_pair();
  Outcome receiving;
  loop_->receive(pair.ours, &receiving);
  loop_->submit_and_wait(0);
  ASSERT_EQ(::send(pair.other, "last words", 10, 0), 10);
  ::shutdown(pair.other, SHUT_WR);
  ASSERT_TRUE(run_until([&] { return receiving.ended(); }));
  std::string words = take(receiving);
  if (receiving.ended_with_bytes()) {
    receiving.words.clear();
    loop_->receive(pair.ours, &receiving);
    ASSERT_TRUE(run_until([&] { return receiving.ended(); }));
    words += take(receiving);
  }
  EXPECT_EQ(receiving.last(), 0);
  EXPECT_EQ(words, "last words");
  Sender sender("answer", 3);
  sender.start(*loop_, pair.ours);
  ASSERT_TRUE(run_until([&] { return sender.outcome.ended(); }));
  EXPECT_EQ(sender.outcome.last(), 6);
  char answer[8];
  EXPECT_EQ(::recv(pair.other, answer, sizeof answer, 0), 6);
  loop_->close(pair.ours);
}

TEST_P(EventLoopTest, AResetIsAnError) {
  Pair pair = make_pair();
  Outcome receiving;
  loop_->receive(pair.ours, &receiving);
  loop_->submit_and_wait(0);
  close_other(pair, true);
  ASSERT_TRUE(run_until([&] { return receiving.ended(); }));
  EXPECT_EQ(receiving.last(), -ECONNRESET);
  Sender sender("too late", 8);
  sender.start(*loop_, pair.ours);
  ASSERT_TRUE(run_until([&] { return sender.outcome.ended(); }));
  EXPECT_EQ(sender.outcome.last(), -EPIPE);
  loop_->close(pair.ours);
}

// recv() stops in front of urgent data; nobody must wait for what lies behind it.
TEST_P(EventLoopTest, UrgentDataDoesNotHideWhatFollows) {
  Pair pair = make_pair();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(::send(pair.other, "before", 6, 0), 6);
    ASSERT_EQ(::send(pair.other, "!", 1, MSG_OOB), 1);
    ASSERT_EQ(::send(pair.other, "behind", 6, 0), 6);
  }
  std::size_t size = 0;
  Outcome receiving;
  loop_->receive(pair.ours, &receiving);
  // Marks that were overtaken by later ones stay in the stream.
  EXPECT_TRUE(run_until([&] {
    size += take(receiving).size();
    if (receiving.ended()) {
      receiving.words.clear();
      loop_->receive(pair.ours, &receiving);
    }
    return size >= 20 * 12;
  })) << size;
  end(pair, {&receiving});
}

// ---- buffers ----

TEST_P(EventLoopTest, WithoutBuffersBytesWaitAndComeWhenSomeAreBack) {
  constexpr std::size_t kPairs = 3 * kBuffers;
  std::vector<Pair> pairs;
  std::vector<Outcome> receiving(kPairs);
  for (std::size_t i = 0; i < kPairs; ++i) {
    pairs.push_back(make_pair());
    const std::string text = "of " + std::to_string(i);
    ASSERT_EQ(::send(pairs[i].other, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    loop_->receive(pairs[i].ours, &receiving[i]);
  }
  const auto held = [&] {
    std::set<std::uint16_t> buffers;
    for (const Outcome& outcome : receiving)
      for (const Outcome::Word& word : outcome.words)
        if ((word.flags & Completion::kHasBuffer) != 0) buffers.insert(Completion::buffer_of(word.flags));
    return buffers.size();
  };
  ASSERT_TRUE(run_until([&] { return held() == kBuffers; }));
  // None is used twice, and waiting for more is no spin.
  for (int i = 0; i < 20; ++i) loop_->submit_and_wait(kNsPerMs);
  EXPECT_EQ(held(), kBuffers);
  std::vector<std::string> texts(kPairs);
  const auto all_are_here = [&] {
    for (std::size_t i = 0; i < kPairs; ++i) {
      texts[i] += take(receiving[i]);
      const bool again = receiving[i].ended();
      EXPECT_TRUE(!again || receiving[i].ended_with_bytes() || receiving[i].last() == -ENOBUFS) << receiving[i].last();
      receiving[i].words.clear();
      if (again) loop_->receive(pairs[i].ours, &receiving[i]);
    }
    return std::ranges::none_of(texts, &std::string::empty);
  };
  EXPECT_TRUE(run_until(all_are_here));
  for (std::size_t i = 0; i < kPairs; ++i) {
    EXPECT_EQ(texts[i], "of " + std::to_string(i));
    end(pairs[i], {&receiving[i]});
  }
}

// ---- sending ----

TEST_P(EventLoopTest, ASlowReaderGetsEverythingInOrder) {
  Pair pair = make_pair();
  const int small = 4096;
  ::setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  Sender sender(pattern(2'000'000, 2), 3001);
  sender.start(*loop_, pair.ours);
  std::string got;
  std::thread reader([&] {
    char buffer[1777];
    for (ssize_t size = 0; got.size() < sender.bytes.size(); got.append(buffer, static_cast<std::size_t>(size)))
      if ((size = ::recv(pair.other, buffer, sizeof buffer, 0)) <= 0) return;
  });
  EXPECT_TRUE(run_until([&] { return sender.outcome.ended() && !sender.go_on(*loop_, pair.ours); }));
  EXPECT_EQ(sender.sent, sender.bytes.size());
  if (sender.sent != sender.bytes.size()) ::shutdown(pair.ours, SHUT_RDWR);
  reader.join();
  EXPECT_TRUE(got == sender.bytes);
  loop_->close(pair.ours);
}

TEST_P(EventLoopTest, AReceiveCanBeStoppedAndGoesOnWhereItStopped) {
  const Pair pair = make_pair();
  const std::string text = pattern(200'000, 3);
  std::thread sender([&] {
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t size = ::send(pair.other, text.data() + at, std::min<std::size_t>(text.size() - at, 5000), 0);
      if (size <= 0) return;
      at += static_cast<std::size_t>(size);
    }
  });
  std::string got;
  int stops = 0;
  while (got.size() < text.size()) {
    Outcome outcome;
    loop_->receive(pair.ours, &outcome);
    ASSERT_TRUE(run_until([&] {
      const std::string more = take(outcome);
      got += more;
      // Asked again whenever more comes: the kernel may have been about to tell it.
      if (!outcome.ended() && (!more.empty() || got.size() == text.size())) loop_->stop_receiving(pair.ours, &outcome);
      return outcome.ended();
    }));
    got += take(outcome);
    if (outcome.last() == -ECANCELED)
      ++stops;
    else
      ASSERT_TRUE(outcome.last() > 0 || outcome.last() == -ENOBUFS) << outcome.last();
  }
  sender.join();
  EXPECT_TRUE(got == text);
  EXPECT_TRUE(stops > 0 || GetParam() == LoopKind::old_ring);  // there a receive ends with its bytes anyway
  // One that waits for nothing ends, too; and what is not there cannot be stopped.
  Outcome idle;
  loop_->receive(pair.ours, &idle);
  loop_->submit_and_wait(0);
  loop_->stop_receiving(pair.ours, &idle);
  ASSERT_TRUE(run_until([&] { return idle.ended(); }));
  EXPECT_EQ(idle.last(), -ECANCELED);
  loop_->stop_receiving(pair.ours, &idle);
  loop_->submit_and_wait(0);
  EXPECT_EQ(idle.words.size(), 1u);
  end(pair, {});
}

TEST_P(EventLoopTest, AShutSocketEndsWhatIsUnderWay) {
  Pair pair = make_pair();
  Outcome receiving;
  loop_->receive(pair.ours, &receiving);
  // More than the kernel's buffers take, and nobody reads.
  Sender sender(pattern(32 << 20, 3), 1 << 20);
  sender.start(*loop_, pair.ours);
  for (int i = 0; i < 20; ++i) {
    if (sender.outcome.ended()) sender.go_on(*loop_, pair.ours);
    loop_->submit_and_wait(kNsPerMs);
  }
  ASSERT_FALSE(sender.outcome.ended());
  ASSERT_FALSE(receiving.ended());
  ::shutdown(pair.ours, SHUT_RDWR);
  EXPECT_TRUE(run_until([&] { return receiving.ended() && sender.outcome.ended(); }));
  EXPECT_EQ(receiving.words.size(), 1u);
  EXPECT_EQ(sender.outcome.words.size(), 1u);
  loop_->close(pair.ours);
}

TEST_P(EventLoopTest, AReaderThatGoesEndsTheSend) {
  Pair pair = make_pair();
  Sender sender(pattern(32 << 20, 4), 1 << 20);
  sender.start(*loop_, pair.ours);
  for (int i = 0; i < 20; ++i) {
    if (sender.outcome.ended()) sender.go_on(*loop_, pair.ours);
    loop_->submit_and_wait(kNsPerMs);
  }
  ASSERT_FALSE(sender.outcome.ended());
  close_other(pair, true);
  // A ring may tell of what it took before.
  EXPECT_TRUE(run_until([&] { return sender.outcome.ended() && !sender.go_on(*loop_, pair.ours); }));
  EXPECT_LT(sender.outcome.last(), 0);
  loop_->close(pair.ours);
}

// ---- descriptors come again ----

TEST_P(EventLoopTest, ANewSocketWithAnOldNumberHearsNothingOld) {
  std::set<int> numbers;
  for (int i = 0; i < 200; ++i) {
    Pair pair = make_pair();
    numbers.insert(pair.ours);
    Outcome receiving;
    loop_->receive(pair.ours, &receiving);
    const std::string text = "round " + std::to_string(i);
    Sender sender(text, 4);
    sender.start(*loop_, pair.ours);
    ASSERT_EQ(::send(pair.other, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ASSERT_TRUE(run_until([&] { return sender.outcome.ended() && !receiving.words.empty(); }));
    EXPECT_EQ(sender.outcome.last(), static_cast<std::int32_t>(text.size()));
    EXPECT_EQ(take(receiving), text);
    const bool again = receiving.ended_with_bytes();
    receiving.words.clear();
    if (again) loop_->receive(pair.ours, &receiving);
    // Left behind for whoever comes next: bytes, an end, a reset.
    ASSERT_EQ(::send(pair.other, "stale", i % 2 == 0 ? 5 : 0, 0), i % 2 == 0 ? 5 : 0);
    close_other(pair, i % 3 == 0);
    ::shutdown(pair.ours, SHUT_RDWR);
    ASSERT_TRUE(run_until([&] { return receiving.ended(); }));
    take(receiving);
    loop_->close(pair.ours);
  }
  EXPECT_LT(numbers.size(), 10u);  // or the test has not tested it
}

// ---- all of it at once ----

// Connections that get back what they send, at paces of their own, over too few buffers and small socket buffers: one
// event that is not told, or told to the wrong one, leaves a stream standing or wrong.
struct Echo {
  int fd = -1;
  Outcome receiving, sending;
  std::string waiting, in_flight;
  iovec part{};
  msghdr message{};
  bool ended = false;
};

void work_of_client(int fd, std::uint64_t seed, std::atomic<int>& wrong, std::atomic<int>& left, EventLoop& loop) {
  std::mt19937_64 chance(seed);
  const std::string text = pattern(150'000 + chance() % 150'000, static_cast<unsigned>(seed));
  std::thread writer([&, pace = chance()] {
    std::mt19937_64 own(pace);
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t sent =
          ::send(fd, text.data() + at, std::min<std::size_t>(1 + own() % 20'000, text.size() - at), MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
      if (own() % 4 == 0) std::this_thread::yield();
    }
    ::shutdown(fd, SHUT_WR);
  });
  std::string got;
  std::vector<char> buffer(1 + chance() % 9000);
  for (ssize_t size = 0; (size = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
    got.append(buffer.data(), static_cast<std::size_t>(size));
  writer.join();
  wrong += got == text ? 0 : 1;
  --left;
  loop.wake();
}

TEST_P(EventLoopTest, EchoesOfManyPacesAreWhole) {
  constexpr std::uint64_t kSeed = 20261121;
  constexpr std::size_t kClients = 12;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::vector<std::unique_ptr<Echo>> echoes;
  std::atomic<int> wrong{0}, left{kClients};
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    const Pair pair = make_pair();
    const timeval bound{50, 0};
    ::setsockopt(pair.other, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    ::setsockopt(pair.other, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    const int small = static_cast<int>(4096 << (i % 4));
    ::setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    echoes.push_back(std::make_unique<Echo>());
    echoes.back()->fd = pair.ours;
    loop_->receive(pair.ours, &echoes.back()->receiving);
    clients.emplace_back([&, other = pair.other, i] { work_of_client(other, kSeed + i, wrong, left, *loop_); });
  }
  const auto step = [&](Echo& echo) {
    echo.waiting += take(echo.receiving);
    if (!echo.ended && echo.receiving.ended()) {
      echo.ended = echo.receiving.last() != -ENOBUFS && echo.receiving.last() <= 0;
      echo.receiving.words.clear();
      if (!echo.ended) loop_->receive(echo.fd, &echo.receiving);
    }
    if (echo.sending.ended()) {
      echo.in_flight.erase(0,
                           echo.sending.last() > 0 ? static_cast<std::size_t>(echo.sending.last()) : std::string::npos);
      echo.sending.words.clear();
      echo.message.msg_iovlen = 0;
    }
    if (echo.message.msg_iovlen != 0) return;
    if (echo.in_flight.empty()) echo.in_flight.swap(echo.waiting);
    if (echo.in_flight.empty()) {
      if (echo.ended) ::shutdown(echo.fd, SHUT_WR);
      return;
    }
    echo.part = {echo.in_flight.data(), echo.in_flight.size()};
    echo.message.msg_iov = &echo.part;
    echo.message.msg_iovlen = 1;
    loop_->send(echo.fd, &echo.message, &echo.sending);
  };
  EXPECT_TRUE(run_until([&] {
    for (const auto& echo : echoes) step(*echo);
    return left.load() == 0;
  }));
  for (const auto& echo : echoes) ::shutdown(echo->fd, SHUT_RDWR);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
  for (const auto& echo : echoes) {
    EXPECT_TRUE(run_until([&] {
      return (echo->ended || echo->receiving.ended()) && (echo->message.msg_iovlen == 0 || echo->sending.ended());
    }));
    loop_->close(echo->fd);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EventLoopTest, testing::Values(LoopKind::ring, LoopKind::old_ring, LoopKind::epoll),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace
}  // namespace terrazzo::runtime
