#include "tools/size_suffix.h"

#include <fmt/core.h>

#include <charconv>

namespace scalefs::tools {

namespace {
constexpr std::string_view kUnits = "KMGT";
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number == 0) return {};
  std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  if (suffix.empty()) return number;
  char letter =
      suffix[0] >= 'a' && suffix[0] <= 'z' ? static_cast<char>(suffix[0] - 32) : suffix[0];
  size_t unit = kUnits.find(letter);
  if (unit == std::string_view::npos) return {};
  suffix.remove_prefix(1);
  if (!suffix.empty() && suffix != "iB" && suffix != "B") return {};
  unsigned shift = static_cast<unsigned>(unit + 1) * 10;
  if (number > UINT64_MAX >> shift) return {};
  return number << shift;
}

std::string format_size(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  unsigned unit = 0;
  while (unit + 1 < kUnits.size() && bytes >> (10 * (unit + 2)) != 0) ++unit;
  double value = static_cast<double>(bytes) / static_cast<double>(uint64_t{1} << (10 * (unit + 1)));
  std::string number = fmt::format("{:.2f}", value);
  while (number.back() == '0') number.pop_back();
  if (number.back() == '.') number.pop_back();
  return fmt::format("{} {}iB", number, kUnits[unit]);
}

}  // namespace scalefs::tools
