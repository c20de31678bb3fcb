#include "tests/commute/matrix/exceptions.h"

#include <fmt/format.h>

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
  const auto lines = read_list(path, 5, why);
  if (lines.size() > kMax) *why = fmt::format("{}: more than {} entries", path, kMax);
  for (const auto& line : lines) {
    Exception e{line[0], line[1], line[2], line[3], line[4]};
    if (e.volumes != "memory" && e.volumes != "disk" && e.volumes != "both")
      *why = path + ": memory, disk or both, not " + e.volumes;
    if (e.volumes == volume || e.volumes == "both") entries_.push_back(std::move(e));
  }
}

int Exceptions::find(const SharedLine& line) const {
  const std::string first = plain(line.first);
  const std::string second = plain(line.second);
  const std::string object = plain(line.object);
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Exception& e = entries_[i];
    if (e.object == object && ((e.first == first && e.second == second) ||
                               (e.first == second && e.second == first)))
      return static_cast<int>(i);
  }
  return -1;
}

bool Exceptions::excuse(const SharedLine& line) {
  const int found = find(line);
  if (found >= 0) ++entries_[static_cast<size_t>(found)].cases;
  return found >= 0;
}

}  // namespace scalefs::matrix
