#include "base/clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "base/atomic.h"
#include "base/core.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace scalefs {
namespace {

enum Mode : uint8_t {
  kUndecided,
  kPlainTsc,  // the fast path
  kOther      // the shared counter, or a skew is set
};
std::atomic<uint8_t> mode{kUndecided};
std::atomic<bool> shared_counter_for_test{false};
std::atomic<bool> tsc_for_test{false};
std::atomic<bool> skew_for_test{false};
constinit std::atomic<int64_t> skews[kCoresMax];
alignas(kFalseSharingBytes) std::atomic<uint64_t> shared_counter{1};
std::atomic<int64_t> wall_for_test{-1};
std::atomic<int64_t> wall_step_for_test{0};

// The first `kLimit` bytes of a file of the kernel's; empty when it cannot be read.
std::string read_kernel_file(const char* path) {
  constexpr size_t kLimit = 64 * 1024;
  std::string text;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  while (text.size() < kLimit) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(fd);
  return text;
}

bool has_word(const std::string& line, const std::string& word) {
  return (line + ' ').find(' ' + word + ' ') != std::string::npos;
}

// The kernel compares the counters of all processors at boot and drops the clock source "tsc" when
// they differ, so its choice is the check.
bool detect_tsc() {
#if defined(__x86_64__)
  if (read_kernel_file("/sys/devices/system/clocksource/clocksource0/current_clocksource") !=
      "tsc\n")
    return false;
  const std::string cpuinfo = read_kernel_file("/proc/cpuinfo");
  const size_t start = cpuinfo.find("\nflags");
  if (start == std::string::npos) return false;
  const std::string flags = cpuinfo.substr(start + 1, cpuinfo.find('\n', start + 1) - start - 1);
  return has_word(flags, "rdtscp") && has_word(flags, "constant_tsc") &&
         has_word(flags, "nonstop_tsc");
#else
  return false;
#endif
}

bool machine_has_tsc() {
  static const bool has = detect_tsc();
  return has;
}

uint64_t read_tsc() {
#if defined(__x86_64__)
  unsigned processor;
  return __rdtscp(&processor);
#else
  return 0;
#endif
}

void choose_mode() {
  const bool plain = machine_has_tsc() &&
                     !shared_counter_for_test.load(std::memory_order_relaxed) &&
                     !skew_for_test.load(std::memory_order_relaxed);
  mode.store(plain ? kPlainTsc : kOther, std::memory_order_relaxed);
}

uint64_t add_skew(uint64_t cycles) {
  if (!skew_for_test.load(std::memory_order_relaxed)) return cycles;
  const int64_t skew = skews[current_core()].load(std::memory_order_relaxed);
  const uint64_t sum = cycles + static_cast<uint64_t>(skew);
  const bool wrapped = skew < 0 ? sum >= cycles : sum < cycles;
  return wrapped || sum == 0 ? 1 : sum;
}

uint64_t read_unordered_tsc() {
#if defined(__x86_64__)
  return __rdtsc();  // every processor has it
#else
  return 0;
#endif
}

uint64_t cycle_now_slow() {
  if (mode.load(std::memory_order_relaxed) == kUndecided) choose_mode();
  if (cycle_is_tsc()) return add_skew(read_tsc());
  const bool counted = shared_counter_for_test.load(std::memory_order_relaxed) ||
                       !tsc_for_test.load(std::memory_order_relaxed);
  return add_skew(counted ? shared_counter.fetch_add(1, std::memory_order_relaxed)
                          : read_unordered_tsc());
}

int64_t read_clock(clockid_t clock) {
  timespec time;
  ::clock_gettime(clock, &time);
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

#ifdef SCALEFS_SCHEDULE
// Far enough from 0 for any sensible skew; any other constant would do.
constexpr uint64_t kVirtualCycles = 1'000'000'000;
constexpr int64_t kVirtualWallNs = 1'700'000'000'000'000'000;
#endif

int64_t wall(clockid_t clock) {
  const int64_t faked = wall_for_test.load(std::memory_order_relaxed);
  if (faked >= 0) {
    const int64_t step = wall_step_for_test.load(std::memory_order_relaxed);
    return step == 0 ? faked : wall_for_test.fetch_add(step, std::memory_order_relaxed);
  }
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) return kVirtualWallNs + static_cast<int64_t>(schedule::ticks());
#endif
  return read_clock(clock);
}

}  // namespace

uint64_t cycle_now() {
  SCALEFS_SCHED_POINT();
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) return add_skew(kVirtualCycles + schedule::ticks());
#endif
  if (mode.load(std::memory_order_relaxed) == kPlainTsc) [[likely]]
    return read_tsc();
  return cycle_now_slow();
}

uint64_t interval_now() {
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) return kVirtualCycles + schedule::ticks();
#endif
  if (mode.load(std::memory_order_relaxed) == kUndecided) choose_mode();
  if (mode.load(std::memory_order_relaxed) == kPlainTsc) [[likely]]
    return read_tsc();
  return static_cast<uint64_t>(read_clock(CLOCK_MONOTONIC));
}

bool cycle_is_tsc() {
  return !shared_counter_for_test.load(std::memory_order_relaxed) && machine_has_tsc();
}

void set_cycle_skew_for_test(uint32_t core, int64_t skew) {
  SCALEFS_CHECK(core < kCoresMax);
  skews[core].store(skew, std::memory_order_relaxed);
  bool any = false;
  for (const auto& one : skews) any = any || one.load(std::memory_order_relaxed) != 0;
  skew_for_test.store(any, std::memory_order_relaxed);
  choose_mode();
}

void use_shared_counter_for_test(bool on) {
  shared_counter_for_test.store(on, std::memory_order_relaxed);
  choose_mode();
}

void use_tsc_for_test(bool on) { tsc_for_test.store(on, std::memory_order_relaxed); }

int64_t wall_ns() { return wall(CLOCK_REALTIME); }
int64_t wall_coarse_ns() { return wall(CLOCK_REALTIME_COARSE); }
void set_wall_for_test(int64_t ns) { wall_for_test.store(ns, std::memory_order_relaxed); }
void step_wall_for_test(int64_t ns) { wall_step_for_test.store(ns, std::memory_order_relaxed); }

uint64_t monotonic_us() {
#ifdef SCALEFS_SCHEDULE
  if (schedule::active()) return schedule::ticks();
#endif
  return static_cast<uint64_t>(read_clock(CLOCK_MONOTONIC)) / 1000;
}

uint64_t monotonic_ms() { return monotonic_us() / 1000; }

}  // namespace scalefs
