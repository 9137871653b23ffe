#include "lossy_server.h"

#include <fstream>
#include <iterator>

#include "scripted_life.h"

namespace terrazzo::integration {
namespace {

namespace fs = std::filesystem;
constexpr int kPowerCut = -1;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

LossyServer::LossyServer(const fs::path& folder, const std::string& lie)
    : folder_(folder), data_(folder / "data"), disk_(folder / "disk"), lie_(lie) {
  fs::create_directory(data_);
  begin_disk(data_, disk_);
}

bool LossyServer::start(std::vector<std::string> flags, long dies_before) {
  ShimSettings shim(data_, dies_before, kPowerCut, {});
  shim.set("TERRAZZO_FAULT_DISK", disk_.string());
  if (!lie_.empty()) shim.set("TERRAZZO_FAULT_LIE", lie_);
  flags.insert(flags.end(), {"--io", "epoll", "--file-io", "threads", "--segment-mib", "1", "--history-mib", "8"});
  process_.reset();
  process_ = std::make_unique<ServerProcess>(data_, flags, port_, false);
  if (process_->running()) port_ = process_->port();
  return process_->running();
}

void LossyServer::cut_power(std::mt19937& random) {
  process_->kill();
  const auto draw = random() % 8;
  const Unsynced unsynced = draw == 0 ? Unsynced::kept : draw <= 2 ? Unsynced::lost : Unsynced::torn;
  const fs::path after = folder_ / "after";
  restore_disk(data_, disk_, after, unsynced, random);
  cut_ = std::string("what was not synced is ") +
         (unsynced == Unsynced::kept   ? "kept"
          : unsynced == Unsynced::lost ? "lost"
                                       : "kept, lost and torn") +
         "; names, as they had come and gone:\n" + text_of(disk_ / "journal");
  fs::remove_all(data_);
  fs::remove_all(disk_);
  fs::rename(after, data_);
  begin_disk(data_, disk_);
}

std::string LossyServer::story() const {
  return cut_ + "the server's words:\n" + text_of(data_.string() + ".log");
}

}  // namespace terrazzo::integration
