#include "server/app/maintenance_commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/progress.h"
#include "server/io/data_directory.h"
#include "server/maintenance/backup.h"
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
    const nlohmann::json all{{"worlds", report.worlds},     {"shards", report.shards},    {"pages", report.pages},
                             {"segments", report.segments}, {"records", report.records},  {"history", report.history},
                             {"assets", report.assets},     {"findings", report.findings}};
    fmt::print("{}\n", all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  for (const std::string& finding : report.findings) fmt::print("DAMAGED {}\n", finding);
  fmt::print("{}: {} worlds, {} shards with {} pages, {} log segments with {} records, {} of history, {} assets: {}\n",
             path, report.worlds, report.shards, report.pages, report.segments, report.records, report.history,
             report.assets,
             report.findings.empty() ? "all proven" : fmt::format("{} findings", report.findings.size()));
}

}  // namespace

int inspect(const CommandLine& line) {
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return say(data.error());
  const maintenance::DirectoryReport report = maintenance::report_directory(**data);
  fmt::print("{}", line.json ? maintenance::to_json(report) : maintenance::to_text(report));
  return 0;
}

int verify(const CommandLine& line) {
  const auto data = io::DataDirectory::look_at(line.config.data_dir);
  if (!data) return say(data.error());
  if (const std::string holder = (*data)->holder(); !holder.empty()) {
    return say(
        {ErrorCode::conflict,
         fmt::format("{} is in use by process {}: what changes cannot be proven. Stop the server, or make a backup "
                     "(terrazzo backup NAME --server URL): restoring that into a new folder proves it",
                     line.config.data_dir, holder)});
  }
  std::optional<Progress> bar;
  const maintenance::CheckReport report =
      maintenance::check_directory(**data, [&](const std::string&, std::uint64_t done, std::uint64_t total) {
        if (!bar) bar.emplace("verify", total);
        bar->at(done);
      });
  bar.reset();
  print(report, (*data)->path(), line.json);
  return report.findings.empty() ? 0 : 1;
}

namespace {

maintenance::BackupProgress bar_of(std::optional<Progress>& bar, const char* what) {
  return [&bar, what](const std::string&, std::uint64_t done, std::uint64_t total) {
    if (!bar) bar.emplace(what, total);
    bar->at(done);
  };
}

}  // namespace

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
  const maintenance::CheckReport report = maintenance::check_directory(**data);
  print(report, (*data)->path(), false);
  return report.findings.empty() ? 0 : 1;
}

}  // namespace terrazzo::app
