#pragma once

#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/command_line.h"

// What servers answer, which may be anything.
namespace terrazzo::cli {

// An object; an error where the server refuses or answers otherwise.
Result<nlohmann::json> ask(const CommandLine& line, std::string_view method, const std::string& target,
                           const std::string& body = {});
// A member as people read it; empty: there is none.
std::string text_of(const nlohmann::json& object, const char* member);
// 0: there is none.
std::uint64_t count_of(const nlohmann::json& object, const char* member);
// The number of the tile layer that the command line names, by name or number; empty: it names none.
Result<std::string> layer_number(const CommandLine& line);
// Of its created_ms, as local time.
std::tm created_at(const nlohmann::json& object);
// Where two states differ.
Status print_diff(const CommandLine& line, const nlohmann::json& diff, std::string_view one, std::string_view other);

}  // namespace terrazzo::cli
