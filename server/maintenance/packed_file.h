#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

// Files of a backup: compressed with zstd, known by the size and SHA-256 of what is in them. Blocking; any thread.
namespace terrazzo::maintenance {

struct PackedFile {
  std::uint64_t bytes = 0;  // unpacked
  std::string sha256;       // of the unpacked bytes, in hex
  bool operator==(const PackedFile&) const = default;
};
// Called with the unpacked bytes done so far.
using PackProgress = std::function<void(std::uint64_t bytes)>;

// Writes a packed file piece by piece.
class PackWriter {
 public:
  // The folders above are made. internal: there is such a file, or it cannot be made.
  static Result<PackWriter> create(const std::string& path);
  PackWriter(PackWriter&&) noexcept;
  PackWriter& operator=(PackWriter&&) noexcept;
  ~PackWriter();
  Status write(std::span<const std::byte> bytes);
  // Synced.
  Result<PackedFile> finish();

 private:
  struct State;
  explicit PackWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

Result<PackedFile> pack_file(const std::string& from, const std::string& to, const PackProgress& progress = {});
// What pack_file() would say of it.
Result<PackedFile> hash_file(const std::string& path);

// Whole mebibytes but for the last piece.
using PieceSink = std::function<Status(std::span<const std::byte> bytes)>;
// Gives out what is in a packed file. internal: the file is damaged or not what `expected` says, which may be known
// only after all was given out, but it is never more than `expected.bytes`.
Status unpack(const std::string& from, const PackedFile& expected, const PieceSink& sink);
Result<std::vector<std::byte>> unpack_bytes(const std::string& from, const PackedFile& expected);
// Into a file, synced, which is gone again after an error. Folders are made.
Status unpack_file(const std::string& from, const std::string& to, const PackedFile& expected,
                   const PackProgress& progress = {});

}  // namespace terrazzo::maintenance
