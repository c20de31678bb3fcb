#include "tests/commute/matrix/lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace scalefs::matrix {
namespace {

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  size_t at = 0;
  for (;;) {
    const size_t bar = line.find('|', at);
    fields.push_back(trimmed(line.substr(at, bar == std::string::npos ? bar : bar - at)));
    if (bar == std::string::npos) return fields;
    at = bar + 1;
  }
}

}  // namespace

std::vector<std::vector<std::string>> read_list(const std::string& path, size_t fields,
                                                std::string* why) {
  std::vector<std::vector<std::string>> entries;
  std::ifstream file(path);
  if (!file) *why = path + " cannot be read";
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    auto entry = fields_of(line);
    if (entry.size() != fields ||
        std::any_of(entry.begin(), entry.end(), [](const auto& f) { return f.empty(); }))
      *why = fmt::format("{}:{}: want {} fields", path, number, fields);
    else
      entries.push_back(std::move(entry));
  }
  return entries;
}

std::optional<uint64_t> number_of(const std::string& field) {
  if (field.empty() || field.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoull(field);
}

Floors::Floors(const std::string& path, std::string* why) {
  for (const auto& entry : read_list(path, 3, why)) {
    const auto commuting = number_of(entry[1]);
    const auto changing = number_of(entry[2]);
    if (!commuting || !changing || !floors_.emplace(entry[0], Floor{*commuting, *changing}).second)
      *why = path + ": twice, or without numbers of cases: " + entry[0];
  }
  if (floors_.count("*") == 0) *why = path + ": no line for pairs that are not named";
}

Floors::Floor Floors::of(const std::string& pair) const {
  const auto found = floors_.find(pair);
  return found == floors_.end() ? floors_.at("*") : found->second;
}

}  // namespace scalefs::matrix
