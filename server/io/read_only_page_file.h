#pragma once

#include <memory>
#include <span>
#include <string>

#include "server/io/read_only_mapping.h"
#include "server/storage/page_file.h"

namespace terrazzo::io {

// A shard's file for looking at: never written, never grown. Nothing of a store over it may be changed but its own
// memory. One thread.
class ReadOnlyPageFile final : public storage::PageFile {
 public:
  static Result<std::unique_ptr<ReadOnlyPageFile>> open(const std::string& path, Reads reads);

  std::byte* base() override { return const_cast<std::byte*>(bytes().data()); }
  storage::PageNo page_count() const override {
    return static_cast<storage::PageNo>(bytes().size() / storage::kPageBytes);
  }
  // What is there is enough; more is an error.
  Status grow(storage::PageNo pages) override;

 private:
  // A kill may come between making a file and giving it the pages of its roots: all of it is in the log then, and it
  // is shown as what it would have become next, two roots that were never written.
  std::span<const std::byte> bytes() const;
  ReadOnlyPageFile(std::string path, std::unique_ptr<ReadOnlyMapping> mapping)
      : path_(std::move(path)), mapping_(std::move(mapping)) {}
  std::string path_;
  std::unique_ptr<ReadOnlyMapping> mapping_;
};

}  // namespace terrazzo::io
