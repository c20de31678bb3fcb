// Cuts of a real log through the translator into a real DiskFs on a device in memory.
#include "volume/commit_pipeline.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/memory.h"
#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "tests/unit/volume/fake_room.h"
#include "tests/unit/volume/record_maker.h"
#include "volume/loader.h"
#include "volume/mount_batch.h"

namespace scalefs::volume {
namespace {

class PipelineTest : public ::testing::Test {
 protected:
  PipelineTest() {
    std::string why;
    EXPECT_TRUE(diskfs::format(device_, {}, &why).ok()) << why;
    mount();
  }
  void mount() {
    drop();
    std::string why;
    auto disk = diskfs::DiskFs::mount(device_, {}, &why);
    ASSERT_TRUE(disk.ok()) << why;
    disk_ = std::move(*disk);
    log_ = std::make_unique<oplog::OpLog>();
    map_ = std::make_unique<InodeMap>();
    view_ = std::make_unique<CommittedView>(*disk_, *map_);
    marks_ = std::make_unique<MnodeMarks>(*disk_->pin().reader().mnode_marks(), 2);
    pins_ = std::make_unique<ReadPins>(
        [this](diskfs::BlockRun run) { disk_->allocator().free(run); });
    health_ = std::make_unique<Health>(false);
    pipeline_ = std::make_unique<CommitPipeline>(
        CommitPipeline::Parts{*log_, *disk_, *map_, *view_, *marks_, *pins_, *health_, credits_});
    loader_ = std::make_unique<Loader>(*disk_, *map_);
    ASSERT_TRUE(loader_->load_root().ok());
  }
  void drop() {
    loader_.reset();
    pipeline_.reset();
    view_.reset();
    disk_.reset();
  }
  // Logs what the maker has and commits it.
  Status commit() {
    for (auto& record : maker_.records) {
      oplog::OpLog::Slot slot(*log_);
      slot.stamp(0);
      slot.append(std::move(record));
    }
    maker_.records.clear();
    return pipeline_->commit_cut();
  }
  Result<memfs::LoadedObject> find(uint64_t dir, const std::string& name) {
    return loader_->load_child(MnodeNo(dir), siphash24(disk_->info().hash_key, name), name);
  }
  BlockNo write_block(char fill) {
    const auto run = disk_->allocator().allocate(0, 1);
    EXPECT_TRUE(run.ok());
    const std::vector<std::byte> content(kBlockBytes, static_cast<std::byte>(fill));
    EXPECT_TRUE(disk_->write_data(run->first, content).ok());
    return run->first;
  }
  static uint32_t crc_of(char fill) {
    const std::vector<std::byte> content(kBlockBytes, static_cast<std::byte>(fill));
    return crc32c(content.data(), content.size());
  }

  diskfs::MemoryDevice device_{kVolumeBytesMin / kBlockBytes};
  std::unique_ptr<diskfs::DiskFs> disk_;
  std::unique_ptr<oplog::OpLog> log_;
  std::unique_ptr<InodeMap> map_;
  std::unique_ptr<CommittedView> view_;
  std::unique_ptr<MnodeMarks> marks_;
  std::unique_ptr<ReadPins> pins_;
  std::unique_ptr<Health> health_;
  std::unique_ptr<CommitPipeline> pipeline_;
  std::unique_ptr<Loader> loader_;
  RecordMaker maker_;
  FakeRoom room_;
  BlockCredits credits_{room_, 10000};
};

TEST_F(PipelineTest, CreditsOfCarriedPagesAreSpentByTheCommit) {
  maker_.create(2048, 1, "f");
  maker_.bytes(2048, 0, "one", 3);
  maker_.bytes(2048, 1, "two", 4099);
  ASSERT_TRUE(credits_.take(2, 1));
  credits_.gather();
  EXPECT_EQ(credits_.held(), 2u);
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(credits_.held(), 0u);
}

TEST_F(PipelineTest, CommittedNamesAreThereAfterARemount) {
  maker_.mkdir(2048, 1, "dir", 5);
  maker_.create(3072, 2048, "file", 6);
  maker_.bytes(3072, 0, "hello", 5, 7);
  ASSERT_TRUE(commit().ok());
  mount();
  const auto dir = find(1, "dir");
  ASSERT_TRUE(dir.ok());
  EXPECT_EQ(dir->attr.mnode, MnodeNo(2048));
  EXPECT_EQ(dir->parent, kRootMnode);
  EXPECT_EQ(dir->entries, 1u);
  EXPECT_EQ(dir->attr.mtime_ns, 6);
  const auto file = find(2048, "file");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->attr.size, 5u);
  EXPECT_EQ(file->attr.nlink, 1u);
  const auto pages = loader_->load_mapping(MnodeNo(3072), 0, 2);
  ASSERT_TRUE(pages.ok());
  ASSERT_EQ((*pages)[0].kind, memfs::LoadedPage::Kind::bytes);
  EXPECT_EQ((*pages)[0].bytes.size(), 5u);
  EXPECT_EQ((*pages)[1].kind, memfs::LoadedPage::Kind::hole);
  EXPECT_EQ(find(2048, "other").code(), ENOENT);
}

TEST_F(PipelineTest, CommitsWithoutACheckpointBuildOnEachOther) {
  maker_.create(2048, 1, "a");
  ASSERT_TRUE(commit().ok());
  maker_.link(2048, 1, "b");
  ASSERT_TRUE(commit().ok());
  maker_.link(2048, 1, "c");
  maker_.unlink(2048, 1, "a");
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(view_->size(), 1u);
  mount();
  EXPECT_EQ(find(1, "b")->attr.nlink, 2u);
  EXPECT_EQ(find(1, "a").code(), ENOENT);
}

TEST_F(PipelineTest, ViewFallsBackToTheCheckpointOnceCovered) {
  maker_.create(2048, 1, "a", 5);
  ASSERT_TRUE(commit().ok());
  ASSERT_TRUE(disk_->checkpoint().ok());
  view_->drop_covered(disk_->checkpointed_seq());
  EXPECT_EQ(view_->size(), 0u);
  const Ino ino = map_->find(MnodeNo(2048)).ino;
  EXPECT_EQ(view_->item(ino, MnodeNo(2048))->mtime_ns, 0);
  EXPECT_EQ(view_->item(ino, MnodeNo(9999)).code(), EUCLEAN);
  EXPECT_EQ(view_->item(Ino(777), MnodeNo(9999)).code(), EUCLEAN);
}

TEST_F(PipelineTest, ViewKeepsWhatWasPublishedBehindTheCheckpoint) {
  constexpr uint64_t kObjects = 300;
  const auto mnode = [](uint64_t i) { return 2048 + i; };
  for (uint64_t i = 0; i < kObjects; ++i) {
    maker_.create(mnode(i), 1, "a" + std::to_string(i));
    if (i % 50 == 49) {
      ASSERT_TRUE(commit().ok());
    }
  }
  ASSERT_TRUE(disk_->checkpoint().ok());
  const uint64_t covered = disk_->checkpointed_seq();
  for (uint64_t i = 0; i < kObjects; i += 60) maker_.link(mnode(i), 1, "b" + std::to_string(i));
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(view_->size(), kObjects);
  view_->drop_covered(covered);
  EXPECT_EQ(view_->size(), kObjects / 60);
  for (uint64_t i = 0; i < kObjects; ++i) {
    const Ino ino = map_->find(MnodeNo(mnode(i))).ino;
    EXPECT_EQ(view_->item(ino, MnodeNo(mnode(i)))->nlink, i % 60 == 0 ? 2u : 1u) << i;
  }
  ASSERT_TRUE(disk_->checkpoint().ok());
  view_->drop_covered(disk_->checkpointed_seq());
  EXPECT_EQ(view_->size(), 0u);
}

TEST_F(PipelineTest, RecordsOfACutAreFreedBehindItsAnswers) {
  maker_.create(2048, 1, "a");
  maker_.create(2049, 1, "b");
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(pipeline_->logged().records, 0u);
  EXPECT_EQ(pipeline_->records_to_free(), 2u);
  pipeline_->clean_up();
  EXPECT_EQ(pipeline_->records_to_free(), 0u);
}

TEST_F(PipelineTest, ABatchKeepsAboutTheMemoryThatItNeeds) {
  auto kept = [before = int64_t{0}]() mutable {
    const int64_t now = memory_bytes(MemoryClass::journal_buffer);
    return now - std::exchange(before, now);
  };
  (void)kept();
  maker_.create(2048, 1, "large");
  for (uint64_t page = 0; page < 50; ++page) maker_.bytes(2048, page, std::string(kBlockBytes, 'x'), 50 * kBlockBytes);
  ASSERT_TRUE(commit().ok());
  EXPECT_LE(kept(), static_cast<int64_t>(60 * kBlockBytes));
  pipeline_->clean_up();  // prepares for another as large
  maker_.create(2049, 1, "small");
  ASSERT_TRUE(commit().ok());
  EXPECT_LE(kept(), static_cast<int64_t>(2 * kBlockBytes));
  pipeline_->clean_up();
  // Hardly anything of what this cut logged is written.
  for (uint64_t i = 0; i < 500; ++i) {
    maker_.create(3000 + i, 1, "passing" + std::to_string(i));
    maker_.unlink(3000 + i, 1, "passing" + std::to_string(i));
    maker_.add(memfs::ReclaimOp{MnodeNo(3000 + i)});
  }
  maker_.create(2050, 1, "stays");
  ASSERT_TRUE(commit().ok());
  EXPECT_LE(kept(), static_cast<int64_t>(2 * kBlockBytes));
}

TEST_F(PipelineTest, CreatesJournalBytesAreFew) {
  maker_.create(uint64_t{1} << 40, 1, "a-name-of-usual-length.txt", 1'700'000'000'000'000'000);
  ASSERT_TRUE(commit().ok());
  const uint64_t before = disk_->statistics().batch_bytes;
  for (uint64_t i = 0; i < 100; ++i) {
    maker_.create((uint64_t{1} << 40) + (i + 1) * kCoresMax, 1, "some-file-" + std::to_string(i),
                  1'700'000'000'000'000'000 + static_cast<int64_t>(i) * 1'000'000);
  }
  ASSERT_TRUE(commit().ok());
  EXPECT_LT(disk_->statistics().batch_bytes - before, 100u * 100);
  EXPECT_GT(disk_->statistics().batch_bytes, before);
}

TEST_F(PipelineTest, StampsAreCoveredByTheCheckpointOfTheirBatch) {
  maker_.create(2048, 1, "a");
  ASSERT_TRUE(commit().ok());
  const uint64_t first = disk_->committed_seq();
  const oplog::Stamp stamp = log_->floor();
  maker_.create(3072, 1, "b");
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(pipeline_->covered_stamp(first - 1), 0u);
  const oplog::Stamp covered = pipeline_->covered_stamp(first);
  EXPECT_GE(covered, stamp);
  EXPECT_GT(pipeline_->covered_stamp(disk_->committed_seq()), covered);
  // A cut that leaves nothing to write is covered without a batch.
  maker_.create(4096, 1, "c");
  maker_.unlink(4096, 1, "c");
  maker_.reclaim(4096);
  const oplog::Stamp before = pipeline_->covered_stamp(disk_->committed_seq());
  maker_.records.erase(maker_.records.begin(), maker_.records.end());
  ASSERT_TRUE(commit().ok());
  EXPECT_GT(pipeline_->covered_stamp(disk_->committed_seq()), before);
}

TEST_F(PipelineTest, ReplacedBlocksOfOneBatchGoBackToTheAllocator) {
  maker_.create(2048, 1, "a");
  ASSERT_TRUE(commit().ok());
  const uint64_t free = disk_->allocator().free_blocks();
  const BlockNo first = write_block('x');
  const BlockNo second = write_block('y');
  maker_.extent(2048, 0, first.v, {crc_of('x')}, 4096);
  maker_.extent(2048, 0, second.v, {crc_of('y')}, 4096);
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(disk_->allocator().free_blocks(), free - 2);
  EXPECT_FALSE(pins_->step());
  EXPECT_EQ(disk_->allocator().free_blocks(), free - 1);
  EXPECT_FALSE(disk_->allocator().is_taken(first));
  EXPECT_TRUE(disk_->allocator().is_taken(second));
  mount();
  ASSERT_TRUE(find(1, "a").ok());
  const auto pages = loader_->load_mapping(MnodeNo(2048), 0, 1);
  ASSERT_EQ((*pages)[0].kind, memfs::LoadedPage::Kind::block);
  EXPECT_EQ((*pages)[0].block, second);
}

TEST_F(PipelineTest, CutsLargerThanABatchAreSplit) {
  const size_t name_bytes = 200;
  const size_t count = disk_->batch_bytes_max() / name_bytes * 3;
  for (size_t i = 0; i < count; ++i) {
    std::string name = std::to_string(i);
    name.resize(name_bytes, 'n');
    maker_.create((i + 2) * kCoresMax, 1, name);
  }
  const uint64_t before = disk_->committed_seq();
  ASSERT_TRUE(commit().ok());
  EXPECT_GE(disk_->committed_seq(), before + 3);
  EXPECT_EQ(pipeline_->logged().records, 0u);
  mount();
  EXPECT_EQ(loader_->load_root()->entries, count);
}

TEST_F(PipelineTest, MarksAreCommittedAheadAndKeptOverAMount) {
  ASSERT_TRUE(commit_mount_batches(*disk_, *marks_).ok());
  EXPECT_EQ(marks_->grant(0), 1 + MnodeMarks::kStride);
  // Use near the mark brings the next one with a batch that runs anyway.
  maker_.create((MnodeMarks::kStride - 1) << kCoreBits, 1, "late");
  ASSERT_TRUE(commit().ok());
  EXPECT_FALSE(marks_->grant(0));
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(marks_->grant(0), 1 + 2 * MnodeMarks::kStride);
  mount();
  EXPECT_EQ(marks_->first(0), 1 + 2 * MnodeMarks::kStride);
  EXPECT_EQ(marks_->first(1), 1 + MnodeMarks::kStride);
}

TEST_F(PipelineTest, OrphansEndAtTheNextMount) {
  maker_.create(2048, 1, "a");
  maker_.create(3072, 1, "kept");
  maker_.bytes(2048, 0, "content", 7);
  ASSERT_TRUE(commit().ok());
  maker_.unlink(2048, 1, "a");
  ASSERT_TRUE(commit().ok());
  const Ino ino = map_->find(MnodeNo(2048)).ino;
  mount();
  EXPECT_EQ(disk_->pin().reader().orphans(Ino(1), 10)->size(), 1u);
  ASSERT_TRUE(commit_mount_batches(*disk_, *marks_).ok());
  ASSERT_TRUE(disk_->checkpoint().ok());
  EXPECT_TRUE(disk_->pin().reader().orphans(Ino(1), 10)->empty());
  EXPECT_EQ(disk_->pin().reader().inode(ino).code(), ENOENT);
  EXPECT_TRUE(find(1, "kept").ok());
}

TEST_F(PipelineTest, RecordsThatContradictWhatIsCommittedFailTheVolume) {
  maker_.link(9999, 1, "ghost");
  EXPECT_FALSE(commit().ok());
  EXPECT_TRUE(health_->failed());
  EXPECT_EQ(commit().code(), EIO);
}

TEST_F(PipelineTest, ObjectsOfTheJournalAloneLoadAsEmpty) {
  maker_.mkdir(2048, 1, "young");
  ASSERT_TRUE(commit().ok());
  EXPECT_EQ(find(1, "young").code(), ENOENT);
  EXPECT_TRUE(loader_->load_entries(MnodeNo(2048), 0, 10)->entries.empty());
  EXPECT_EQ(loader_->load_mapping(MnodeNo(2048), 0, 1)->front().kind,
            memfs::LoadedPage::Kind::hole);
  ASSERT_TRUE(disk_->checkpoint().ok());
  EXPECT_TRUE(find(1, "young").ok());
  EXPECT_EQ(loader_->load_entries(kRootMnode, 0, 10)->entries.size(), 1u);
}

TEST_F(PipelineTest, HolesAreSkippedToTheNextMappedPage) {
  maker_.create(2048, 1, "sparse");
  maker_.bytes(2048, 5'000'000, "far", uint64_t{5'000'001} * kBlockBytes);
  ASSERT_TRUE(commit().ok());
  mount();
  ASSERT_TRUE(find(1, "sparse").ok());
  uint64_t page = 0;
  for (int i = 0; i < 100 && page < 5'000'000; ++i) {
    page = *loader_->next_mapped(MnodeNo(2048), page);
  }
  EXPECT_EQ(page, 5'000'000u);
  EXPECT_EQ(*loader_->next_mapped(MnodeNo(2048), 5'000'001), UINT64_MAX);
}

}  // namespace
}  // namespace scalefs::volume
