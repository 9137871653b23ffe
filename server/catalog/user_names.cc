#include "server/catalog/user_names.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/crc32c.h"

namespace terrazzo::catalog {
namespace {

// On disk, followed by the name and zeros up to a multiple of 8, so that behind damage the next one is found.
struct Header {
  std::uint32_t crc;  // crc32c of everything behind it
  std::uint16_t bytes, reserved;
  std::uint64_t user;
};
static_assert(sizeof(Header) == 16);
constexpr std::size_t kStep = 8;

constexpr std::size_t padded(std::size_t bytes) {
  return (bytes + kStep - 1) / kStep * kStep;
}

void append(UserId user, std::string_view name, std::string& out) {
  Header header{0, static_cast<std::uint16_t>(name.size()), 0, user.value};
  std::string record(padded(sizeof header + name.size()), '\0');
  std::memcpy(record.data(), &header, sizeof header);
  std::memcpy(record.data() + sizeof header, name.data(), name.size());
  header.crc = crc32c(std::as_bytes(std::span(record)).subspan(sizeof header.crc));
  std::memcpy(record.data(), &header.crc, sizeof header.crc);
  out += record;
}

// The bytes of the record there; 0: it does not check.
std::size_t read_one(std::string_view bytes, UserId& user, std::string& name) {
  Header header;
  if (bytes.size() < sizeof header) return 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::size_t size = padded(sizeof header + header.bytes);
  if (header.bytes > UserNames::kNameBytesMax || header.bytes == 0 || size > bytes.size()) return 0;
  if (crc32c(std::as_bytes(std::span(bytes.substr(sizeof header.crc, size - sizeof header.crc)))) != header.crc) return 0;
  user = UserId{header.user};
  name = bytes.substr(sizeof header, header.bytes);
  return size;
}

// Not in the middle of a character of UTF-8.
std::string_view beginning(std::string_view name) {
  std::size_t size = std::min(name.size(), UserNames::kNameBytesMax);
  if (size == name.size()) return name;
  while (size > 0 && (static_cast<unsigned char>(name[size]) & 0xC0u) == 0x80u) --size;
  return name.substr(0, size);
}

}  // namespace

Status UserNames::load(const io::DataDirectory& data) {
  const Result<std::string> bytes = data.read_user_names();
  if (!bytes) return bytes.error().code == ErrorCode::not_found ? Status() : Status(bytes.error());
  const std::lock_guard lock(mutex_);
  bool behind_damage = false;
  for (std::size_t at = 0; at < bytes->size();) {
    UserId user;
    std::string name;
    const std::size_t size = read_one(std::string_view(*bytes).substr(at), user, name);
    damaged_ += size == 0 && !behind_damage ? 1 : 0;
    behind_damage = size == 0;
    at += size == 0 ? kStep : size;
    if (size != 0 && names_.size() < kNamesMax) names_.try_emplace(user, std::move(name));
  }
  return {};
}

bool UserNames::note(UserId user, std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (name.empty() || names_.size() >= kNamesMax || !names_.try_emplace(user, beginning(name)).second) return false;
  fresh_.push_back(user);
  return true;
}

std::string UserNames::name_of(UserId user) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(user);
  return found == names_.end() ? std::string() : found->second;
}

Status UserNames::flush(io::DataDirectory& data) {
  const std::lock_guard one_writer(file_mutex_);
  std::vector<UserId> taken;
  std::string bytes;
  bool whole = false;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(fresh_);
    // Appended behind damage it would be found again, but nobody would ever clear that away.
    whole = std::exchange(damaged_, 0) != 0;
    if (whole) {
      for (const auto& [user, name] : names_) append(user, name, bytes);
    } else {
      for (const UserId user : taken)
        if (const auto found = names_.find(user); found != names_.end()) append(user, found->second, bytes);
    }
  }
  if (bytes.empty()) return {};
  Status written = whole ? data.write_user_names(bytes) : data.append_user_names(bytes);
  if (written) return {};
  const std::lock_guard lock(mutex_);
  fresh_.insert(fresh_.end(), taken.begin(), taken.end());
  // Part of it may be there.
  damaged_ = 1;
  return written;
}

Status UserNames::forget(io::DataDirectory& data, UserId user) {
  const std::lock_guard one_writer(file_mutex_);
  std::string bytes;
  {
    const std::lock_guard lock(mutex_);
    if (names_.erase(user) == 0)
      return Error{ErrorCode::not_found, "no user of this name ever came in, or the name was forgotten already"};
    std::erase(fresh_, user);
    for (const auto& [each, name] : names_) append(each, name, bytes);
    fresh_.clear();
    damaged_ = 0;
  }
  Status written = data.write_user_names(bytes);
  if (written) return {};
  const std::lock_guard lock(mutex_);
  damaged_ = 1;
  return written;
}

}  // namespace terrazzo::catalog
