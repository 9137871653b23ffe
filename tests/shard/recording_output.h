#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "server/shard/shard_output.h"

namespace terrazzo::shard {

struct LoggedRecord {
  storage::RecordKind kind;
  storage::ShardIdentity shard;
  Lsn lsn;
  std::vector<std::byte> payload;
  storage::Record view() const { return {kind, shard, lsn, payload}; }
};

// Keeps every effect for the test to look at.
class RecordingOutput final : public ShardOutput {
 public:
  std::uint64_t log(const storage::Record& record) override {
    records.push_back({record.kind, record.shard, record.lsn, {record.payload.begin(), record.payload.end()}});
    return records.size();
  }
  std::optional<Error> busy() const override { return why_busy; }
  void publish(CoreMask cores, SharedPublication publication) override {
    published.push_back({cores, std::move(publication)});
  }
  void reply(std::unique_ptr<StatesReply> reply) override { replies.push_back(std::move(reply)); }
  void outcome(EditOutcome outcome) override { outcomes.push_back(std::move(outcome)); }
  void durable(CoreMask, const DurableMark& mark) override { marks.push_back(mark); }
  void forward(std::unique_ptr<EditRequest> part) override { forwarded.push_back(std::move(part)); }

  std::size_t count(EditOutcome::Stage stage) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(outcomes, [&](const EditOutcome& o) { return o.stage == stage; }));
  }

  struct Published {
    CoreMask cores;
    SharedPublication publication;
  };
  std::optional<Error> why_busy;
  std::vector<LoggedRecord> records;
  std::vector<Published> published;
  std::vector<std::unique_ptr<StatesReply>> replies;
  std::vector<EditOutcome> outcomes;
  std::vector<DurableMark> marks;
  std::vector<std::unique_ptr<EditRequest>> forwarded;
};

}  // namespace terrazzo::shard
