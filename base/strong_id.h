#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace terrazzo {

// An integer that does not mix with other integers: StrongId<struct LsnTag, std::uint64_t>.
template <class Tag, class Rep>
struct StrongId {
  Rep value{};
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value(v) {}
  constexpr auto operator<=>(const StrongId&) const = default;
};

// +1 per edit per shard, never reused within an incarnation. 0: before the first edit.
using Lsn = StrongId<struct LsnTag, std::uint64_t>;
constexpr Lsn next(Lsn lsn) {
  return Lsn{lsn.value + 1};
}

using WorldId = StrongId<struct WorldTag, std::uint64_t>;
// A user on every one of his connections: a hash of who he is, so that log records have room for it. 0: nobody, as for
// what the server does by itself.
using UserId = StrongId<struct UserTag, std::uint64_t>;
using SessionId = StrongId<struct SessionTag, std::uint64_t>;
// A client's own counter, for acknowledgements and idempotence: increasing within a session, from 1.
using EditId = StrongId<struct EditTag, std::uint64_t>;
// One run of a server on a data directory, counted from 1.
using Incarnation = StrongId<struct IncarnationTag, std::uint64_t>;

}  // namespace terrazzo

template <class Tag, class Rep>
struct std::hash<terrazzo::StrongId<Tag, Rep>> {
  std::size_t operator()(terrazzo::StrongId<Tag, Rep> id) const noexcept {
    // Fibonacci hashing: ids are often consecutive, tables are powers of two.
    return static_cast<std::size_t>(static_cast<std::uint64_t>(id.value) * 0x9E3779B97F4A7C15ull);
  }
};
