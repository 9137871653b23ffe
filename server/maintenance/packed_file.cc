#include "server/maintenance/packed_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

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
  Status write(const char* from, std::size_t size) {
    while (size > 0) {
      const ssize_t count = ::write(fd_, from, size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("cannot be written");
      from += count;
      size -= static_cast<std::size_t>(count);
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
  void add(const void* bytes, std::size_t size) { EVP_DigestUpdate(context_.get(), bytes, size); }
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

Status inflate(File& in, File& out, const std::string& from, PackedFile& found, const PackProgress& progress) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  std::vector<char> source(kBuffer), target(kBuffer);
  Sha256 hash;
  std::size_t left = 1;  // 0: a frame is complete
  for (;;) {
    const ssize_t count = in.read(source.data(), source.size());
    if (count < 0) return in.failed("cannot be read");
    if (count == 0) break;
    ZSTD_inBuffer input{source.data(), static_cast<std::size_t>(count), 0};
    while (input.pos < input.size) {
      ZSTD_outBuffer output{target.data(), target.size(), 0};
      left = ZSTD_decompressStream(context.get(), &output, &input);
      if (ZSTD_isError(left) != 0)
        return Error{ErrorCode::internal, fmt::format("{} is damaged: {}; take another backup of the same time", from,
                                                      ZSTD_getErrorName(left))};
      hash.add(target.data(), output.pos);
      found.bytes += output.pos;
      if (Status written = out.write(target.data(), output.pos); !written) return written;
      if (progress) progress(found.bytes);
    }
  }
  if (left != 0) return Error{ErrorCode::internal, from + " is cut off; take another backup of the same time"};
  found.sha256 = hash.hex();
  return out.sync();
}

}  // namespace

Result<PackedFile> pack_file(const std::string& from, const std::string& to, const PackProgress& progress) {
  if (Status made = make_parent(to); !made) return made.error();
  File in(from, O_RDONLY), out(to, O_WRONLY | O_CREAT | O_EXCL);
  if (!in.is_open()) return in.failed("cannot be opened");
  if (!out.is_open()) return out.failed("cannot be made");
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::vector<char> source(kBuffer), target(kBuffer);
  PackedFile packed;
  Sha256 hash;
  for (bool last = false; !last;) {
    const ssize_t count = in.read(source.data(), source.size());
    if (count < 0) return in.failed("cannot be read");
    last = count == 0;
    hash.add(source.data(), static_cast<std::size_t>(count));
    packed.bytes += static_cast<std::uint64_t>(count);
    ZSTD_inBuffer input{source.data(), static_cast<std::size_t>(count), 0};
    for (std::size_t left = 1; left != 0;) {
      ZSTD_outBuffer output{target.data(), target.size(), 0};
      left = ZSTD_compressStream2(context.get(), &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left) != 0) return Error{ErrorCode::internal, from + ": " + ZSTD_getErrorName(left)};
      if (Status written = out.write(target.data(), output.pos); !written) return written.error();
      if (!last && input.pos == input.size) break;
    }
    if (progress) progress(packed.bytes);
  }
  if (Status synced = out.sync(); !synced) return synced.error();
  packed.sha256 = hash.hex();
  return packed;
}

Status unpack_file(const std::string& from, const std::string& to, const PackedFile& expected,
                   const PackProgress& progress) {
  if (Status made = make_parent(to); !made) return made;
  File in(from, O_RDONLY), out(to, O_WRONLY | O_CREAT | O_EXCL);
  if (!in.is_open()) return in.failed("cannot be opened");
  if (!out.is_open()) return out.failed("cannot be made");
  PackedFile found;
  Status done = inflate(in, out, from, found, progress);
  if (done && (found.bytes != expected.bytes || found.sha256 != expected.sha256))
    done = Error{ErrorCode::internal,
                 from + " does not hold what its manifest says; take another backup of the same time"};
  if (!done) ::unlink(to.c_str());
  return done;
}

}  // namespace terrazzo::maintenance
