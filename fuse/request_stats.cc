#include "fuse/request_stats.h"

#include <algorithm>
#include <bit>

#include "base/clock.h"

namespace scalefs::fuse {
namespace {

// By opcode of the protocol.
constexpr std::string_view kNames[] = {
    "", "lookup", "forget", "getattr", "setattr", "readlink", "symlink", "", "mknod", "mkdir", "unlink",
    "rmdir", "rename", "link", "open", "read", "write", "statfs", "release", "", "fsync", "setxattr",
    "getxattr", "listxattr", "removexattr", "flush", "init", "opendir", "readdir", "releasedir", "fsyncdir",
    "getlk", "setlk", "setlkw", "access", "create", "interrupt", "bmap", "destroy", "ioctl", "poll",
    "notify_reply", "batch_forget", "fallocate", "readdirplus", "rename2", "lseek", "copy_file_range",
    "setupmapping", "removemapping", "syncfs", "tmpfile", "statx"};
constexpr unsigned kFirstBits = 8;  // of the smallest bucket's bound

}  // namespace

RequestStats::RequestStats() : start_cycles_(interval_now()), start_ms_(monotonic_ms()) {}

uint32_t RequestStats::bucket_of(uint64_t cycles) {
  if (cycles < (uint64_t{1} << kFirstBits)) return 0;
  const auto bits = static_cast<unsigned>(std::bit_width(cycles)) - 1;
  const auto half = static_cast<unsigned>(cycles >> (bits - 1)) & 1u;
  return std::min((bits - kFirstBits) * 2 + half + 1, kBuckets - 1);
}

uint64_t RequestStats::bound_of(uint32_t bucket) {
  const uint64_t power = uint64_t{1} << (bucket / 2 + kFirstBits);
  return bucket % 2 == 0 ? power : power / 2 * 3;
}

void RequestStats::note(uint32_t opcode, uint64_t since) {
  const uint64_t now = interval_now();
  const uint64_t cycles = now > since ? now - since : 0;  // cores may disagree by a little
  Counts& counts = cores_.mine()[opcode % kKinds];
  counts.cycles.add(cycles);
  counts.buckets[bucket_of(cycles)].add(1);
}

uint64_t RequestStats::age_ms() const { return monotonic_ms() - start_ms_; }

double RequestStats::ns_a_cycle() const {
  const uint64_t cycles = interval_now() - start_cycles_;
  if (cycles == 0) return 0;
  return static_cast<double>(age_ms()) * 1e6 / static_cast<double>(cycles);
}

std::vector<RequestStats::Kind> RequestStats::kinds() const {
  const double ns = ns_a_cycle();
  std::vector<Kind> kinds;
  for (uint32_t opcode = 1; opcode < kKinds; ++opcode) {
    uint64_t count = 0, cycles = 0;
    std::array<uint64_t, kBuckets> buckets{};
    for (uint32_t core = 0; core < cores_.size(); ++core) {
      const Counts& counts = cores_.at(core)[opcode];
      cycles += counts.cycles.get();
      for (uint32_t i = 0; i < kBuckets; ++i) buckets[i] += counts.buckets[i].get();
    }
    for (uint64_t each : buckets) count += each;
    if (count == 0) continue;
    const auto percentile = [&](uint64_t rank) -> uint64_t {
      uint64_t seen = 0;
      for (uint32_t i = 0; i < kBuckets; ++i) {
        seen += buckets[i];
        if (seen >= rank) return static_cast<uint64_t>(static_cast<double>(bound_of(i)) * ns);
      }
      return 0;
    };
    Kind kind;
    kind.name = opcode < std::size(kNames) && !kNames[opcode].empty() ? kNames[opcode] : "other";
    kind.count = count;
    kind.mean_ns = static_cast<uint64_t>(static_cast<double>(cycles) * ns / static_cast<double>(count));
    kind.p50_ns = percentile((count + 1) / 2);
    kind.p99_ns = percentile(count - count / 100);
    kind.max_ns = percentile(count);
    kinds.push_back(kind);
  }
  return kinds;
}

}  // namespace scalefs::fuse
