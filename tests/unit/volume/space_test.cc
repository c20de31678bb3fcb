// Space: what is accepted has room, a full volume says so at the call, and what is removed comes back
// (I9).
#include <gtest/gtest.h>

#include "tests/support/seeds.h"
#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

class Space : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(m_.mount().ok()); }
  uint64_t free_blocks() { return m_.volume->statfs().blocks_free; }
  // Everything that can come back has come back.
  void settle() {
    ASSERT_TRUE(m_.volume->sync().ok());
    for (int i = 0; i < 8; ++i) {
      while (m_.volume->step_maintenance()) {
      }
      m_.volume->step_commit();
      m_.volume->step_checkpoint();
    }
  }
  // Files of 1 MiB until the volume is full; how many bytes fitted.
  uint64_t fill(const std::string& prefix) {
    const std::string text(1 << 20, 'f');
    uint64_t total = 0;
    for (int i = 0;; ++i) {
      const auto entry =
          m_.fs().create(kRootMnode, prefix + std::to_string(i), 0100644, true, memfs::Caller{});
      if (!entry.ok()) {
        EXPECT_EQ(entry.code(), ENOSPC);
        return total;
      }
      for (uint64_t offset = 0; offset < text.size(); offset += 65536) {
        const auto written = m_.fs().write(entry->attr.mnode, offset,
                                           std::as_bytes(std::span(text)).first(65536));
        if (!written.ok()) {
          EXPECT_EQ(written.code(), ENOSPC);
          return total;
        }
        total += *written;
        if (*written < 65536) return total;
      }
    }
  }

  Mounted m_{uint64_t{24} << 20};
};

TEST_F(Space, FullVolumeRefusesAtTheCallAndNeverAtFsync) {
  const uint64_t free = free_blocks();
  const uint64_t written = fill("f");
  EXPECT_GT(written, free * kBlockBytes / 2) << "less than half of what statfs promised";
  EXPECT_LE(written, free * kBlockBytes);
  EXPECT_TRUE(m_.volume->sync().ok());
  EXPECT_FALSE(m_.volume->failed());
  m_.crash_and_mount();
  EXPECT_EQ(m_.read(m_.find("f0"), 0, 2 << 20), std::string(1 << 20, 'f'));
}

TEST_F(Space, UnlinkOnAFullVolumeWorksAndTheSpaceComesBack) {
  settle();
  const uint64_t free = free_blocks();
  fill("f");
  ASSERT_TRUE(m_.volume->sync().ok());
  for (const std::string& name : m_.names(kRootMnode)) {
    const MnodeNo file = m_.find(name);
    ASSERT_TRUE(m_.fs().unlink(kRootMnode, name).ok()) << name;
    m_.fs().forget(file, 2);
  }
  settle();
  // The tree keeps some nodes, and what creation looked up.
  EXPECT_GE(free_blocks() + 16, free);
  EXPECT_GT(fill("again"), 0u);
}

TEST_F(Space, TruncateOnAFullVolumeWorks) {
  fill("f");
  const uint64_t before = free_blocks();
  memfs::SetAttr change;
  change.size = 10;
  ASSERT_TRUE(m_.fs().setattr(m_.find("f0"), change).ok());
  settle();
  EXPECT_GT(free_blocks(), before + 200);
  EXPECT_EQ(m_.read(m_.find("f0")), std::string(10, 'f'));
}

TEST_F(Space, OverwritingAFullVolumesFileAgainAndAgain) {
  fill("f");
  ASSERT_TRUE(m_.volume->sync().ok());
  ASSERT_TRUE(m_.fs().unlink(kRootMnode, "f1").ok());
  m_.fs().forget(m_.find("f1"), 1);
  const MnodeNo file = m_.find("f0");
  for (int i = 0; i < 20; ++i) {
    const std::string text(65536, static_cast<char>('a' + i));
    const int code = m_.write(file, 0, text);
    ASSERT_TRUE(code == 0 || code == ENOSPC) << code;
    if (code == 0) {
      ASSERT_TRUE(m_.volume->fsync(file, false).ok());
      ASSERT_EQ(m_.read(file, 0, 65536), text);
    }
  }
}

TEST_F(Space, SmallFilesFillTheVolumeToo) {
  Mounted m(uint64_t{testing::kSanitized ? 16 : 64} << 20);
  ASSERT_TRUE(m.mount().ok());
  // Still in the file's node; larger where each file costs many times as much.
  const std::string content(testing::kSanitized ? 256 : 12, 's');
  int created = 0;
  for (;; ++created) {
    const auto entry = m.fs().create(kRootMnode, "small" + std::to_string(created), 0100644, true,
                                      memfs::Caller{});
    if (!entry.ok()) {
      EXPECT_EQ(entry.code(), ENOSPC);
      break;
    }
    const int code = m.write(entry->attr.mnode, 0, content);
    if (code != 0) {
      EXPECT_EQ(code, ENOSPC);
      break;
    }
    if (created % 64 == 0) {
      ASSERT_TRUE(m.volume->fsync(entry->attr.mnode, false).ok());
    }
    ASSERT_LT(created, 200000);
  }
  EXPECT_GT(created, 1000);
  ASSERT_TRUE(m.volume->sync().ok());
  ASSERT_FALSE(m.volume->failed());
  m.crash_and_mount();
  EXPECT_GE(m.names(kRootMnode).size(), static_cast<size_t>(created));
}

TEST_F(Space, AcceptedPagesCanAlwaysBeWrittenBack) {
  // Everything is dirty in memory before the first block is taken.
  m_.options.cache_bytes = 512 << 20;
  ASSERT_TRUE(m_.volume->unmount().ok());
  ASSERT_TRUE(m_.mount().ok());
  fill("f");
  while (m_.volume->step_writeback()) {
  }
  EXPECT_TRUE(m_.volume->sync().ok());
}

TEST_F(Space, StatfsFollowsWritesBeforeTheyAreWrittenBack) {
  settle();
  const uint64_t before = free_blocks();
  const MnodeNo file = m_.create(kRootMnode, "f");
  ASSERT_EQ(m_.write(file, 0, std::string(1 << 20, 'x')), 0);
  EXPECT_LE(free_blocks(), before - 256);
  ASSERT_TRUE(m_.fs().unlink(kRootMnode, "f").ok());
  m_.fs().forget(file, 1);
  settle();
  EXPECT_GE(free_blocks() + 8, before);
}

TEST_F(Space, CreditsAreNotLostOverManyCalls) {
  settle();
  const uint64_t before = free_blocks();
  for (int round = 0; round < 30; ++round) {
    const std::string name = "f" + std::to_string(round);
    const MnodeNo file = m_.create(kRootMnode, name);
    ASSERT_EQ(m_.write(file, 0, std::string(100000, 'x')), 0);
    ASSERT_EQ(m_.write(file, 5000, std::string(100000, 'y')), 0);
    if (round % 3 == 0) {
      ASSERT_TRUE(m_.volume->fsync(file, false).ok());
      ASSERT_EQ(m_.write(file, 50000, std::string(9000, 'z')), 0);
    }
    memfs::SetAttr change;
    change.size = 20000;
    ASSERT_TRUE(m_.fs().setattr(file, change).ok());
    ASSERT_TRUE(
        m_.fs().allocate(file, memfs::AllocateMode::allocate, 0, 300000).ok());
    ASSERT_TRUE(m_.fs().allocate(file, memfs::AllocateMode::punch_hole, 4096, 40000).ok());
    ASSERT_EQ(m_.write(file, 30000, std::string(40000, 'w')), 0);
    if (round % 2 == 0) {
      ASSERT_TRUE(m_.volume->sync().ok());
    }
    ASSERT_TRUE(m_.fs().unlink(kRootMnode, name).ok());
    m_.fs().forget(file, 1);
  }
  settle();
  EXPECT_GE(free_blocks() + 8, before);
  EXPECT_LE(free_blocks(), before + 8);
}

}  // namespace
}  // namespace scalefs::volume
