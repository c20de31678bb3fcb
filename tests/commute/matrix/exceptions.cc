#include "tests/commute/matrix/exceptions.h"

#include <fmt/format.h>

#include <sstream>

#include "tests/commute/matrix/lists.h"

namespace scalefs::matrix {
namespace {

// "memfs/a.cc:12 memfs::f" is "memfs/a.cc memfs::f"; "block of 64 bytes from ..." "block from ...".
std::string plain(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9') {
      while (i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9') ++i;
      continue;
    }
    out += text[i];
  }
  const std::string block = "block of ";
  const size_t from = out.find(" bytes from ");
  if (out.compare(0, block.size(), block) == 0 && from != std::string::npos)
    out = "block" + out.substr(from + 6);
  return out;
}

}  // namespace

bool excusable(const World& world, const Call& call) {
  switch (call.op) {
    case Op::lookup:
    case Op::getattr:
    case Op::create:
    case Op::create_exclusive:
    case Op::link:
    case Op::unlink:
    case Op::read:
    case Op::write:
    case Op::write_extend:
    case Op::append: return false;
    case Op::rename:
    case Op::rename_noreplace: return world.is_directory(call.slot);
    case Op::rename_exchange: return world.is_directory(call.slot) && world.is_directory(call.to);
    default: return true;
  }
}

Exceptions::Exceptions(const std::string& path, const std::string& volume, std::string* why) {
  const auto lines = read_list(path, 6, why);
  if (lines.size() > kMax) *why = fmt::format("{}: more than {} entries", path, kMax);
  for (const auto& line : lines) {
    Exception e{line[0], line[2], line[3], line[4], line[5], {}};
    std::istringstream calls(line[1]);
    for (std::string pair; calls >> pair;) e.cases[pair] = 0;
    if (e.cases.count("*") != 0 && e.cases.size() > 1) *why = path + ": * beside pairs of calls: " + line[1];
    if (e.volumes != "memory" && e.volumes != "disk" && e.volumes != "both")
      *why = path + ": memory, disk or both, not " + e.volumes;
    if (e.volumes == volume || e.volumes == "both") entries_.push_back(std::move(e));
  }
}

std::pair<const Exception*, std::string> Exceptions::find(const SharedLine& line, const std::string& pair,
                                                          bool excusable) const {
  const std::string first = plain(line.first);
  const std::string second = plain(line.second);
  const std::string object = plain(line.object);
  for (const Exception& e : entries_) {
    if (e.object != object || !((e.first == first && e.second == second) ||
                                (e.first == second && e.second == first)))
      continue;
    if (e.cases.count(pair) != 0) return {&e, pair};
    if (excusable && e.cases.count("*") != 0) return {&e, "*"};
  }
  return {nullptr, {}};
}

bool Exceptions::excuse(const SharedLine& line, const std::string& pair, bool excusable) {
  const auto [entry, named] = find(line, pair, excusable);
  if (entry == nullptr) return false;
  ++entries_[static_cast<size_t>(entry - entries_.data())].cases[named];
  return true;
}

}  // namespace scalefs::matrix
