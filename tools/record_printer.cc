#include "tools/record_printer.h"

#include <fmt/format.h>

#include <string>

namespace scalefs::tools {
namespace {

std::string text_of(const Record& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_structured()) return value.dump();
  std::string text;
  for (const auto& [key, part] : value.items()) {
    const bool parts = value.is_array() && part.is_object();
    if (parts || !text.empty()) text += parts ? "\n    " : value.is_array() ? ", " : " ";
    if (value.is_object()) text += key + "=";
    text += text_of(part);
  }
  return text;
}

}  // namespace

void RecordPrinter::object(const Record& record) { fmt::print(out_, "{}\n", record.dump()); }

void RecordPrinter::thing(const Record& record) {
  if (json_) return object(record);
  for (const auto& [key, value] : record.items())
    fmt::print(out_, "{:<24} {}\n", key, text_of(value));
}

void RecordPrinter::row(const Record& record) {
  if (json_) return object(record);
  fmt::print(out_, "{}\n", text_of(record));
}

std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  return text;
}

}  // namespace scalefs::tools
