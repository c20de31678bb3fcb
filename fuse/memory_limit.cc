#include "fuse/memory_limit.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

namespace scalefs::fuse {

namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr uint64_t kLeastCacheBytes = 512 * kMebibyte;

// Of the group at `path` below `mounted` and those above it; files that are not there, or say "max", limit nothing.
// A group's path may be that of the host, of which a container sees the lowest part alone, at `mounted` itself.
uint64_t limit_of_groups(const std::string& mounted, std::string path, const char* file) {
  uint64_t limit = UINT64_MAX;
  while (true) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    uint64_t bytes = 0;
    if (std::ifstream(mounted + path + "/" + file) >> bytes && bytes != 0) limit = std::min(limit, bytes);
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return limit;
    path.resize(slash);
  }
}

bool names(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const size_t end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == wanted) return true;
    controllers.remove_prefix(std::min(end + 1, controllers.size()));
  }
  return false;
}

}  // namespace

uint64_t memory_limit(const std::string& root) {
  uint64_t limit = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream groups(root + "/proc/self/cgroup");
  // number:controllers:path; version 2 has no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      limit = std::min(limit, limit_of_groups(root + "/sys/fs/cgroup", path, "memory.max"));
    } else if (names(controllers, "memory")) {
      limit = std::min(limit, limit_of_groups(root + "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

uint64_t default_cache_bytes(uint64_t limit) {
  const uint64_t bytes = std::max(limit / 16, std::min(kLeastCacheBytes, limit / 2));
  return std::max(bytes / kMebibyte, uint64_t{16}) * kMebibyte;  // what the option takes at least
}

}  // namespace scalefs::fuse
