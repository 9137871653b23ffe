#include "server/maintenance/packed_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "server/io/durable_file.h"

namespace terrazzo::maintenance {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr int kLevel = 3;  // cells shrink a lot already; higher levels cost time and gain little

class File {
 public:
  File(std::string path, int flags) : path_(std::move(path)), fd_(::open(path_.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool is_open() const { return fd_ >= 0; }
  Error failed(const char* what) const { return io::file_error(path_, what, errno); }
  ssize_t read(void* to, std::size_t size) {
    for (;;)
      if (const ssize_t count = ::read(fd_, to, size); count >= 0 || errno != EINTR) return count;
  }
  Status write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("cannot be written");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }
  Status sync() { return ::fsync(fd_) == 0 ? Status() : failed("cannot be synced"); }

 private:
  std::string path_;
  int fd_;
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Status make_parent(const std::string& path) {
  return io::make_folder(std::filesystem::path(path).parent_path().string());
}

Error damaged(const std::string& file, const char* how) {
  return {ErrorCode::internal, fmt::format("{} {}; take another backup of the same time", file, how)};
}

// Reads a whole file in pieces.
Status read_all(File& in, const PieceSink& sink) {
  std::vector<std::byte> piece(kBuffer);
  for (;;) {
    const ssize_t count = in.read(piece.data(), piece.size());
    if (count < 0) return in.failed("cannot be read");
    if (count == 0) return {};
    if (Status taken = sink({piece.data(), static_cast<std::size_t>(count)}); !taken) return taken;
  }
}

}  // namespace

// ---- packing ----

struct PackWriter::State {
  explicit State(const std::string& path) : out(path, O_WRONLY | O_CREAT | O_EXCL) {}

  Status compress(std::span<const std::byte> bytes, ZSTD_EndDirective how) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (std::size_t left = 1; left != 0;) {
      ZSTD_outBuffer output{target.data(), target.size(), 0};
      left = ZSTD_compressStream2(context.get(), &output, &input, how);
      if (ZSTD_isError(left) != 0)
        return Error{ErrorCode::internal, fmt::format("what goes into a backup: {}", ZSTD_getErrorName(left))};
      if (Status written = out.write({target.data(), output.pos}); !written) return written;
      if (how == ZSTD_e_continue && input.pos == input.size) return {};
    }
    return {};
  }

  File out;
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context{ZSTD_createCCtx(), &ZSTD_freeCCtx};
  std::vector<std::byte> target = std::vector<std::byte>(kBuffer);
  Sha256 hash;
  PackedFile packed;
};

PackWriter::PackWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
PackWriter::PackWriter(PackWriter&&) noexcept = default;
PackWriter& PackWriter::operator=(PackWriter&&) noexcept = default;
PackWriter::~PackWriter() = default;

Result<PackWriter> PackWriter::create(const std::string& path) {
  if (Status made = make_parent(path); !made) return made.error();
  auto state = std::make_unique<State>(path);
  if (!state->out.is_open()) return state->out.failed("cannot be made");
  ZSTD_CCtx_setParameter(state->context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(state->context.get(), ZSTD_c_checksumFlag, 1);
  return PackWriter(std::move(state));
}

Status PackWriter::write(std::span<const std::byte> bytes) {
  state_->hash.add(bytes);
  state_->packed.bytes += bytes.size();
  return state_->compress(bytes, ZSTD_e_continue);
}

Result<PackedFile> PackWriter::finish() {
  if (Status ended = state_->compress({}, ZSTD_e_end); !ended) return ended.error();
  if (Status synced = state_->out.sync(); !synced) return synced.error();
  state_->packed.sha256 = state_->hash.hex();
  return state_->packed;
}

Result<PackedFile> pack_file(const std::string& from, const std::string& to, const PackProgress& progress) {
  File in(from, O_RDONLY);
  if (!in.is_open()) return in.failed("cannot be opened");
  Result<PackWriter> out = PackWriter::create(to);
  if (!out) return out.error();
  std::uint64_t done = 0;
  const Status read = read_all(in, [&](std::span<const std::byte> piece) {
    done += piece.size();
    if (progress) progress(done);
    return out->write(piece);
  });
  if (!read) return read.error();
  return out->finish();
}

Result<PackedFile> hash_file(const std::string& path) {
  File in(path, O_RDONLY);
  if (!in.is_open()) return in.failed("cannot be opened");
  Sha256 hash;
  PackedFile found;
  const Status read = read_all(in, [&](std::span<const std::byte> piece) {
    hash.add(piece);
    found.bytes += piece.size();
    return Status();
  });
  if (!read) return read.error();
  found.sha256 = hash.hex();
  return found;
}

// ---- unpacking ----

Status unpack(const std::string& from, const PackedFile& expected, const PieceSink& sink) {
  File in(from, O_RDONLY);
  if (!in.is_open()) return in.failed("cannot be opened");
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  std::vector<std::byte> target(kBuffer);
  ZSTD_outBuffer output{target.data(), target.size(), 0};
  Sha256 hash;
  std::uint64_t bytes = 0;
  const auto give_out = [&]() -> Status {
    const std::span<const std::byte> piece(target.data(), output.pos);
    bytes += piece.size();
    if (bytes > expected.bytes) return damaged(from, "holds more than its manifest says");
    hash.add(piece);
    output.pos = 0;
    return sink(piece);
  };
  std::size_t left = 1;  // 0: a frame is complete
  Status read = read_all(in, [&](std::span<const std::byte> source) -> Status {
    ZSTD_inBuffer input{source.data(), source.size(), 0};
    // A full target may hide that there is more.
    for (bool more = true; more;) {
      left = ZSTD_decompressStream(context.get(), &output, &input);
      if (ZSTD_isError(left) != 0) return damaged(from, ZSTD_getErrorName(left));
      const bool full = output.pos == output.size;
      more = input.pos < input.size || (full && left != 0);
      if (!full) continue;
      if (Status given = give_out(); !given) return given;
    }
    return {};
  });
  if (read && left != 0) read = damaged(from, "is cut off");
  if (read && output.pos != 0) read = give_out();
  if (!read) return read;
  const bool same = bytes == expected.bytes && hash.hex() == expected.sha256;
  return same ? Status() : Status(damaged(from, "does not hold what its manifest says"));
}

Result<std::vector<std::byte>> unpack_bytes(const std::string& from, const PackedFile& expected) {
  std::vector<std::byte> all;
  const Status unpacked = unpack(from, expected, [&](std::span<const std::byte> piece) {
    all.insert(all.end(), piece.begin(), piece.end());
    return Status();
  });
  if (!unpacked) return unpacked.error();
  return all;
}

Status unpack_file(const std::string& from, const std::string& to, const PackedFile& expected,
                   const PackProgress& progress) {
  if (Status made = make_parent(to); !made) return made;
  File out(to, O_WRONLY | O_CREAT | O_EXCL);
  if (!out.is_open()) return out.failed("cannot be made");
  std::uint64_t bytes = 0;
  Status done = unpack(from, expected, [&](std::span<const std::byte> piece) -> Status {
    bytes += piece.size();
    if (progress) progress(bytes);
    return out.write(piece);
  });
  if (done) done = out.sync();
  if (!done) ::unlink(to.c_str());
  return done;
}

}  // namespace terrazzo::maintenance
