// File data with real threads: what the schedule test checks step by step, here for the thread sanitizer
// and with true parallelism.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <thread>

#include "base/atomic.h"
#include "base/epoch.h"
#include "tests/support/fake_disk.h"

namespace scalefs::memfs {
namespace {

constexpr uint64_t kPages = 100;
constexpr int kWrites = 400;

SetAttr to_size(uint64_t size) {
  SetAttr change;
  change.size = size;
  return change;
}

using Words = std::array<uint64_t, kBlockBytes / 8>;

// Zero, or whole and of this page.
bool is_whole(const Words& words, uint64_t page) {
  for (const uint64_t word : words)
    if (word != words[0]) return false;
  return words[0] == 0 || words[0] >> 32 == page;
}

class DataStress : public ::testing::Test {
 protected:
  MnodeNo create(MemFs& fs, const char* name) {
    return fs.create(kRootMnode, name, 0644, true, Caller{})->attr.mnode;
  }
  // Each page has one writer.
  void write(MemFs& fs, MnodeNo f, uint64_t writer, uint64_t writers, uint64_t seed) {
    Random random(seed);
    for (int i = 1; i <= kWrites; ++i) {
      const uint64_t page = random.below(kPages / writers) * writers + writer;
      Words words;
      words.fill((page << 32) + static_cast<uint64_t>(i));
      const auto got = fs.write(f, page * kBlockBytes, std::as_bytes(std::span(words)), false, WriteTimes::move,
                                i % 2 == 0 ? Buffer::own : Buffer::foreign);
      EXPECT_TRUE(got.ok() && *got == kBlockBytes);
      last_[page].store(words[0], relaxed);  // read behind the join
    }
  }
  void read(MemFs& fs, MnodeNo f, uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < 2 * kWrites; ++i) {
      const uint64_t page = random.below(kPages);
      Words words{};
      EXPECT_TRUE(fs.read(f, page * kBlockBytes, std::as_writable_bytes(std::span(words)), Atime::moves,
                          i % 2 == 0 ? Buffer::own : Buffer::foreign)
                      .ok());
      EXPECT_TRUE(is_whole(words, page)) << "page " << page;
    }
  }
  void check_last(MemFs& fs, MnodeNo f) {
    for (uint64_t page = 0; page < kPages; ++page) {
      Words words{};
      EXPECT_TRUE(fs.read(f, page * kBlockBytes, std::as_writable_bytes(std::span(words))).ok());
      EXPECT_TRUE(is_whole(words, page));
      EXPECT_EQ(words[0], last_[page].load(relaxed)) << "page " << page;
    }
  }
  static void run(std::vector<std::function<void()>> bodies) {
    std::vector<std::thread> threads;
    for (auto& body : bodies) threads.emplace_back(std::move(body));
    for (auto& thread : threads) thread.join();
  }

  std::array<Atomic<uint64_t>, kPages> last_{};
};

TEST_F(DataStress, WritersReadersAndAppendersInMemory) {
  MemFs fs({.hash_key = {1, 2}}, nullptr, nullptr);
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = 040755;
  root.parent = kRootMnode;
  fs.install_root(root);
  const MnodeNo f = create(fs, "f");
  const MnodeNo g = create(fs, "g");
  const auto append = [&] {
    const std::vector<std::byte> record(777, std::byte{1});
    for (int i = 0; i < kWrites; ++i) EXPECT_TRUE(fs.append(g, record).ok());
  };
  ASSERT_EQ(fs.setattr(f, to_size(kPages * kBlockBytes)).code(), 0);
  run({[&] { write(fs, f, 0, 2, 1); }, [&] { write(fs, f, 1, 2, 2); }, [&] { read(fs, f, 3); },
       append, append});
  check_last(fs, f);
  EXPECT_EQ(fs.getattr(g)->size, 2u * kWrites * 777);
}

// Appends know where the file ends while others extend it in its first pages and beyond, and stat sees it only grow.
TEST_F(DataStress, AppendsNeverMeetWhileTheFileIsExtended) {
  MemFs fs({.hash_key = {1, 2}}, nullptr, nullptr);
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = 040755;
  root.parent = kRootMnode;
  fs.install_root(root);
  const MnodeNo f = create(fs, "f");
  constexpr size_t kRecord = 100;
  constexpr int kAppends = 150;
  for (uint64_t round = 0; round < 20; ++round) {
    ASSERT_EQ(fs.setattr(f, to_size(0)).code(), 0);
    std::array<std::vector<uint64_t>, 2> at;
    const auto append = [&](size_t who) {
      const std::vector<std::byte> record(kRecord, static_cast<std::byte>(1 + who));
      for (int i = 0; i < kAppends; ++i) {
        const auto got = fs.append(f, record);
        ASSERT_TRUE(got.ok());
        at[who].push_back(*got);
      }
    };
    const auto extend = [&] {
      Random random(round);
      uint64_t seen = 0;
      for (int i = 0; i < kAppends; ++i) {
        const uint64_t end = random.below(12) * kBlockBytes + 1 + random.below(kBlockBytes);
        EXPECT_TRUE(fs.allocate(f, AllocateMode::allocate, 0, end).ok());
        const uint64_t size = fs.getattr(f)->size;
        EXPECT_GE(size, std::max(seen, end));
        seen = size;
      }
    };
    run({[&] { append(0); }, [&] { append(1); }, extend});
    std::vector<std::byte> back(kRecord);
    for (size_t who = 0; who < 2; ++who) {
      for (const uint64_t offset : at[who]) {
        ASSERT_EQ(*fs.read(f, offset, back), kRecord);
        ASSERT_EQ(back, std::vector<std::byte>(kRecord, static_cast<std::byte>(1 + who)))
            << "round " << round << " at " << offset;
      }
    }
  }
}

TEST_F(DataStress, WritebackAndEvictionUnderWriters) {
  FakeDisk disk;
  auto fs = disk.mount();
  const MnodeNo f = create(*fs, "f");
  ASSERT_EQ(fs->setattr(f, to_size(kPages * kBlockBytes)).code(), 0);
  Atomic<bool> stop{false};  // release and acquire, so that the helpers see a finished run
  const auto write_back = [&](uint64_t seed) {
    Random random(seed);
    while (!stop.load(acquire)) {
      auto flight = disk.begin(*fs, f, random.below(kPages), 1 + random.below(20));
      if (flight.pages.empty()) {
        std::this_thread::yield();
        continue;
      }
      if (random.percent(20)) {
        disk.finish_inline(*fs, flight);
        continue;
      }
      disk.write(flight);
      if (random.percent(10)) {
        disk.abort(*fs, flight);
      } else {
        disk.finish(*fs, flight);
      }
    }
  };
  std::thread first([&] { write_back(1); });
  std::thread second([&] { write_back(2); });
  std::thread house([&] {
    while (!stop.load(acquire)) {
      disk.commit();
      disk.checkpoint(*fs);
      fs->evict_pages(10 * kBlockBytes);
      epoch::try_advance();
      std::this_thread::yield();
    }
  });
  run({[&] { write(*fs, f, 0, 2, 1); }, [&] { write(*fs, f, 1, 2, 2); },
       [&] { read(*fs, f, 3); }});
  stop.store(true, release);
  first.join();
  second.join();
  house.join();
  disk.sync(*fs);
  disk.sync(*fs);
  EXPECT_TRUE(fs->dirty_files(10).empty());
  EXPECT_EQ(disk.log_bytes(), 0u);
  EXPECT_EQ(disk.reserved_blocks(), 0u);
  check_last(*fs, f);
  fs.reset();
  disk.crash();
  fs = disk.mount();
  ASSERT_TRUE(fs->lookup(kRootMnode, "f").ok());
  check_last(*fs, f);
  EXPECT_EQ(disk.reads_of_wiped(), 0u);
}

TEST_F(DataStress, CutsAndPunchesUnderWritersAndWriteback) {
  FakeDisk disk;
  auto fs = disk.mount();
  const MnodeNo f = create(*fs, "f");
  Atomic<bool> stop{false};  // as above
  std::thread writeback([&] {
    while (!stop.load(acquire)) {
      auto flight = disk.begin(*fs, f, 0, 16);
      if (!flight.pages.empty()) {
        disk.write(flight);
        disk.finish(*fs, flight);
      }
      disk.commit();
      disk.checkpoint(*fs);
      fs->evict_pages(0);
    }
  });
  run({[&] { write(*fs, f, 0, 2, 1); }, [&] { write(*fs, f, 1, 2, 2); }, [&] { read(*fs, f, 3); },
       [&] {
         Random random(4);
         for (int i = 0; i < kWrites / 4; ++i) {
           const uint64_t page = random.below(kPages);
           if (random.percent(50)) {
             EXPECT_TRUE(fs->setattr(f, to_size(page * kBlockBytes)).ok());
           } else {
             EXPECT_TRUE(fs->allocate(f, AllocateMode::punch_hole, page * kBlockBytes,
                                      4 * kBlockBytes).ok());
           }
         }
       }});
  stop.store(true, release);
  writeback.join();
  std::vector<std::byte> before(kPages * kBlockBytes), after(kPages * kBlockBytes);
  const auto size = fs->read(f, 0, before);
  disk.sync(*fs);
  disk.sync(*fs);
  EXPECT_EQ(disk.reserved_blocks(), 0u);
  EXPECT_EQ(disk.committed(f)->pages.size() * 8, fs->getattr(f)->blocks);
  fs.reset();
  disk.crash();
  fs = disk.mount();
  ASSERT_TRUE(fs->lookup(kRootMnode, "f").ok());
  const auto again = fs->read(f, 0, after);
  ASSERT_EQ(*size, *again);
  EXPECT_EQ(before, after);
  EXPECT_EQ(disk.reads_of_wiped(), 0u);
}

}  // namespace
}  // namespace scalefs::memfs
