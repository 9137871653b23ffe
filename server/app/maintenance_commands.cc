#include "server/app/maintenance_commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/progress.h"
#include "server/io/data_directory.h"
#include "server/maintenance/backup.h"
#include "server/maintenance/backup_check.h"
#include "server/maintenance/directory_check.h"
#include "server/maintenance/directory_report.h"

namespace terrazzo::app {
namespace {

int say(const Error& error) {
  fmt::print(stderr, "terrazzo-server: {}\n", error.message);
  return 2;
}

void print(const maintenance::CheckReport& report, const std::string& path, bool json) {
  if (json) {
    const nlohmann::json all{{"worlds", report.worlds},    {"shards", report.shards},
                             {"pages", report.pages},      {"segments", report.segments},
                             {"records", report.records},  {"history", report.history},
                             {"assets", report.assets},    {"empty_shards", report.empty_shards},
                             {"findings", report.findings}};
    fmt::print("{}\n", all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  for (const std::string& finding : report.findings) fmt::print("DAMAGED {}\n", finding);
  fmt::print(
      "{}: {} worlds, {} shards{} with {} pages, {} log segments with {} records, {} of history, {} assets: {}\n", path,
      report.worlds, report.shards,
      report.empty_shards == 0 ? "" : fmt::format(" ({} never written to)", report.empty_shards), report.pages,
      report.segments, report.records, report.history, report.assets,
      report.findings.empty() ? "all proven" : fmt::format("{} findings", report.findings.size()));
}

maintenance::BackupProgress bar_of(std::optional<Progress>& bar, const char* what) {
  return [&bar, what](const std::string&, std::uint64_t done, std::uint64_t total) {
    if (!bar) bar.emplace(what, total);
    bar->at(done);
  };
}

maintenance::CheckReport check_with_bar(const io::DataDirectory& data) {
  std::optional<Progress> bar;
  return maintenance::check_directory(data, bar_of(bar, "verify"));
}

int verify_backup(const std::string& folder, bool json) {
  std::optional<Progress> bar;
  const Result<maintenance::BackupCheck> check = maintenance::check_backup(folder, bar_of(bar, "verify"));
  bar.reset();
  if (!check) return say(check.error());
  if (json) {
    const nlohmann::json all{{"backups", check->backups},
                             {"files", check->files},
                             {"shards", check->shards},
                             {"bytes", check->bytes},
                             {"findings", check->findings}};
    fmt::print("{}\n", all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const std::string& finding : check->findings) fmt::print("DAMAGED {}\n", finding);
    fmt::print("{}: a backup of {} files and {} shards{}: {}\n", folder, check->files, check->shards,
               check->backups == 1 ? "" : fmt::format(", with {} that it builds on", check->backups - 1),
               check->findings.empty() ? fmt::format("all {} bytes proven", check->bytes)
                                       : fmt::format("{} findings", check->findings.size()));
  }
  return check->findings.empty() ? 0 : 1;
}

}  // namespace

int inspect(const CommandLine& line) {
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return say(data.error());
  std::optional<Progress> bar;
  const maintenance::DirectoryReport report = maintenance::report_directory(**data, bar_of(bar, "inspect"));
  bar.reset();
  fmt::print("{}", line.json ? maintenance::to_json(report) : maintenance::to_text(report));
  return 0;
}

int verify(const CommandLine& line) {
  std::error_code unreadable;  // said by whoever reads it next
  if (std::filesystem::exists(line.config.data_dir + "/" + maintenance::kManifestName, unreadable))
    return verify_backup(line.config.data_dir, line.json);
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return say(data.error());
  if (const std::string holder = (*data)->holder(); !holder.empty()) {
    return say(
        {ErrorCode::conflict,
         fmt::format("{} is in use by process {}: what changes cannot be proven. Stop the server, or make a backup "
                     "(terrazzo backup NAME --server URL): restoring that into a new folder proves it",
                     line.config.data_dir, holder)});
  }
  const maintenance::CheckReport report = check_with_bar(**data);
  print(report, (*data)->path(), line.json);
  return report.findings.empty() ? 0 : 1;
}

int backup(const CommandLine& line) {
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return say(data.error());
  if (const std::string holder = (*data)->holder(); !holder.empty()) {
    return say(
        {ErrorCode::conflict,
         fmt::format("{} is in use by process {}: terrazzo backup NAME --server URL makes a backup while it runs",
                     line.config.data_dir, holder)});
  }
  std::optional<Progress> bar;
  const Status done = maintenance::backup_directory(**data, line.target, line.since, bar_of(bar, "backup"));
  bar.reset();
  if (!done) return say(done.error());
  fmt::print("{} is a backup of {}; terrazzo-server restore {} DIR makes a data folder of it\n", line.target,
             line.config.data_dir, line.target);
  return 0;
}

int restore(const CommandLine& line) {
  std::optional<Progress> bar;
  const Status done = maintenance::restore_backup(line.target, line.config.data_dir, bar_of(bar, "restore"));
  bar.reset();
  if (!done) return say(done.error());
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return say(data.error());
  const maintenance::CheckReport report = check_with_bar(**data);
  print(report, (*data)->path(), false);
  return report.findings.empty() ? 0 : 1;
}

}  // namespace terrazzo::app
