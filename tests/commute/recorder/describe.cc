// Names of places and objects: addr2line and nm on the running program, asked once a place.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/commute/recorder/recorder.h"

namespace scalefs::record {
namespace {

struct Frame {
  std::string function;
  std::string file;  // relative to the sources; as it is elsewhere
  std::string line;
  bool ours = false;
};

std::string own_path() {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - 1);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

std::vector<std::string> output_of(const std::string& command) {
  std::vector<std::string> lines;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return lines;
  char* text = nullptr;
  size_t room = 0;
  while (true) {
    const ssize_t length = ::getline(&text, &room, pipe);
    if (length < 0) break;
    lines.emplace_back(text, static_cast<size_t>(text[length - 1] == '\n' ? length - 1 : length));
  }
  std::free(text);
  ::pclose(pipe);
  return lines;
}

// "f(int) const" and the like without arguments, which are long, and without what follows them.
std::string short_function(const std::string& name) {
  std::string out;
  int depth = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '(' && name.compare(i, 21, "(anonymous namespace)") == 0) {
      i += 20;
      if (i + 2 < name.size() && name[i + 1] == ':') i += 2;
      continue;
    }
    if (c == '(' || c == '<') ++depth;
    if (depth == 0) out += c;
    if ((c == ')' || c == '>') && depth > 0) --depth;
  }
  out.resize(std::min(out.size(), out.find(" [clone")));
  while (out.ends_with(" const")) out.resize(out.size() - 6);
  const size_t space = out.rfind(' ');
  if (space != std::string::npos && out.compare(0, 8, "operator") != 0) out = out.substr(space + 1);
  const std::string space_name = "scalefs::";
  if (out.compare(0, space_name.size(), space_name) == 0) out = out.substr(space_name.size());
  return out;
}

Frame make_frame(const std::string& function, const std::string& place) {
  Frame frame;
  frame.function = short_function(function);
  const size_t colon = place.rfind(':');
  std::string file = place.substr(0, colon);
  // Compilers started in a build folder name sources by a way up from it.
  const size_t up = file.rfind("../");
  if (up != std::string::npos) file = file.substr(up + 3);
  if (colon != std::string::npos) frame.line = place.substr(colon + 1);
  const size_t blank = frame.line.find(' ');
  if (blank != std::string::npos) frame.line.resize(blank);
  const std::string root = SCALEFS_SOURCE_DIR "/";
  const size_t at = file.find(root);
  if (at != std::string::npos) {
    frame.file = file.substr(at + root.size());
    frame.ours = true;
  } else {
    // Compiler caches shorten paths to relative ones.
    for (const char* room : {"base/", "oplog/", "memfs/", "diskfs/", "volume/", "tests/"}) {
      const size_t found = file.find(room);
      if (found == std::string::npos || (found > 0 && file[found - 1] != '/')) continue;
      if (file.compare(0, 5, "/usr/") == 0) continue;
      frame.file = file.substr(found);
      frame.ours = true;
      break;
    }
    if (frame.file.empty()) frame.file = file.substr(file.rfind('/') + 1);
  }
  return frame;
}

std::map<uintptr_t, std::vector<Frame>>& known_frames() {
  static auto& known = *new std::map<uintptr_t, std::vector<Frame>>;
  return known;
}

// Some return addresses a command line.
constexpr size_t kAskedAtOnce = 200;

void ask(const std::vector<uintptr_t>& addresses) {
  std::string command = fmt::format("addr2line -a -C -i -f -e '{}'", own_path());
  for (const uintptr_t address : addresses) command += fmt::format(" {:#x}", address - 1);
  // An address alone begins each answer; then functions and places take turns.
  std::vector<Frame>* frames = nullptr;
  std::string function;
  for (const std::string& line : output_of(command + " 2>/dev/null")) {
    if (line.compare(0, 2, "0x") == 0) {
      frames = &known_frames()[std::strtoull(line.c_str(), nullptr, 16) + 1];
      function.clear();
    } else if (function.empty()) {
      function = line;
    } else {
      if (frames != nullptr) frames->push_back(make_frame(function, line));
      function.clear();
    }
  }
}

// The chain of functions inlined into one another at the address, innermost first.
const std::vector<Frame>& frames_at(uintptr_t return_address) {
  const auto found = known_frames().find(return_address);
  if (found != known_frames().end()) return found->second;
  ask({return_address});
  return known_frames()[return_address];
}

std::string text_of(const Frame& frame) {
  return fmt::format("{}:{} {}", frame.file, frame.line, frame.function);
}

// What carries no meaning of its own: the innermost frame beyond these is what is named.
bool is_plumbing(const Frame& frame) {
  for (const char* file :
       {"base/atomic.h", "base/mutex.h", "base/bytes.cc", "base/bytes.h", "base/core.h"})
    if (frame.file == file) return true;
  return !frame.ours;
}

std::vector<std::string> chain(uintptr_t pc, const uintptr_t* callers, bool plumbing) {
  std::vector<std::string> texts;
  const auto add = [&](uintptr_t at) {
    if (at == 0) return;
    for (const Frame& frame : frames_at(at))
      if (plumbing ? frame.ours : !is_plumbing(frame)) texts.push_back(text_of(frame));
  };
  add(pc);
  for (int i = 0; i < kCallers; ++i) add(callers[i]);
  return texts;
}

struct Variable {
  uintptr_t start;
  size_t size;
  std::string name;
};

const std::vector<Variable>& variables() {
  static auto& all = *new std::vector<Variable>([] {
    std::vector<Variable> found;
    for (const std::string& line : output_of("nm -C -S --defined-only '" + own_path() + "'")) {
      unsigned long start = 0;
      unsigned long size = 0;
      char type = 0;
      int name_at = 0;
      if (std::sscanf(line.c_str(), "%lx %lx %c %n", &start, &size, &type, &name_at) < 3) continue;
      if (std::string("bBdDrRvVuTtWw").find(type) == std::string::npos) continue;
      found.push_back({start, size, short_function(line.substr(static_cast<size_t>(name_at)))});
    }
    std::sort(found.begin(), found.end(),
              [](const Variable& a, const Variable& b) { return a.start < b.start; });
    return found;
  }());
  return all;
}

struct Object {
  std::string name;
  uintptr_t start = 0;
};

Object find_object(uintptr_t address) {
  BlockInfo info;
  if (runtime::find_block(address, &info)) {
    return {name_of(info), info.start};
  }
  for (const Variable& v : variables())
    if (address >= v.start && address < v.start + std::max<size_t>(v.size, 1))
      return {"variable " + v.name, v.start};
  return {"memory of no block or variable (a stack or a thread's own)", address};
}

}  // namespace

std::string describe(const Access& access) {
  const auto texts = chain(access.pc, access.callers, true);
  if (texts.empty()) return fmt::format("{:#x}", access.pc);
  std::string all;
  for (size_t i = 0; i < texts.size() && i < 6; ++i) all += (i == 0 ? "" : " < ") + texts[i];
  return all;
}

std::string place_of(const Access& access) {
  auto texts = chain(access.pc, access.callers, false);
  if (texts.empty()) texts = chain(access.pc, access.callers, true);
  return texts.empty() ? fmt::format("{:#x}", access.pc) : texts[0];
}

std::string describe_address(uintptr_t address) {
  const Object object = find_object(address);
  return fmt::format("{} +{}", object.name, address - object.start);
}

std::string name_of(const BlockInfo& block) {
  const auto texts = chain(block.pc, block.callers, false);
  return fmt::format("block of {} bytes from {}", block.size,
                     texts.empty() ? "outside the project" : texts[0]);
}

void prefetch(const std::vector<Access>& accesses) {
  std::vector<uintptr_t> wanted;
  for (const Access& access : accesses) {
    wanted.push_back(access.pc);
    wanted.insert(wanted.end(), std::begin(access.callers), std::end(access.callers));
  }
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::erase_if(wanted, [](uintptr_t at) { return at == 0 || known_frames().count(at) != 0; });
  for (size_t i = 0; i < wanted.size(); i += kAskedAtOnce)
    ask({wanted.begin() + static_cast<ptrdiff_t>(i),
         wanted.begin() + static_cast<ptrdiff_t>(std::min(wanted.size(), i + kAskedAtOnce))});
}

std::string object_of(uintptr_t address) { return find_object(address).name; }

}  // namespace scalefs::record
