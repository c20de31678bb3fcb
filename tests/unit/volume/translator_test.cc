#include "volume/translator.h"

#include <gtest/gtest.h>

#include "tests/unit/volume/model_tree.h"
#include "tests/unit/volume/record_maker.h"

namespace scalefs::volume {
namespace {

class TranslatorTest : public ::testing::Test {
 protected:
  // All records as one batch, committed to the model.
  Translation commit() {
    Translator translator(tree_.key, tree_);
    auto translation = translator.translate(maker_.records);
    EXPECT_TRUE(translation.ok());
    tree_.commit(*translation);
    maker_.records.clear();
    return std::move(translation).value();
  }
  const ModelInode& inode(uint64_t mnode) { return tree_.at(tree_.ino_of(MnodeNo(mnode))); }
  bool known(uint64_t mnode) { return static_cast<bool>(tree_.ino_of(MnodeNo(mnode))); }

  ModelTree tree_;
  RecordMaker maker_;
};

TEST_F(TranslatorTest, CreateNamesAnInodeAndRaisesTheDirectorysTimes) {
  maker_.create(2048, 1, "file", 77);
  const Translation translation = commit();
  EXPECT_EQ(inode(1).names.at("file").first, MnodeNo(2048));
  EXPECT_EQ(inode(1).item.mtime_ns, 77);
  EXPECT_EQ(inode(1).item.ctime_ns, 77);
  EXPECT_EQ(inode(2048).item.nlink, 1u);
  EXPECT_EQ(translation.batch.op_count(), 3u);
  EXPECT_LT(translation.batch.size_bytes(), 120u);
}

TEST_F(TranslatorTest, CreatedAndReclaimedInOneBatchLeavesNothing) {
  maker_.create(2048, 1, "file");
  maker_.bytes(2048, 0, "hello", 5);
  maker_.unlink(2048, 1, "file");
  maker_.reclaim(2048);
  const Translation translation = commit();
  EXPECT_TRUE(translation.batch.empty());
  EXPECT_EQ(translation.absorbed_objects, 1u);
  EXPECT_EQ(tree_.next_ino, 2u) << "an inode number was taken";
}

TEST_F(TranslatorTest, BlocksOfAnAbsorbedFileAreNeverNamed) {
  maker_.create(2048, 1, "file");
  maker_.extent(2048, 0, 100, {1, 2, 3}, 12288);
  maker_.unlink(2048, 1, "file");
  maker_.reclaim(2048);
  const Translation translation = commit();
  EXPECT_TRUE(translation.batch.empty());
  ASSERT_EQ(translation.never_named.size(), 1u);
  EXPECT_EQ(translation.never_named[0].first, BlockNo(100));
  EXPECT_EQ(translation.never_named[0].count, 3u);
}

TEST_F(TranslatorTest, SplitLifeOfAFileIsCreatedThenDeleted) {
  maker_.create(2048, 1, "file");
  commit();
  EXPECT_TRUE(known(2048));
  maker_.unlink(2048, 1, "file");
  maker_.reclaim(2048);
  commit();
  EXPECT_FALSE(known(2048));
  EXPECT_TRUE(inode(1).names.empty());
}

TEST_F(TranslatorTest, OverwrittenExtentIsNamedOnceAndTheFirstBlockComesBack) {
  maker_.create(2048, 1, "file");
  maker_.extent(2048, 0, 100, {1, 2, 3, 4}, 16384);
  maker_.extent(2048, 1, 200, {5, 6}, 16384);
  const Translation translation = commit();
  EXPECT_EQ(inode(2048).pages.at(0), "b100:1");
  EXPECT_EQ(inode(2048).pages.at(1), "b200:5");
  EXPECT_EQ(inode(2048).pages.at(2), "b201:6");
  EXPECT_EQ(inode(2048).pages.at(3), "b103:4");
  ASSERT_EQ(translation.never_named.size(), 1u);
  EXPECT_EQ(translation.never_named[0].first, BlockNo(101));
  EXPECT_EQ(translation.never_named[0].count, 2u);
}

TEST_F(TranslatorTest, BlockOfAnEarlierBatchIsNotGivenBack) {
  maker_.create(2048, 1, "file");
  maker_.extent(2048, 0, 100, {1}, 4096);
  commit();
  maker_.extent(2048, 0, 101, {2}, 4096);
  EXPECT_TRUE(commit().never_named.empty());
}

TEST_F(TranslatorTest, OrphanIsPutWithTheLastUnlinkAndRemovedByReclaim) {
  maker_.create(2048, 1, "file");
  commit();
  maker_.unlink(2048, 1, "file");
  commit();
  EXPECT_TRUE(inode(2048).orphan);
  maker_.reclaim(2048);
  commit();
  EXPECT_FALSE(known(2048));
}

TEST_F(TranslatorTest, TmpfileIsAnOrphanUntilItIsLinked) {
  maker_.create(2048, 0, "");
  commit();
  EXPECT_TRUE(inode(2048).orphan);
  maker_.link(2048, 1, "now");
  commit();
  EXPECT_FALSE(inode(2048).orphan);
  EXPECT_EQ(inode(2048).item.nlink, 1u);
}

TEST_F(TranslatorTest, TmpfileLinkedInOneBatchIsNoOrphan) {
  maker_.create(2048, 0, "");
  maker_.link(2048, 1, "now");
  commit();
  EXPECT_FALSE(inode(2048).orphan);
}

TEST_F(TranslatorTest, DirectoryCountsFollowMkdirAndRmdir) {
  maker_.mkdir(2048, 1, "d");
  maker_.mkdir(4096, 2048, "e");
  commit();
  EXPECT_EQ(inode(1).item.nlink, 3u);
  EXPECT_EQ(inode(2048).item.nlink, 3u);
  EXPECT_EQ(inode(4096).item.parent_mnode, MnodeNo(2048));
  EXPECT_EQ(inode(4096).item.parent_ino, tree_.ino_of(MnodeNo(2048)));
  maker_.unlink(4096, 2048, "e", true);
  commit();
  EXPECT_EQ(inode(2048).item.nlink, 2u);
  EXPECT_TRUE(inode(4096).orphan);
}

TEST_F(TranslatorTest, RenameOfADirectoryMovesItsParentAndTheCounts) {
  maker_.mkdir(2048, 1, "a");
  maker_.mkdir(3072, 1, "b");
  maker_.mkdir(4096, 2048, "moved");
  commit();
  maker_.rename({MnodeNo(2048), "moved", MnodeNo(3072), "here", MnodeNo(4096), DT_DIR, {}, 0, false,
                 {}});
  commit();
  EXPECT_EQ(inode(2048).item.nlink, 2u);
  EXPECT_EQ(inode(3072).item.nlink, 3u);
  EXPECT_EQ(inode(4096).item.parent_mnode, MnodeNo(3072));
  EXPECT_TRUE(inode(2048).names.empty());
  EXPECT_EQ(inode(3072).names.at("here").first, MnodeNo(4096));
}

TEST_F(TranslatorTest, RenameOverADirectoryTakesItsLinks) {
  maker_.mkdir(2048, 1, "a");
  maker_.mkdir(3072, 1, "b");
  commit();
  maker_.rename({MnodeNo(1), "a", MnodeNo(1), "b", MnodeNo(2048), DT_DIR, MnodeNo(3072), DT_DIR,
                 false, {}});
  commit();
  EXPECT_EQ(inode(1).item.nlink, 3u);
  EXPECT_TRUE(inode(3072).orphan);
  EXPECT_EQ(inode(1).names.size(), 1u);
  EXPECT_EQ(inode(1).names.at("b").first, MnodeNo(2048));
}

TEST_F(TranslatorTest, ExchangeOfAFileAndADirectoryAcrossParents) {
  maker_.mkdir(2048, 1, "a");
  maker_.mkdir(3072, 1, "b");
  maker_.create(4096, 2048, "file");
  maker_.mkdir(5120, 3072, "dir");
  commit();
  maker_.rename({MnodeNo(2048), "file", MnodeNo(3072), "dir", MnodeNo(4096), DT_REG, MnodeNo(5120),
                 DT_DIR, true, {}});
  commit();
  EXPECT_EQ(inode(2048).names.at("file").first, MnodeNo(5120));
  EXPECT_EQ(inode(3072).names.at("dir").first, MnodeNo(4096));
  EXPECT_EQ(inode(2048).item.nlink, 3u);
  EXPECT_EQ(inode(3072).item.nlink, 2u);
  EXPECT_EQ(inode(5120).item.parent_mnode, MnodeNo(2048));
  EXPECT_EQ(inode(4096).item.nlink, 1u);
}

TEST_F(TranslatorTest, WhiteoutTakesTheOldName) {
  maker_.create(2048, 1, "from");
  commit();
  memfs::RenameOp op{MnodeNo(1), "from", MnodeNo(1), "to", MnodeNo(2048), DT_REG, {}, 0, false, {}};
  op.whiteout = RecordMaker::attr(3072, 020000, 1);
  maker_.rename(op);
  commit();
  EXPECT_EQ(inode(1).names.at("to").first, MnodeNo(2048));
  EXPECT_EQ(inode(1).names.at("from"), std::pair(MnodeNo(3072), static_cast<uint8_t>(DT_CHR)));
}

TEST_F(TranslatorTest, SymlinkTargetIsPageZero) {
  memfs::CreateOp op{RecordMaker::attr(2048, 0120777, 1), MnodeNo(1), "link", "the/target", {}};
  maker_.add(std::move(op));
  commit();
  EXPECT_EQ(inode(2048).pages.at(0), "ithe/target");
  EXPECT_EQ(inode(2048).item.size, 10u);
}

TEST_F(TranslatorTest, InheritedXattrsComeWithTheCreate) {
  memfs::CreateOp op{RecordMaker::attr(2048, 0100644, 1), MnodeNo(1), "f", {}, {}};
  op.xattrs.emplace_back("system.posix_acl_access", std::vector<std::byte>(3, std::byte{'x'}));
  maker_.add(std::move(op));
  commit();
  EXPECT_EQ(inode(2048).xattrs.at("system.posix_acl_access"), "xxx");
}

TEST_F(TranslatorTest, DirectoryTimesAreMaximaUnlessSet) {
  maker_.create(2048, 1, "a", 500);
  maker_.create(3072, 1, "b", 300);
  commit();
  EXPECT_EQ(inode(1).item.mtime_ns, 500);
  memfs::SetAttrOp set;
  set.target = kRootMnode;
  set.mtime_ns = 100;
  maker_.add(std::move(set), 600);
  commit();
  EXPECT_EQ(inode(1).item.mtime_ns, 100);
  EXPECT_EQ(inode(1).item.ctime_ns, 600);
}

TEST_F(TranslatorTest, ADirectoryTimeInTheFutureGivesWayToTheNextChange) {
  for (const bool one_batch : {true, false}) {
    const uint64_t base = one_batch ? 2048 : 8192;
    const int64_t now = one_batch ? 500 : 5000;
    const auto set = [&](int64_t mtime, int64_t at) {
      memfs::SetAttrOp op;
      op.target = kRootMnode;
      op.mtime_ns = mtime;
      maker_.add(std::move(op), at);
      if (!one_batch) commit();
    };
    const auto change = [&](int i, int64_t at) {
      const std::string number = std::to_string(base + static_cast<uint64_t>(i));
      maker_.create(base + static_cast<uint64_t>(i) * 1024, 1, number, at);
      if (!one_batch) commit();
    };
    set(now * 10, now);
    change(0, now + 2);
    change(1, now + 1);  // read the clock earlier and was stamped later
    commit();
    EXPECT_EQ(inode(1).item.mtime_ns, now + 2);
    set(now + 4, now + 3);
    maker_.set_mode(1, 0700, now + 5);
    if (!one_batch) commit();
    EXPECT_EQ(one_batch ? now + 4 : inode(1).item.mtime_ns, now + 4);
    change(2, now + 6);
    commit();
    EXPECT_EQ(inode(1).item.mtime_ns, now + 6);
    set(now * 10, now + 7);
    commit();
    EXPECT_EQ(inode(1).item.mtime_ns, now * 10);
  }
}

TEST_F(TranslatorTest, SetModeKeepsTheType) {
  maker_.create(2048, 1, "a");
  maker_.set_mode(2048, 04711);
  commit();
  EXPECT_EQ(inode(2048).item.mode, 0104711u);
}

TEST_F(TranslatorTest, TruncateCutsFromTheNextPage) {
  maker_.create(2048, 1, "a");
  maker_.extent(2048, 0, 10, {1, 2, 3}, 12288);
  commit();
  maker_.truncate(2048, 4097);
  commit();
  EXPECT_EQ(inode(2048).pages.size(), 2u);
  EXPECT_EQ(inode(2048).item.size, 4097u);
}

TEST_F(TranslatorTest, UnknownObjectIsRefused) {
  maker_.link(9999, 1, "x");
  Translator translator(tree_.key, tree_);
  EXPECT_EQ(translator.translate(maker_.records).code(), EUCLEAN);
}

TEST_F(TranslatorTest, ReclaimOfALinkedObjectIsRefused) {
  maker_.create(2048, 1, "a");
  maker_.reclaim(2048);
  Translator translator(tree_.key, tree_);
  EXPECT_EQ(translator.translate(maker_.records).code(), EUCLEAN);
}

TEST_F(TranslatorTest, DamagedCountOfLinksIsClamped) {
  maker_.create(2048, 1, "a");
  commit();
  tree_.at(tree_.ino_of(MnodeNo(2048))).item.nlink = 0;
  maker_.unlink(2048, 1, "a");
  commit();
  EXPECT_EQ(inode(2048).item.nlink, 0u);
}

TEST_F(TranslatorTest, SplitPointsKeepOrderAndBound) {
  for (uint64_t i = 0; i < 100; ++i) maker_.create(2048 + i, 1, "name" + std::to_string(i));
  const auto ends = Translator::split_points(maker_.records, 2000);
  ASSERT_GT(ends.size(), 5u);
  EXPECT_EQ(ends.back(), 100u);
  size_t start = 0;
  for (const size_t end : ends) {
    ASSERT_LT(start, end);
    Translator translator(tree_.key, tree_);
    auto translation = translator.translate(RecordList(maker_.records).subspan(start, end - start));
    ASSERT_TRUE(translation.ok());
    EXPECT_LE(translation->batch.size_bytes(), 2000u);
    tree_.commit(*translation);
    start = end;
  }
  EXPECT_EQ(inode(1).names.size(), 100u);
}

TEST_F(TranslatorTest, SplitPointsCountASharedObjectOnce) {
  EXPECT_TRUE(Translator::split_points(maker_.records, 100).empty());
  size_t apart = 0;
  for (char name = 'a'; name < 'k'; ++name) maker_.link(2048, 1, std::string(1, name));
  for (const auto& record : maker_.records) {
    apart += Translator::bytes_bound(static_cast<const memfs::OpRecord&>(*record));
  }
  EXPECT_EQ(Translator::split_points(maker_.records, apart).size(), 1u);
  EXPECT_EQ(Translator::split_points(maker_.records, apart / 3).size(), 1u);
  EXPECT_GT(Translator::split_points(maker_.records, apart / 10).size(), 1u);
}

TEST_F(TranslatorTest, ARenamesBoundKnowsTheWhiteoutsAttributes) {
  maker_.create(2048, 1, "from");
  commit();
  memfs::RenameOp op{MnodeNo(1), "from", MnodeNo(1), "to", MnodeNo(2048), DT_REG, {}, 0, false, {}};
  op.whiteout = RecordMaker::attr(3072, 020000, 1);
  op.whiteout_xattrs.emplace_back("system.posix_acl_access", std::vector<std::byte>(5000));
  maker_.rename(op);
  Translator translator(tree_.key, tree_);
  const auto translation = translator.translate(maker_.records);
  ASSERT_TRUE(translation.ok());
  EXPECT_GT(translation->batch.size_bytes(), 5000u);
  EXPECT_LE(translation->batch.size_bytes(),
            Translator::bytes_bound(static_cast<const memfs::OpRecord&>(*maker_.records[0])));
}

TEST_F(TranslatorTest, SplitPointsKeepACallTogether) {
  for (uint64_t i = 0; i < 100; ++i) maker_.create(2048 + i, 1, "name" + std::to_string(i));
  // Calls of one to four records.
  size_t of_call = 0;
  oplog::Stamp stamp = 1;
  for (auto& record : maker_.records) {
    record->stamp = stamp;
    if (++of_call > stamp % 4) {
      of_call = 0;
      ++stamp;
    }
  }
  for (size_t bytes_max = 200; bytes_max < 4000; bytes_max += 50) {
    const auto ends = Translator::split_points(maker_.records, bytes_max);
    ASSERT_GT(ends.size(), 2u);
    EXPECT_EQ(ends.back(), 100u);
    for (const size_t end : ends) {
      if (end == 100) continue;
      EXPECT_NE(maker_.records[end]->stamp, maker_.records[end - 1]->stamp);
    }
  }
  // Two cores' calls of one time are two calls.
  for (auto& record : maker_.records) {
    record->stamp = 7;
    record->slot = static_cast<uint32_t>(&record - maker_.records.data());
  }
  EXPECT_GT(Translator::split_points(maker_.records, 2000).size(), 5u);
}

}  // namespace
}  // namespace scalefs::volume
