#include "fuse/processors.h"

#include <sched.h>

#include <charconv>
#include <fstream>
#include <memory>
#include <string>

namespace scalefs::fuse {
namespace {

constexpr unsigned kProcessorsMax = 65536;

}  // namespace

std::vector<unsigned> parse_processors(std::string_view text) {
  std::vector<unsigned> found;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    unsigned first = 0;
    auto read = std::from_chars(at, end, first);
    if (read.ec != std::errc()) return {};
    unsigned last = first;
    if (read.ptr != end && *read.ptr == '-') {
      read = std::from_chars(read.ptr + 1, end, last);
      if (read.ec != std::errc()) return {};
    }
    if (last < first || last >= kProcessorsMax) return {};
    for (unsigned i = first; i <= last; ++i) found.push_back(i);
    if (read.ptr != end && (*read.ptr != ',' || read.ptr + 1 == end)) return {};
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return found;
}

std::vector<unsigned> possible_processors() {
  std::ifstream file("/sys/devices/system/cpu/possible");
  std::string line;
  std::getline(file, line);
  return parse_processors(line);
}

std::vector<unsigned> our_processors() {
  const size_t bytes = CPU_ALLOC_SIZE(kProcessorsMax);
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(kProcessorsMax),
                                                             [](cpu_set_t* s) { CPU_FREE(s); });
  std::vector<unsigned> found;
  if (set == nullptr) return found;
  CPU_ZERO_S(bytes, set.get());
  if (::sched_getaffinity(0, bytes, set.get()) != 0) return found;
  for (unsigned i = 0; i < kProcessorsMax; ++i)
    if (CPU_ISSET_S(i, bytes, set.get())) found.push_back(i);
  return found;
}

}  // namespace scalefs::fuse
