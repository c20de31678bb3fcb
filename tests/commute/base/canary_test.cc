// Canaries: sharing that the recorder must find, and accesses side by side in which it must find
// none.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "base/atomic.h"
#include "base/core.h"
#include "base/mutex.h"
#include "tests/commute/recorder/recorder.h"

namespace scalefs {
namespace {

using record::Conflict;

// Records one body on core 0, then the other on core 1.
std::vector<Conflict> record_two(const std::function<void()>& a, const std::function<void()>& b) {
  record::clear();
  record::run_on(0, [&] {
    record::start(0);
    a();
    record::stop();
  });
  record::run_on(1, [&] {
    record::start(1);
    b();
    record::stop();
  });
  return record::conflicts(0, 1);
}
std::vector<Conflict> record_both(const std::function<void()>& body) {
  return record_two(body, body);
}

bool has_line_of(const std::vector<Conflict>& conflicts, const void* address) {
  for (const Conflict& c : conflicts)
    if (c.line == reinterpret_cast<uintptr_t>(address) / 64 * 64) return true;
  return false;
}
std::string text_of(const std::vector<Conflict>& conflicts) {
  std::string text;
  for (const Conflict& c : conflicts) {
    text += record::describe_address(c.a.address) + "\n  " + record::describe(c.a) + "\n  " +
            record::describe(c.b) + "\n";
  }
  return text;
}

struct alignas(128) Line {
  Atomic<uint64_t> first{0};
  Atomic<uint64_t> second{0};
  uint64_t plain = 0;
  uint32_t small = 0;
};

Line shared_line;
uint64_t plain_global = 0;

TEST(Canary, SharedCounter) {
  const auto found = record_both([] { shared_line.first.fetch_add(1, relaxed); });
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_TRUE(has_line_of(found, &shared_line));
  EXPECT_TRUE(found[0].same_bytes);
  EXPECT_EQ(found[0].a.kind, record::Kind::atomic_write);
  EXPECT_NE(record::describe(found[0].a).find("canary_test.cc:"), std::string::npos)
      << record::describe(found[0].a);
  EXPECT_NE(record::describe_address(found[0].a.address).find("shared_line"), std::string::npos)
      << record::describe_address(found[0].a.address);
}

TEST(Canary, PlainLoadBesidePlainStore) {
  uint64_t seen = 0;
  const auto found = record_two([] { plain_global = 7; }, [&] { seen = plain_global; });
  EXPECT_EQ(seen, 7u);
  EXPECT_TRUE(has_line_of(found, &plain_global));
}

TEST(Canary, FalseSharing) {
  const auto found = record_two([] { shared_line.first.store(1, relaxed); },
                                [] { shared_line.second.store(1, relaxed); });
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_FALSE(found[0].same_bytes);
}

TEST(Canary, OneMutex) {
  static Mutex mutex;
  const auto found = record_both([] { MutexLock lock(mutex); });
  EXPECT_TRUE(has_line_of(found, &mutex)) << text_of(found);
}

TEST(Canary, OneSpinBit) {
  static SpinBit bit;
  const auto found = record_both([] { SpinLock lock(bit); });
  EXPECT_TRUE(has_line_of(found, &bit)) << text_of(found);
}

TEST(Canary, SharedMutexTakenForReadingByBoth) {
  static SharedMutex mutex;
  const auto found = record_both([] { SharedLock lock(mutex); });
  EXPECT_TRUE(has_line_of(found, &mutex)) << text_of(found);
}

TEST(Canary, CopyOfASharedPointer) {
  static const auto pointer = std::make_shared<int>(1);
  const auto found = record_both([] { const std::shared_ptr<int> copy = pointer; });
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_NE(record::describe_address(found[0].a.address).find("block of"), std::string::npos);
}

// The copies' sizes are hidden from the compiler, or are such as it likes to expand itself.
volatile size_t hidden_size = 100;
alignas(64) char buffer[4096];

TEST(Canary, CopiesIntoASharedLine) {
  char from[4096] = {1};
  auto found = record_both([&] { std::memcpy(buffer, from, hidden_size); });
  EXPECT_EQ(found.size(), 2u) << text_of(found);
  for (const size_t size : {1, 2, 8}) {
    found = record_both([&] { std::memcpy(buffer, from, size); });
    EXPECT_EQ(found.size(), 1u) << text_of(found);
  }
  found = record_both([&] { std::memcpy(buffer, from, 64); });
  EXPECT_EQ(found.size(), 1u) << text_of(found);
  found = record_both([&] { std::memset(buffer, 0, 64); });
  EXPECT_EQ(found.size(), 1u) << text_of(found);
  found = record_both([&] { std::memmove(buffer + 64, buffer, 4); });
  EXPECT_EQ(found.size(), 1u) << text_of(found);
  found = record_two([&] { std::memset(buffer, 0, 64); },
                     [&] { EXPECT_NE(std::memcmp(buffer, "zz", 2), 0); });
  EXPECT_TRUE(has_line_of(found, buffer)) << text_of(found);
}

struct Wide {
  uint64_t words[6];
};
Wide wide;

TEST(Canary, AggregateCopiesAndBitFields) {
  const Wide from{{1, 2, 3, 4, 5, 6}};
  EXPECT_TRUE(has_line_of(record_both([&] { wide = from; }), &wide));
  EXPECT_TRUE(has_line_of(record_both([&] { wide = Wide{}; }), &wide));
  static struct { unsigned a : 3, b : 29; } bits;
  EXPECT_TRUE(has_line_of(record_two([&] { bits.a = 1; }, [&] { bits.b = 1; }), &bits));
}

TEST(Canary, StringsAndMaps) {
  static std::string text(100, 'x');
  EXPECT_TRUE(has_line_of(record_both([] { text.assign(80, 'y'); }), text.data()));
  static std::map<int, int> map{{1, 1}, {5, 5}};
  const auto found = record_two([] { map[2] = 2; }, [] { map[7] = 7; });
  EXPECT_TRUE(has_line_of(found, &map)) << text_of(found);
}

// A red-black tree's neighbours are written inside the standard library, where nothing is
// instrumented.
TEST(Canary, WriteInsideALibrary) {
  static std::map<int, int> map{{1, 1}};
  const auto found =
      record_two([] { map.emplace(2, 2); }, [] { EXPECT_EQ(map.begin()->second, 1); });
  EXPECT_TRUE(has_line_of(found, &*map.begin())) << text_of(found);
}

TEST(Canary, MemoryFreedByTheOtherCore) {
  static char* block = nullptr;
  record::run_on(0, [] { block = static_cast<char*>(std::malloc(64)); });
  const auto found = record_two([] { block[60] = 1; }, [] { std::free(block); });
  ASSERT_EQ(found.size(), 1u) << text_of(found);
  EXPECT_TRUE(has_line_of(found, block));
  EXPECT_EQ(found[0].b.kind, record::Kind::free);
}

TEST(Canary, Exceptions) {
  // Frames are popped when an exception passes them.
  record_both([] {
    try {
      std::string().at(hidden_size);
    } catch (const std::exception&) {
      shared_line.first.store(2, relaxed);
    }
  });
  EXPECT_NE(record::describe(record::accesses(0).back()).find("canary_test.cc"), std::string::npos);
}

TEST(Control, PrivateLines) {
  static Line lines[2];
  const auto found = record_two([] { lines[0].first.fetch_add(1, relaxed); },
                                [] { lines[1].first.fetch_add(1, relaxed); });
  EXPECT_TRUE(found.empty()) << text_of(found);
}

TEST(Control, BothOnlyRead) {
  uint64_t sum = 0;
  const auto found =
      record_both([&] { sum += shared_line.first.load(acquire) + plain_global + buffer[100]; });
  for (const Conflict& c : found) EXPECT_EQ(c.line, reinterpret_cast<uintptr_t>(&sum) / 64 * 64);
}

TEST(Control, PerCoreStorage) {
  static PerCore<uint64_t> counters;
  const auto found = record_both([] { ++counters.mine(); });
  EXPECT_TRUE(found.empty()) << text_of(found);
}

TEST(Control, AllocatingAndFreeingOnBoth) {
  const auto found = record_both([] {
    for (size_t size = 1; size < 100'000; size += size / 2 + 1) {
      auto* block = static_cast<char*>(std::malloc(size));
      block[0] = block[size - 1] = 1;
      std::free(block);
      delete new std::string(size, 'x');
    }
  });
  EXPECT_TRUE(found.empty()) << text_of(found);
}

// Two fresh arenas do the same at the same offsets.
TEST(Control, AddressesRepeat) {
  std::vector<uintptr_t> addresses[2];
  for (const int core : {100, 101}) {
    auto& all = addresses[core - 100];
    all.reserve(50);
    record::run_on(core, [&] {
      std::vector<std::unique_ptr<std::string>> kept;
      for (int i = 0; i < 50; ++i) {
        kept.push_back(std::make_unique<std::string>(static_cast<size_t>(i * 7), 'x'));
        all.push_back(reinterpret_cast<uintptr_t>(kept.back().get()));
      }
    });
  }
  const uintptr_t distance = addresses[1][0] - addresses[0][0];
  EXPECT_EQ(distance % 4096, 0u);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(addresses[1][i] - addresses[0][i], distance) << i;
}

TEST(Control, CoresAreThreadsOfTheirOwn) {
  static thread_local int own = 0;
  for (const int core : {0, 1, 127}) record::run_on(core, [&] { own += core + 1; });
  for (const int core : {0, 1, 127}) record::run_on(core, [&] { EXPECT_EQ(own, core + 1); });
  EXPECT_EQ(own, 0);
}

}  // namespace
}  // namespace scalefs
