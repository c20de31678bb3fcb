// What P3, P5 and P7 say of the order and the places of writes, looked at directly in recordings of the explorer's scripts
// rather than by what a crash would show.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "base/random.h"
#include "diskfs/batch_scan.h"
#include "diskfs/crash_image.h"
#include "diskfs/recovery.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock_scan.h"
#include "tests/crash/explorer/crash_script.h"
#include "tests/crash/explorer/explorer.h"
#include "tests/support/seeds.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {
namespace {

using diskfs::RecordedEvent;

struct Recorded {
  std::unique_ptr<diskfs::MemoryDevice> medium = formatted_device(16u << 20);
  std::unique_ptr<diskfs::MemoryDevice> start;
  diskfs::RecordingDevice recording{*medium};
};

std::string record(const std::string& script, bool inlined, Recorded* to) {
  volume::VolumeOptions options;
  options.threads = false;
  if (!inlined) options.inline_bytes_max = 0;
  std::string why;
  auto volume = volume::Volume::mount(to->recording, options, &why);
  if (!volume.ok()) return why;
  CrashScript calls(**volume, to->recording);
  if (auto wrong = calls.prepare(); !wrong.empty()) return wrong;
  to->start = to->medium->clone();
  to->recording.forget();
  auto wrong = calls.run(script + "; sync; checkpoint; checkpoint");
  (*volume)->shutdown();
  return wrong;
}

// Calls one after another, each with what may follow it, and checkpoints between them.
std::vector<std::string> long_scripts() {
  auto one = crash_scripts_of_one();
  std::vector<std::string> scripts;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed < 20 ? seed : commit_seed(seed));
    std::string script;
    for (int calls = 0; calls < 12; ++calls) {
      script += one[random.below(one.size())] + "; ";
      if (random.percent(30)) script += "writeback; ";
      if (random.percent(30)) script += "commit; ";
      if (random.percent(30)) script += "checkpoint; ";
    }
    scripts.push_back(script);
  }
  return scripts;
}

// What the durable state at a moment needs: blocks that the newest checkpoint references, and those that batches behind
// it name.
struct Needed {
  diskfs::Superblock sb;
  std::set<uint64_t> checkpoint, batches;
};

std::string needed_of(diskfs::MemoryDevice& image, Needed* needed) {
  std::string why;
  auto sb = diskfs::read_newest_superblock(image, &why);
  if (!sb.ok()) return why;
  auto map = diskfs::SpaceMap::load(image, *sb, &why);
  if (!map.ok()) return why;
  needed->sb = *sb;
  for (uint64_t block = 0; block < image.block_count(); ++block) {
    if (sb->geometry.is_data_run(block, 1) && (*map)->test(BlockNo(block))) needed->checkpoint.insert(block);
  }
  auto journal = diskfs::recover_journal(image, *sb, true, &why);
  if (!journal.ok()) return why;
  for (const auto& batch : journal->batches) {
    (void)diskfs::visit_extents(batch->payload(), [&](BlockNo first, std::span<const uint32_t> crcs) -> Status {
      for (uint64_t i = 0; i < crcs.size(); ++i) needed->batches.insert(first.v + i);
      return {};
    });
  }
  return "";
}

// P3 and I7: a block that the durable checkpoint, the one before it, or a batch behind it names is not written.
std::string check_places(Recorded& recorded, uint64_t* writes) {
  diskfs::CrashImages images(*recorded.start, recorded.recording);
  Needed now;
  if (auto wrong = needed_of(*recorded.start, &now); !wrong.empty()) return wrong;
  std::set<uint64_t> before;  // of the checkpoint before
  for (uint64_t i = 0; i < recorded.recording.event_count(); ++i) {
    const RecordedEvent event = recorded.recording.event(i);
    if (event.kind == RecordedEvent::Kind::flush) {
      images.advance(i + 1);
      auto image = images.build(diskfs::CrashImages::keep_none());
      Needed next;
      if (auto wrong = needed_of(*image, &next); !wrong.empty()) return wrong;
      if (next.sb.generation != now.sb.generation) before = std::move(now.checkpoint);
      now = std::move(next);
      continue;
    }
    for (uint64_t b = event.first.v; b < event.first.v + event.count; ++b) {
      ++*writes;
      const char* whose = now.checkpoint.contains(b) ? "the durable checkpoint"
                          : before.contains(b)       ? "the checkpoint before"
                          : now.batches.contains(b)  ? "a durable batch"
                                                     : nullptr;
      if (whose != nullptr) return fmt::format("event {} writes block {}, which {} needs", i, b, whose);
    }
  }
  return "";
}

// P7 and P5: a superblock is written only when all that was written before is durable, other copies of itself aside;
// nothing is written behind it before it is durable; and a batch is written when the superblock that it names is.
std::string check_order(Recorded& recorded) {
  diskfs::CrashImages images(*recorded.start, recorded.recording);
  const auto places = diskfs::superblock_places(recorded.medium->block_count());
  const std::set<uint64_t> copies(places.begin(), places.end());
  std::set<uint64_t> open_copies;
  for (uint64_t i = 0; i < recorded.recording.event_count(); ++i) {
    const RecordedEvent event = recorded.recording.event(i);
    images.advance(i);
    if (event.kind == RecordedEvent::Kind::flush) {
      open_copies.clear();
      continue;
    }
    const bool superblock = copies.contains(event.first.v);
    if (superblock && images.undecided().size() != open_copies.size()) {
      return fmt::format("event {} writes a superblock while {} writes are not durable", i,
                         images.undecided().size() - open_copies.size());
    }
    if (!superblock && !open_copies.empty()) return fmt::format("event {} does not wait for the superblock", i);
    if (superblock) open_copies.insert(event.first.v);
  }
  return "";
}

// P5: when a batch is durable, so is the data that it names.
std::string check_data(Recorded& recorded, uint64_t* blocks) {
  diskfs::CrashImages images(*recorded.start, recorded.recording);
  AlignedBuffer block(kBlockBytes);
  for (uint64_t i = 1; i <= recorded.recording.event_count(); ++i) {
    if (recorded.recording.event(i - 1).kind != RecordedEvent::Kind::flush) continue;
    images.advance(i);
    auto image = images.build(diskfs::CrashImages::keep_none());
    std::string why;
    auto sb = diskfs::read_newest_superblock(*image, &why);
    if (!sb.ok()) return why;
    auto journal = diskfs::recover_journal(*image, *sb, true, &why);
    if (!journal.ok()) return why;
    std::string wrong;
    for (const auto& batch : journal->batches) {
      (void)diskfs::visit_extents(batch->payload(), [&](BlockNo first, std::span<const uint32_t> crcs) -> Status {
        for (uint64_t b = 0; b < crcs.size(); ++b, ++*blocks) {
          SCALEFS_TRY_VOID(image->read(BlockNo(first.v + b), block.span()));
          if (crc32c(block.data(), kBlockBytes) == crcs[b]) continue;
          wrong = fmt::format("batch {} is durable by event {}, its data in block {} is not", batch->sequence(), i - 1,
                              first.v + b);
        }
        return {};
      });
    }
    if (!wrong.empty()) return wrong;
  }
  return "";
}

class Protocols : public ::testing::Test {
 protected:
  void check_all(const std::function<std::string(Recorded&)>& check) {
    bool inlined = true;
    for (const auto& script : long_scripts()) {
      inlined = !inlined;
      SCOPED_TRACE(fmt::format("SCALEFS_CRASH_SCRIPT='{}', inline data {}", script, inlined));
      Recorded recorded;
      ASSERT_EQ(record(script, inlined, &recorded), "");
      ASSERT_EQ(check(recorded), "");
    }
  }
};

TEST_F(Protocols, P3NoWriteMeetsABlockThatADurableStateNeeds) {
  uint64_t writes = 0;
  check_all([&](Recorded& recorded) { return check_places(recorded, &writes); });
  EXPECT_GT(writes, 1000u);
  fmt::print("{} blocks written\n", writes);
}

TEST_F(Protocols, P5TheDataOfADurableBatchIsDurable) {
  uint64_t blocks = 0;
  check_all([&](Recorded& recorded) { return check_data(recorded, &blocks); });
  EXPECT_GT(blocks, 50u);
  fmt::print("{} blocks\n", blocks);
}

TEST_F(Protocols, P7ASuperblockIsWrittenBetweenFlushesAndAlone) { check_all(check_order); }

// Canary: what must not be written is seen.
TEST_F(Protocols, WritesOutOfPlaceAndOutOfOrderAreNoticed) {
  std::vector<std::byte> block(kBlockBytes);
  Recorded places;
  ASSERT_EQ(record("write /f 0 50000; fsync /f", false, &places), "");
  uint64_t writes = 0;
  ASSERT_EQ(check_places(places, &writes), "");
  Needed needed;
  ASSERT_EQ(needed_of(*places.medium, &needed), "");
  ASSERT_TRUE(places.recording.write(BlockNo(*needed.checkpoint.begin()), block).ok());
  EXPECT_NE(check_places(places, &writes), "");

  Recorded order;
  ASSERT_EQ(record("write /f 0 50000; fsync /f", false, &order), "");
  ASSERT_TRUE(order.recording.write(BlockNo(3000), block).ok());
  ASSERT_TRUE(order.recording.write(BlockNo(diskfs::superblock_places(4096).front()), block).ok());
  EXPECT_NE(check_order(order), "");
}

}  // namespace
}  // namespace scalefs::testing
