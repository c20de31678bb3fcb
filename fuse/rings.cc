#include "fuse/rings.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace scalefs::fuse {
namespace {

constexpr unsigned kProcessorsMax = 65536;
// Of processors that do not run, or not for us.
constexpr unsigned kDepthElsewhere = 2;
constexpr unsigned kThreadsMax = 32;

std::vector<unsigned> possible_processors() {
  std::ifstream file("/sys/devices/system/cpu/possible");
  std::string line;
  std::getline(file, line);
  return parse_processors(line);
}

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

Result<std::unique_ptr<Rings>> Rings::create(RingHandler& handler, const Config& config) {
  const std::vector<unsigned> processors = possible_processors();
  if (processors.empty()) return Errno(ENOENT);
  const size_t set_bytes = CPU_ALLOC_SIZE(kProcessorsMax);
  std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> ours(
      CPU_ALLOC(kProcessorsMax), [](cpu_set_t* set) { CPU_FREE(set); });
  if (ours == nullptr) return Errno(ENOMEM);
  CPU_ZERO_S(set_bytes, ours.get());
  if (::sched_getaffinity(0, set_bytes, ours.get()) != 0) return Errno(errno);

  auto rings = std::make_unique<Rings>();
  Ring::Config elsewhere;
  for (const unsigned processor : processors) {
    const auto queue = static_cast<uint16_t>(processor);
    if (!CPU_ISSET_S(processor, set_bytes, ours.get())) {
      elsewhere.queues.push_back(queue);
      continue;
    }
    Ring::Config wanted;
    wanted.fuse_fd = config.fuse_fd;
    wanted.queues = {queue};
    wanted.pinned = processor;
    wanted.depth = config.depth;
    wanted.payload_bytes = config.payload_bytes;
    wanted.threads_max = std::min(config.depth, kThreadsMax);
    SCALEFS_TRY(auto ring, Ring::create(handler, wanted));
    rings->rings_.push_back(std::move(ring));
  }
  if (!elsewhere.queues.empty()) {
    elsewhere.fuse_fd = config.fuse_fd;
    elsewhere.depth = std::min(config.depth, kDepthElsewhere);
    elsewhere.payload_bytes = config.payload_bytes;
    elsewhere.threads_max = kThreadsMax;
    SCALEFS_TRY(auto ring, Ring::create(handler, elsewhere));
    rings->rings_.push_back(std::move(ring));
  }
  return rings;
}

Status Rings::start() {
  for (auto& ring : rings_) SCALEFS_TRY_VOID(ring->start());
  return {};
}

void Rings::stop() {
  for (auto& ring : rings_) ring->stop();
}

}  // namespace scalefs::fuse
