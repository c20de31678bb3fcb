#include "tests/commute/matrix/exceptions.h"

#include <fmt/format.h>

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

// `call` is one of `calls`.
bool is_among(const std::string& call, const std::string& calls) {
  return calls == "*" || ("+" + calls + "+").find("+" + call + "+") != std::string::npos;
}

}  // namespace

Exceptions::Exceptions(const std::string& path, const std::string& volume, std::string* why) {
  std::ifstream file(path);
  if (!file) *why = path + " cannot be read";
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const auto fields = fields_of(line);
    if (fields.size() != 6 || fields[5].empty() ||
        (fields[0] != "open" && fields[0] != "accepted")) {
      *why = fmt::format("line {}: want class | volumes | calls | calls | object | reason", number);
      return;
    }
    Exception e{fields[0] == "open", fields[1], fields[2], fields[3], fields[4], fields[5]};
    if (e.volumes == volume || e.volumes == "both") entries_.push_back(std::move(e));
  }
}

std::vector<std::string> Exceptions::uncovered(const Sharing& s) {
  std::vector<std::string> left;
  for (const auto& [cell, cases] : s.cells) {
    const size_t comma = cell.find(',');
    const std::string a = cell.substr(0, comma);
    const std::string b = cell.substr(comma + 1);
    bool covered = false;
    for (Exception& e : entries_) {
      const bool calls = (is_among(a, e.first) && is_among(b, e.second)) ||
                         (is_among(b, e.first) && is_among(a, e.second));
      if (!calls || (e.object != "*" && s.object.find(e.object) == std::string::npos)) continue;
      e.cases += cases;
      covered = true;
      break;
    }
    if (!covered) left.push_back(cell);
  }
  return left;
}

}  // namespace scalefs::matrix
