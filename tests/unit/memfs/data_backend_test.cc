// File data over a backend that plays disk: writeback, checkpoints, eviction, loading, what records say of
// the size, reservations; each rule by itself.
#include "tests/support/fake_disk.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "tests/support/file_model.h"

namespace scalefs::memfs {
namespace {

class DataBackendTest : public ::testing::Test {
 protected:
  DataBackendTest() : fs_(disk_.mount()) {}

  void remount() {
    fs_.reset();
    disk_.crash();
    fs_ = disk_.mount();
  }
  MnodeNo file(std::string_view name) {
    const auto made = fs_->create(kRootMnode, name, 0644, true, Caller{});
    EXPECT_EQ(made.code(), 0);
    return made.ok() ? made->attr.mnode : MnodeNo();
  }
  MnodeNo find(std::string_view name) {
    const auto found = fs_->lookup(kRootMnode, name);
    EXPECT_EQ(found.code(), 0);
    return found.ok() ? found->attr.mnode : MnodeNo();
  }
  int write(MnodeNo f, uint64_t offset, const std::string& text) {
    const auto got = fs_->write(f, offset, {reinterpret_cast<const std::byte*>(text.data()),
                                            text.size()});
    EXPECT_TRUE(!got.ok() || *got == text.size());
    return got.code();
  }
  std::string read(MnodeNo f, uint64_t offset, size_t size) {
    std::string text(size, '?');
    const auto got = fs_->read(f, offset, {reinterpret_cast<std::byte*>(text.data()), size});
    EXPECT_EQ(got.code(), 0);
    text.resize(got.ok() ? *got : 0);
    return text;
  }
  void truncate(MnodeNo f, uint64_t size) {
    EXPECT_EQ(fs_->setattr(f, to_size(size)).code(), 0);
  }
  uint64_t durable_size(MnodeNo f) {
    disk_.commit();
    const auto* state = disk_.committed(f);
    EXPECT_NE(state, nullptr);
    return state == nullptr ? 0 : state->size;
  }
  // All of it in the checkpoint, nothing in memory.
  void push_out() {
    disk_.sync(*fs_);
    disk_.checkpoint(*fs_);
    EXPECT_EQ(fs_->evict_pages(0), 0u);
  }
  static std::string pages(size_t count, char c) { return std::string(count * kBlockBytes, c); }

  FakeDisk disk_;
  std::unique_ptr<MemFs> fs_;
};

// The pages share guards (page_run.h), which end where one has to be loaded.
TEST_F(DataBackendTest, OwnBuffersOfManyPagesMeetPagesThatAreNotInMemory) {
  const MnodeNo f = file("f");
  std::string expected;
  for (int page = 0; page < 150; ++page) expected += pages(1, static_cast<char>('a' + page % 26));
  EXPECT_EQ(write(f, 0, expected), 0);
  const auto read_own = [&](uint64_t offset, size_t size) {
    std::string text(size, '?');
    const auto got = fs_->read(f, offset, {reinterpret_cast<std::byte*>(text.data()), size}, Atime::moves, Buffer::own);
    EXPECT_EQ(got.code(), 0);
    text.resize(got.ok() ? *got : 0);
    return text;
  };
  EXPECT_EQ(read_own(0, expected.size() + 10), expected);
  push_out();
  EXPECT_EQ(read(f, 40 * kBlockBytes, 5 * kBlockBytes), expected.substr(40 * kBlockBytes, 5 * kBlockBytes));
  EXPECT_EQ(read_own(10, expected.size()), expected.substr(10));
  push_out();
  // The first and the last page are loaded for it, those between are not.
  const std::string over = std::string(120 * kBlockBytes + 20, '!');
  const auto written = fs_->write(f, kBlockBytes + 10, {reinterpret_cast<const std::byte*>(over.data()), over.size()},
                                  false, WriteTimes::move, Buffer::own);
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(*written, over.size());
  expected.replace(kBlockBytes + 10, over.size(), over);
  EXPECT_EQ(read_own(0, expected.size()), expected);
  disk_.sync(*fs_);
  remount();
  EXPECT_EQ(read(find("f"), 0, expected.size()), expected);
}

TEST_F(DataBackendTest, WritesComeBackAfterARemount) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(3, 'a') + "tail"), 0);
  EXPECT_EQ(fs_->usage().dirty_bytes, 4 * kBlockBytes);
  disk_.sync(*fs_);
  EXPECT_EQ(fs_->usage().dirty_bytes, 0u);
  EXPECT_TRUE(fs_->dirty_files(10).empty());
  EXPECT_EQ(disk_.reserved_blocks(), 0u);
  EXPECT_EQ(disk_.log_bytes(), 0u);
  remount();
  const MnodeNo again = find("f");
  EXPECT_EQ(again, f);
  EXPECT_EQ(read(again, 0, 100000), pages(3, 'a') + "tail");
  EXPECT_EQ(fs_->getattr(again)->blocks, 32u);
}

TEST_F(DataBackendTest, ARewriteOfADirtyPageGivesItsBlockBack) {
  const MnodeNo f = file("f");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(write(f, 0, "again"), 0);
  EXPECT_EQ(disk_.reserved_blocks(), 1u);
  truncate(f, 0);
  EXPECT_EQ(disk_.reserved_blocks(), 0u);
}

TEST_F(DataBackendTest, CleanPagesAreEvictedAndLoadedAgainWithReadahead) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(100, 'a')), 0);
  disk_.sync(*fs_);
  EXPECT_EQ(fs_->usage().page_bytes, 100 * kBlockBytes);
  EXPECT_LE(fs_->evict_pages(50 * kBlockBytes), 50 * kBlockBytes) << "bytes go, young mappings stay";
  EXPECT_EQ(disk_.mappings_loaded(), 0u);
  EXPECT_EQ(read(f, 0, 100 * kBlockBytes), pages(100, 'a'));
  EXPECT_EQ(disk_.mappings_loaded(), 0u) << "the mappings were there";
  push_out();
  EXPECT_EQ(read(f, 0, 100 * kBlockBytes), pages(100, 'a'));
  EXPECT_LE(disk_.mappings_loaded(), 3u) << "in runs of a leaf";
}

TEST_F(DataBackendTest, DirtyPagesAreNotEvicted) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(10, 'a')), 0);
  EXPECT_EQ(fs_->evict_pages(0), 10 * kBlockBytes);
  auto flight = disk_.begin(*fs_, f, 0, 4);
  EXPECT_EQ(fs_->evict_pages(0), 10 * kBlockBytes) << "in writeback neither";
  disk_.write(flight);
  disk_.finish(*fs_, flight);
  EXPECT_EQ(fs_->evict_pages(0), 6 * kBlockBytes);
  EXPECT_EQ(read(f, 0, 10 * kBlockBytes), pages(10, 'a'));
}

TEST_F(DataBackendTest, InlinePagesStayUntilACheckpointHasThem) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, "small"), 0);
  auto flight = disk_.begin(*fs_, f, 0, 4);
  ASSERT_EQ(flight.pages.size(), 1u);
  EXPECT_EQ(flight.pages[0].bytes, 5u);
  disk_.finish_inline(*fs_, flight);
  EXPECT_EQ(durable_size(f), 5u);
  EXPECT_EQ(fs_->evict_pages(0), kBlockBytes);
  disk_.checkpoint(*fs_);
  EXPECT_EQ(fs_->evict_pages(0), 0u);
  EXPECT_EQ(read(f, 0, 100), "small");
  EXPECT_EQ(disk_.reserved_blocks(), 0u);
}

TEST_F(DataBackendTest, APageDirtiedDuringItsWritebackIsDirtyAgain) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, "one"), 0);
  auto flight = disk_.begin(*fs_, f, 0, 4);
  EXPECT_EQ(write(f, 0, "two"), 0);
  bool busy = false;
  EXPECT_TRUE(disk_.begin(*fs_, f, 0, 4, &busy).pages.empty()) << "one writeback a page at a time";
  EXPECT_TRUE(busy);
  disk_.write(flight);
  disk_.finish(*fs_, flight);
  EXPECT_EQ(fs_->usage().dirty_bytes, kBlockBytes);
  disk_.sync(*fs_);
  remount();
  EXPECT_EQ(read(find("f"), 0, 10), "two");
}

TEST_F(DataBackendTest, AFailedWriteMakesThePageDirtyAgain) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(2, 'a')), 0);
  auto flight = disk_.begin(*fs_, f, 0, 4);
  EXPECT_EQ(write(f, 0, "b"), 0);
  disk_.write(flight);
  disk_.abort(*fs_, flight);
  EXPECT_EQ(fs_->usage().dirty_bytes, 2 * kBlockBytes);
  EXPECT_EQ(disk_.reserved_blocks(), 2u);
  EXPECT_EQ(fs_->dirty_files(10), std::vector<MnodeNo>{f});
  disk_.sync(*fs_);
  remount();
  EXPECT_EQ(read(find("f"), 0, 2), "ba");
}

TEST_F(DataBackendTest, LoggedIsWhatRecordsHaveOfPagesAndSize) {
  const MnodeNo f = file("f");
  EXPECT_TRUE(fs_->is_logged(f));
  EXPECT_EQ(write(f, 0, pages(2, 'a')), 0);
  EXPECT_FALSE(fs_->is_logged(f));
  auto first = disk_.begin(*fs_, f, 0, 1);
  auto second = disk_.begin(*fs_, f, 1, 1);
  EXPECT_FALSE(fs_->is_logged(f)) << "in writeback";
  disk_.write(first);
  disk_.finish(*fs_, first);
  EXPECT_FALSE(fs_->is_logged(f));
  disk_.write(second);
  disk_.abort(*fs_, second);
  EXPECT_FALSE(fs_->is_logged(f)) << "dirty again";
  second = disk_.begin(*fs_, f, 1, 1);
  disk_.finish_inline(*fs_, second);
  EXPECT_TRUE(fs_->is_logged(f));
  // A size that no page brings.
  EXPECT_EQ(fs_->allocate(f, AllocateMode::allocate, 0, 3 * kBlockBytes).code(), 0);
  EXPECT_FALSE(fs_->is_logged(f));
  disk_.sync(*fs_);
  EXPECT_TRUE(fs_->is_logged(f));
}

TEST_F(DataBackendTest, WhatWasCutDuringItsWritebackIsStale) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(10, 'a')), 0);
  auto flight = disk_.begin(*fs_, f, 0, 16);
  ASSERT_EQ(flight.pages.size(), 10u);
  truncate(f, 5 * kBlockBytes);
  EXPECT_EQ(fs_->allocate(f, AllocateMode::punch_hole, kBlockBytes, kBlockBytes).code(), 0);
  EXPECT_EQ(write(f, 7 * kBlockBytes, pages(1, 'b')), 0);
  disk_.write(flight);
  disk_.finish(*fs_, flight);
  disk_.sync(*fs_);
  EXPECT_EQ(disk_.reserved_blocks(), 0u);
  remount();
  EXPECT_EQ(read(find("f"), 0, 100000), pages(1, 'a') + pages(1, '\0') + pages(3, 'a') +
                                            pages(2, '\0') + pages(1, 'b'));
}

TEST_F(DataBackendTest, AFileRemovedDuringItsWritebackGivesItsBlocksBack) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(3, 'a')), 0);
  auto flight = disk_.begin(*fs_, f, 0, 2);
  disk_.write(flight);
  EXPECT_EQ(fs_->unlink(kRootMnode, "f").code(), 0);
  fs_->forget(f, 1);
  for (int i = 0; i < 10 && fs_->maintain(); ++i) {
  }
  EXPECT_EQ(fs_->getattr(f).code(), ESTALE);
  disk_.finish(*fs_, flight);
  disk_.commit();
  EXPECT_EQ(disk_.reserved_blocks(), 0u);
  EXPECT_EQ(disk_.log_bytes(), 0u);
  EXPECT_TRUE(fs_->dirty_files(10).empty());
}

TEST_F(DataBackendTest, ASizeIsDurableOnlyWithItsData) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(4, 'a') + "xyz"), 0);
  auto low = disk_.begin(*fs_, f, 0, 2);
  auto high = disk_.begin(*fs_, f, 2, 8);
  ASSERT_EQ(high.pages.size(), 3u);
  disk_.write(low);
  disk_.write(high);
  disk_.finish(*fs_, high);
  EXPECT_EQ(durable_size(f), 0u) << "the first two pages are missing";
  disk_.finish(*fs_, low);
  EXPECT_EQ(durable_size(f), 4 * kBlockBytes + 3);
}

TEST_F(DataBackendTest, ASampleCoversTheBytesThatItHad) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, "123"), 0);
  auto flight = disk_.begin(*fs_, f, 0, 2);
  EXPECT_EQ(write(f, 3, "456"), 0);
  disk_.write(flight);
  disk_.finish(*fs_, flight);
  EXPECT_EQ(durable_size(f), 3u);
  disk_.sync(*fs_);
  EXPECT_EQ(durable_size(f), 6u);
}

TEST_F(DataBackendTest, GrowingWithoutDataIsCoveredAtOnce) {
  const MnodeNo f = file("f");
  truncate(f, 100000);
  EXPECT_EQ(durable_size(f), 100000u);
  EXPECT_EQ(write(f, 100000, "x"), 0);
  truncate(f, 200000);
  EXPECT_EQ(durable_size(f), 100000u) << "the appended byte is missing";
  disk_.sync(*fs_);
  EXPECT_EQ(durable_size(f), 200000u);
}

TEST_F(DataBackendTest, WhatRemainsOfTheSizeIsLoggedByAttributes) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(2, 'a')), 0);
  auto flight = disk_.begin(*fs_, f, 1, 1);
  disk_.write(flight);
  disk_.finish(*fs_, flight);
  EXPECT_EQ(durable_size(f), 0u);
  // The missing page becomes a hole, which no record of pages follows, and whose own record says nothing of the size.
  EXPECT_EQ(fs_->allocate(f, AllocateMode::punch_hole, 0, kBlockBytes).code(), 0);
  EXPECT_EQ(durable_size(f), 0u);
  EXPECT_EQ(fs_->dirty_files(10), std::vector{f});
  disk_.sync(*fs_);
  EXPECT_EQ(durable_size(f), 2 * kBlockBytes);
  EXPECT_TRUE(fs_->dirty_files(10).empty());
}

TEST_F(DataBackendTest, TruncationIsNotUndoneByTheOldCheckpoint) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(200, 'a')), 0);
  push_out();
  truncate(f, kBlockBytes + 1);
  truncate(f, 200 * kBlockBytes);
  EXPECT_EQ(fs_->getattr(f)->blocks, 16u);
  const std::string want = pages(1, 'a') + "a" + std::string(198 * kBlockBytes + 4095, '\0');
  EXPECT_EQ(read(f, 0, 200 * kBlockBytes), want);
  EXPECT_EQ(fs_->evict_pages(0), kBlockBytes) << "the page that was cut is dirty";
  EXPECT_EQ(read(f, 0, 200 * kBlockBytes), want) << "the checkpoint still has the old pages";
  push_out();
  EXPECT_EQ(read(f, 0, 200 * kBlockBytes), want);
  remount();
  EXPECT_EQ(read(find("f"), 0, 200 * kBlockBytes), want);
}

TEST_F(DataBackendTest, AYoungMappingOutlivesItsBytes) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(1, 'a')), 0);
  push_out();
  EXPECT_EQ(write(f, 0, pages(1, 'b')), 0);
  disk_.sync(*fs_);
  EXPECT_EQ(fs_->evict_pages(0), 0u);
  EXPECT_EQ(read(f, 0, 1), "b") << "the checkpoint has the older block";
  disk_.checkpoint(*fs_);
  EXPECT_EQ(fs_->evict_pages(0), 0u);
  EXPECT_EQ(read(f, 0, 1), "b");
  EXPECT_EQ(disk_.reads_of_wiped(), 0u);
}

TEST_F(DataBackendTest, PartialWritesOfAbsentPagesLoadThemFirst) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(3, 'a')), 0);
  push_out();
  EXPECT_EQ(write(f, 10, "b"), 0);
  EXPECT_EQ(write(f, kBlockBytes, pages(1, 'c')), 0);
  EXPECT_EQ(disk_.blocks_read(), 1u) << "a whole page is not read first";
  EXPECT_EQ(read(f, 9, 3), "aba");
  EXPECT_EQ(write(f, 3 * kBlockBytes - 1, "dd"), 0) << "an append";
  EXPECT_EQ(read(f, 3 * kBlockBytes - 2, 10), "add");
}

TEST_F(DataBackendTest, ADamagedBlockIsAskedForOnceMore) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(2, 'a')), 0);
  push_out();
  disk_.fail_reads(1);
  EXPECT_EQ(read(f, 0, 1), "a");
  push_out();
  disk_.fail_reads(1000);
  std::byte byte{};
  EXPECT_EQ(fs_->read(f, 0, Bytes(&byte, 1)).code(), EUCLEAN);
  EXPECT_EQ(write(f, 1, "b"), EUCLEAN) << "a part of a page that cannot be read";
  EXPECT_EQ(write(f, 0, pages(1, 'b')), 0) << "a whole one can be replaced";
  std::vector<std::byte> both(2 * kBlockBytes);
  EXPECT_EQ(fs_->read(f, 0, both).code(), EUCLEAN) << "good bytes alone would be a short file";
  disk_.fail_reads(0);
  EXPECT_EQ(read(f, kBlockBytes - 1, 2), "ba");
}

TEST_F(DataBackendTest, AllocationReservesAndWritingUsesIt) {
  const MnodeNo f = file("f");
  EXPECT_EQ(fs_->allocate(f, AllocateMode::allocate, 0, 10 * kBlockBytes).code(), 0);
  EXPECT_EQ(disk_.reserved_blocks(), 10u);
  push_out();
  EXPECT_EQ(disk_.reserved_blocks(), 10u);
  EXPECT_EQ(fs_->getattr(f)->blocks, 80u);
  EXPECT_EQ(write(f, 0, pages(2, 'a')), 0);
  EXPECT_EQ(disk_.reserved_blocks(), 10u) << "what was reserved is used";
  push_out();
  EXPECT_EQ(disk_.reserved_blocks(), 8u);
  EXPECT_EQ(fs_->allocate(f, AllocateMode::punch_hole, kBlockBytes, 4 * kBlockBytes).code(), 0);
  EXPECT_EQ(disk_.reserved_blocks(), 5u);
  EXPECT_EQ(fs_->getattr(f)->blocks, 48u);
  truncate(f, 0);
  EXPECT_EQ(disk_.reserved_blocks(), 0u);
}

TEST(DataFullTest, AFullVolumeTakesWhatHasItsBlockAlready) {
  FakeDisk disk(8);
  const auto fs = disk.mount();
  const MnodeNo f = fs->create(kRootMnode, "f", 0644, true, Caller{})->attr.mnode;
  const MnodeNo g = fs->create(kRootMnode, "g", 0644, true, Caller{})->attr.mnode;
  ASSERT_EQ(fs->allocate(f, AllocateMode::allocate, 0, 4 * kBlockBytes).code(), 0);
  const std::vector<std::byte> page(kBlockBytes, std::byte{7});
  ASSERT_EQ(fs->write(g, 0, page).code(), 0);
  uint64_t size = kBlockBytes;
  while (fs->write(g, size, page).ok()) size += kBlockBytes;
  EXPECT_EQ(fs->write(g, size, page).code(), ENOSPC);
  EXPECT_EQ(fs->append(g, page).code(), ENOSPC);
  EXPECT_EQ(fs->getattr(g)->size, size);
  EXPECT_EQ(fs->write(g, 0, page).code(), 0) << "a dirty page";
  EXPECT_EQ(fs->write(f, kBlockBytes, page).code(), 0) << "an allocated page";
  EXPECT_EQ(fs->allocate(g, AllocateMode::allocate, 0, 100 * kBlockBytes).code(), ENOSPC);
  EXPECT_EQ(fs->setattr(g, to_size(1)).code(), 0) << "giving back always works";
  disk.sync(*fs);
  EXPECT_EQ(disk.reserved_blocks(), 3u);
  EXPECT_EQ(disk.log_bytes(), 0u);
}

TEST_F(DataBackendTest, DataBehindTheEndThatACrashLeftDoesNotComeUp) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(4, 'a') + "x"), 0);
  // The upper pages and a part of the first reach the disk, the size does not.
  auto high = disk_.begin(*fs_, f, 2, 8);
  disk_.write(high);
  disk_.finish(*fs_, high);
  EXPECT_EQ(durable_size(f), 0u);
  remount();
  const MnodeNo again = find("f");
  EXPECT_EQ(fs_->getattr(again)->size, 0u);
  truncate(again, 5 * kBlockBytes);
  EXPECT_EQ(read(again, 0, 100000), pages(5, '\0'));
  EXPECT_EQ(fs_->getattr(again)->blocks, 0u);
  push_out();
  EXPECT_EQ(read(again, 0, 100000), pages(5, '\0'));
}

TEST_F(DataBackendTest, BytesBehindTheEndOfTheLastPageDoNotComeUp) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, pages(1, 'a')), 0);
  disk_.sync(*fs_);
  truncate(f, 10);
  disk_.commit();
  remount();  // the shorter size is durable, the zeroed page is not
  const MnodeNo again = find("f");
  EXPECT_EQ(fs_->getattr(again)->size, 10u);
  truncate(again, 20);
  EXPECT_EQ(read(again, 0, 100), "aaaaaaaaaa" + std::string(10, '\0'));
  disk_.sync(*fs_);
  remount();
  EXPECT_EQ(read(find("f"), 0, 100), "aaaaaaaaaa" + std::string(10, '\0'));
}

TEST_F(DataBackendTest, SeekLooksThroughToTheCheckpoint) {
  const MnodeNo f = file("f");
  const uint64_t far = uint64_t{1} << 40;
  EXPECT_EQ(write(f, 5 * kBlockBytes, "a"), 0);
  EXPECT_EQ(write(f, far, "b"), 0);
  push_out();
  EXPECT_EQ(*fs_->seek(f, 0, SeekMode::data), 5 * kBlockBytes);
  EXPECT_EQ(*fs_->seek(f, 6 * kBlockBytes, SeekMode::data), far);
  EXPECT_EQ(*fs_->seek(f, 5 * kBlockBytes, SeekMode::hole), 6 * kBlockBytes);
  EXPECT_LE(disk_.mappings_loaded(), 6u) << "holes are skipped";
}

TEST_F(DataBackendTest, DirtyFilesComeOldestFirstAndOnce) {
  const MnodeNo a = file("a");
  const MnodeNo b = file("b");
  const MnodeNo c = file("c");
  for (const MnodeNo f : {a, b, c, a}) EXPECT_EQ(write(f, 0, "x"), 0);
  EXPECT_EQ(fs_->dirty_files(2), (std::vector<MnodeNo>{a, b}));
  EXPECT_EQ(fs_->dirty_files(2), (std::vector<MnodeNo>{c, a})) << "in turn";
  disk_.write_back_all(*fs_, b);
  EXPECT_EQ(fs_->dirty_files(10), (std::vector<MnodeNo>{c, a}));
}

TEST_F(DataBackendTest, ADirectoryWithAnOpenAccessTimeCanGo) {
  const MnodeNo d = fs_->mkdir(kRootMnode, "d", 0755, Caller{})->attr.mnode;
  set_wall_for_test(fs_->getattr(d)->ctime_ns + 5'000'000'000);
  EXPECT_EQ(fs_->readdir(d, 0, [](const DirectoryEntry&) { return true; }).code(), 0);
  set_wall_for_test(-1);
  EXPECT_EQ(fs_->dirty_files(10), std::vector<MnodeNo>{d});
  EXPECT_EQ(fs_->rmdir(kRootMnode, "d").code(), 0);
  fs_->forget(d, 1);
  for (int i = 0; i < 10 && fs_->maintain(); ++i) {
  }
  EXPECT_EQ(fs_->getattr(d).code(), ESTALE);
  EXPECT_TRUE(fs_->dirty_files(10).empty());
}

TEST_F(DataBackendTest, AccessTimesAreLoggedWithTheAttributes) {
  const MnodeNo f = file("f");
  EXPECT_EQ(write(f, 0, "x"), 0);
  disk_.sync(*fs_);
  set_wall_for_test(fs_->getattr(f)->mtime_ns + 5'000'000'000);
  EXPECT_EQ(read(f, 0, 1), "x");
  const Attr now = *fs_->getattr(f);
  EXPECT_EQ(now.atime_ns, now.mtime_ns + 5'000'000'000);
  EXPECT_EQ(fs_->dirty_files(10), std::vector<MnodeNo>{f});
  disk_.sync(*fs_);
  EXPECT_EQ(disk_.committed(f)->attr.atime_ns, now.atime_ns);
  EXPECT_EQ(disk_.committed(f)->attr.mtime_ns, now.mtime_ns);
  EXPECT_EQ(disk_.log_bytes(), 0u);
  set_wall_for_test(-1);
}

}  // namespace
}  // namespace scalefs::memfs
