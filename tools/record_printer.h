// Prints records of named fields: for people, or an object of JSON a line for programs.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

namespace scalefs::tools {

using Record = nlohmann::ordered_json;  // an object; fields keep their order

class RecordPrinter {
 public:
  RecordPrinter(FILE* out, bool json) : out_(out), json_(json) {}
  // Of one thing: a line a field.
  void thing(const Record& record);
  // Of one among many of a kind: one line.
  void row(const Record& record);

 private:
  void object(const Record& record);
  FILE* out_;
  const bool json_;
};

// A name of bytes of any kind as a string of JSON: what is not printable ASCII, and the backslash, becomes
// \xHH.
std::string printable(std::string_view bytes);

}  // namespace scalefs::tools
