// The n-th allocation of the engine's fails, for n = 1.. until none does. What must hold stands in
// tests/crash/explorer/fault_run.h. The operators below are this program's own. SCALEFS_FAULT_SCRIPT="write /f 0 100; fsync /f"
// tries one script, SCALEFS_FAULT_CALL=n one allocation.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "base/core.h"
#include "oplog/op_log.h"
#include "tests/crash/explorer/fault_run.h"
#include "tests/support/memory_faults.h"
#include "tests/support/volumes.h"

namespace {

void* allocate(size_t bytes, size_t alignment) noexcept {
  if (scalefs::testing::MemoryFaults::next_fails()) return nullptr;
  void* memory = nullptr;
  return ::posix_memalign(&memory, alignment, bytes == 0 ? 1 : bytes) == 0 ? memory : nullptr;
}
void* allocate_or_throw(size_t bytes, size_t alignment) {
  void* const memory = allocate(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
constexpr size_t kAligned = alignof(std::max_align_t);
// Not inlined: the compiler would mind that free() gets what operator new gave.
[[gnu::noinline]] void release(void* memory) noexcept { std::free(memory); }
size_t of(std::align_val_t alignment) { return std::max(static_cast<size_t>(alignment), sizeof(void*)); }

}  // namespace

// clang-format off
void* operator new(size_t n) { return allocate_or_throw(n, kAligned); }
void* operator new[](size_t n) { return allocate_or_throw(n, kAligned); }
void* operator new(size_t n, std::align_val_t a) { return allocate_or_throw(n, of(a)); }
void* operator new[](size_t n, std::align_val_t a) { return allocate_or_throw(n, of(a)); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return allocate(n, kAligned); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return allocate(n, kAligned); }
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, of(a)); }
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, of(a)); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, size_t) noexcept { release(p); }
void operator delete[](void* p, size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { release(p); }
// The pages and buffers that the engine asks libc for.
extern "C" void* aligned_alloc(size_t alignment, size_t bytes) noexcept { return allocate(bytes, alignment); }
// clang-format on

namespace scalefs::testing {
namespace {

std::vector<std::string> scripts() {
  if (const char* given = std::getenv("SCALEFS_FAULT_SCRIPT")) return {given};
  return {
      "read /f; create /n; write /n 0 9000; fsync /n; append /f 5000; setxattr /f; fsync /f; checkpoint; "
      "rename /f /d/g; mkdir /m; link /d/g /m/l; fsync /m; truncate /d/g 5000; fallocate /n 8192 16384; "
      "punch /n 0 4096; sync; checkpoint; unlink /m/l; rmdir /e; symlink /y; commit; maintain; checkpoint; "
      "write /n 0 100000; writeback; fsync /n; create /d/s/k; fsync /d; list /d",
      "list /d; list /; read /d/g; write /d/s/h 100 100; rename /d/s/h /h; rename /d /e/d; setxattr /e; fsync /e; "
      "write /f 4000 30000; fdatasync /f; checkpoint; truncate /f 0; unlink /e/d/g; maintain; sync; mkdir /e/d/m; "
      "checkpoint; rmdir /e/d/m; append /f 200; rename /f /h; maintain; writeback; commit; checkpoint; sync",
      // A directory that grows.
      "create /d/1; create /d/2; create /d/3; create /d/4; create /d/5; create /d/6; create /d/7; create /d/8; "
      "create /d/9; rename /d/9 /d/10; link /d/1 /d/11; sync; unlink /d/2; maintain; list /d; sync",
  };
}

class EveryAllocation : public ::testing::Test {
 protected:
  void fail_every(bool later_too) {
    FaultRun run;
    uint64_t lives = 0;
    uint64_t heard = 0;
    const char* one = std::getenv("SCALEFS_FAULT_CALL");
    for (const auto& script : scripts()) {
      for (uint64_t n = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;; ++n) {
        SCOPED_TRACE(fmt::format("SCALEFS_FAULT_SCRIPT='{}' SCALEFS_FAULT_CALL={}", script, n));
        ASSERT_LT(n, 20000u);
        ASSERT_EQ(run.run_without_memory(script, n, later_too), "");
        lives++;
        heard += !run.mounted() || run.volume_failed() || run.refused() != 0;
        if (run.allocations() < n || one != nullptr) break;
      }
    }
    EXPECT_GT(heard, lives / 2);
    fmt::print("{} lives, {} of them heard of it\n", lives, heard);
  }
};

TEST_F(EveryAllocation, FailsOnce) { fail_every(false); }
TEST_F(EveryAllocation, AndAllThatFollow) { fail_every(true); }

// One that any thread makes, of the calls' own and of the engine's: committer, flusher, checkpointer, maintenance.
TEST(AllocationsOfThreads, EndNoThreadAndAnswerEveryFsync) {
  MemoryFaults::stay_outside();
  uint64_t failed = 0;
  uint64_t lives = 0;
  for (uint64_t n = 1; n < 1000; n += 1 + n / 16, ++lives) {
    SCOPED_TRACE(n);
    auto medium = formatted_device(16u << 20);
    volume::VolumeOptions options;
    options.cache_bytes = 4u << 20;
    options.commit_interval_ms = 2;
    options.background_commit_ops = 4;
    std::string why;
    auto volume = volume::Volume::mount(*medium, options, &why);
    ASSERT_TRUE(volume.ok()) << why;
    auto& fs = (*volume)->fs();
    const std::vector<std::byte> bytes(40'000, std::byte{7});
    Atomic<uint64_t> answered{0};
    uint64_t parked = 0;
    MemoryFaults::fail(n, lives % 4 == 0, true);
    for (int i = 0; i < 30; ++i) {
      const std::string name = fmt::format("a file of number {}", i);
      const MemoryFaults::InEngine in;
      try {
        auto made = fs.create(kRootMnode, name, 0100644, true, {});
        if (!made.ok()) continue;
        (void)fs.write(made->attr.mnode, 0, bytes);
        (*volume)->fsync_async(made->attr.mnode, false, [&](Status) { answered.fetch_add(1, relaxed); });
        ++parked;
        if (i % 3 == 0) (void)fs.unlink(kRootMnode, name);
        fs.forget(made->attr.mnode, 1);
      } catch (const std::bad_alloc&) {
      }
    }
    MemoryFaults::clear();
    const int code = (*volume)->sync().code();
    ASSERT_EQ(code, (*volume)->failed() ? EIO : 0);
    failed += code != 0;
    ASSERT_EQ((*volume)->unmount().code(), code);
    ASSERT_EQ(answered.load(relaxed), parked);
    volume->reset();
    ASSERT_EQ(check_image(*medium), "");
  }
  fmt::print("{} lives, {} of them failed\n", lives, failed);
}

// A cut that has no memory has taken nothing: the next one gets all, in order, and what no cut takes is freed.
TEST(AllocationsOfACut, FailBeforeAnythingIsTaken) {
  struct Item final : oplog::LogEntry {
    explicit Item(uint64_t* count) : live(count) { ++*live; }
    ~Item() override { --*live; }
    uint64_t* live;
  };
  constexpr uint64_t kItems = 100;
  const uint32_t cores = core_count();
  set_core_count_for_test(4);
  uint64_t failed = 0;
  for (uint64_t n = 1;; ++n) {
    SCOPED_TRACE(n);
    ASSERT_LT(n, 100u);
    uint64_t live = 0;
    bool threw = false;
    {
      oplog::OpLog log;
      for (uint64_t i = 0; i < kItems; ++i) {
        set_thread_core(static_cast<int>(i % 4));
        oplog::OpLog::Slot slot(log);
        slot.stamp(log.floor());
        auto item = std::make_unique<Item>(&live);
        item->cost_bytes = 3;
        slot.append(std::move(item));
      }
      MemoryFaults::fail(n, false);
      try {
        const MemoryFaults::InEngine in;
        const auto cut = log.cut();
        ASSERT_EQ(cut.entries.size(), kItems);
      } catch (const std::bad_alloc&) {
        threw = true;
      }
      MemoryFaults::clear();
      if (threw) {
        ++failed;
        ASSERT_EQ(log.depth(), kItems);
        ASSERT_EQ(log.cost_bytes(), 3 * kItems);
        if (n % 2 == 0) {  // the others are left to the log
          const auto cut = log.cut();
          ASSERT_EQ(cut.entries.size(), kItems);
          for (size_t i = 1; i < kItems; ++i) ASSERT_LT(cut.entries[i - 1]->stamp, cut.entries[i]->stamp);
          ASSERT_EQ(log.depth(), 0u);
          ASSERT_EQ(live, kItems);
        }
      }
    }
    ASSERT_EQ(live, 0u);
    if (!threw) break;
  }
  set_thread_core(-1);
  set_core_count_for_test(cores);
  EXPECT_GE(failed, 2u);
}

}  // namespace
}  // namespace scalefs::testing
