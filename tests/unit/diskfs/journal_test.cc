// The journal's writer and reader on a memory device: the chain comes back over any number of laps,
// ends where a batch is not whole, and what stands behind the end is seen.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "diskfs/journal_reader.h"
#include "diskfs/journal_writer.h"
#include "diskfs/memory_device.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

constexpr uint64_t kFirst = 3;
constexpr uint64_t kBlocks = 32;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : device(kFirst + kBlocks + 2), writer(device, area(), 1, JournalPoint{5, 1, 0}) {}

  static JournalArea area() {
    JournalArea area;
    area.first = BlockNo(kFirst);
    area.blocks = kBlocks;
    for (size_t i = 0; i < area.uuid.size(); ++i) area.uuid[i] = static_cast<uint8_t>(i + 1);
    area.key = {11, 22};
    return area;
  }
  static std::vector<std::byte> payload(size_t size, uint64_t seed) {
    Random random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
    return bytes;
  }
  static BatchBytes batch_of(ConstBytes payload) {
    BatchBytes bytes;
    std::ranges::copy(payload, bytes.extend(payload.size()).begin());
    return bytes;
  }
  JournalPoint append(size_t size, uint64_t seed, uint64_t generation = 1) {
    const JournalPoint before = writer.point();
    BatchBytes bytes = batch_of(payload(size, seed));
    EXPECT_TRUE(writer.append(bytes, 1, generation).ok());
    return before;
  }
  JournalReader reader(JournalPoint from, uint64_t epoch = 1) {
    from.position %= kBlocks;
    return JournalReader(device, area(), epoch, from);
  }
  static size_t count(JournalReader reader) {
    size_t found = 0;
    while (true) {
      auto batch = reader.next();
      EXPECT_TRUE(batch.ok());
      if (!batch.ok() || !batch->has_value()) return found;
      ++found;
    }
  }
  void flip(uint64_t position, size_t offset) {
    std::vector<std::byte> block(kBlockBytes);
    const BlockNo at(kFirst + position % kBlocks);
    ASSERT_TRUE(device.read(at, block).ok());
    block[offset] ^= std::byte{1};
    ASSERT_TRUE(device.write(at, block).ok());
  }

  MemoryDevice device;
  JournalWriter writer;
};

TEST_F(JournalTest, BatchesComeBackOverManyLaps) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(10); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    std::vector<std::pair<JournalPoint, size_t>> live;  // batches that are not overwritten yet
    for (uint64_t i = 0; i < 100; ++i) {
      const size_t size = random.below(batch_payload_bytes_max(kBlocks) + 1);
      const JournalPoint at = append(size, i, i / 10);
      writer.note_flushed();
      live.emplace_back(at, size);
      std::erase_if(live, [&](const auto& entry) {
        return writer.point().position - entry.first.position > kBlocks;
      });
      ASSERT_FALSE(live.empty());
      JournalReader chain = reader(live.front().first);
      for (const auto& [point, bytes] : live) {
        auto batch = chain.next();
        ASSERT_TRUE(batch.ok() && batch->has_value());
        EXPECT_EQ((*batch)->header.sequence, point.sequence);
        EXPECT_EQ((*batch)->header.flushed_seq, point.sequence - 1);
        const uint64_t number = i - (live.back().first.sequence - point.sequence);
        EXPECT_EQ((*batch)->header.checkpoint_generation, number / 10);
        EXPECT_TRUE(std::ranges::equal((*batch)->payload(), payload(bytes, number)));
      }
      auto end = chain.next();
      ASSERT_TRUE(end.ok());
      EXPECT_FALSE(end->has_value());
      EXPECT_EQ(chain.point().sequence, writer.point().sequence);
      EXPECT_EQ(chain.point().previous_crc, writer.point().previous_crc);
    }
  }
}

TEST_F(JournalTest, NothingOutsideTheAreaIsWritten) {
  for (uint64_t i = 0; i < 40; ++i) append(20000, i);
  std::vector<std::byte> block(kBlockBytes);
  for (const uint64_t outside : {uint64_t{0}, kFirst - 1, kFirst + kBlocks}) {
    ASSERT_TRUE(device.read(BlockNo(outside), block).ok());
    EXPECT_TRUE(std::ranges::all_of(block, [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_F(JournalTest, AFlippedBitAnywhereEndsTheChain) {
  const JournalPoint first = append(100, 1);
  const JournalPoint second = append(9000, 2);
  append(10, 3);
  ASSERT_EQ(count(reader(first)), 3u);
  for (size_t offset = 0; offset < kBatchHeaderBytes + 9000; offset += 7) {
    flip(second.position + offset / kBlockBytes, offset % kBlockBytes);
    ASSERT_EQ(count(reader(first)), 1u) << "at " << offset;
    flip(second.position + offset / kBlockBytes, offset % kBlockBytes);
  }
  flip(second.position + 2, kBlockBytes - 1);  // padding belongs to nobody
  EXPECT_EQ(count(reader(first)), 3u);
}

TEST_F(JournalTest, ABatchOfAnotherChainIsNotTaken) {
  const JournalPoint first = append(100, 1);
  append(100, 2);
  EXPECT_EQ(count(reader(first, 2)), 0u) << "another epoch";
  JournalPoint wrong = first;
  wrong.previous_crc ^= 1;
  EXPECT_EQ(count(reader(wrong)), 0u) << "another predecessor";
  wrong = first;
  wrong.sequence += 1;
  EXPECT_EQ(count(reader(wrong)), 0u) << "another sequence";
  JournalArea other = area();
  other.uuid[3] ^= 1;
  EXPECT_EQ(count(JournalReader(device, other, 1, first)), 0u) << "another volume";
  other = area();
  other.key.k1 ^= 1;
  EXPECT_EQ(count(JournalReader(device, other, 1, first)), 0u) << "another key";
}

TEST_F(JournalTest, AHeaderElsewhereInTheAreaIsNotTaken) {
  const JournalPoint first = append(100, 1);
  std::vector<std::byte> block(kBlockBytes);
  ASSERT_TRUE(device.read(BlockNo(kFirst + first.position), block).ok());
  ASSERT_TRUE(device.write(BlockNo(kFirst + first.position + 9), block).ok());
  JournalPoint moved = first;
  moved.position += 9;
  EXPECT_EQ(count(reader(moved)), 0u);
}

TEST_F(JournalTest, BeyondTheEndLaterBatchesAreSeen) {
  const JournalPoint first = append(100, 1);
  writer.note_flushed();
  const JournalPoint second = append(100, 2);
  writer.note_flushed();
  append(100, 3, 7);
  flip(second.position, 2000);  // the payload's padding: still whole
  flip(second.position, kBatchHeaderBytes);
  JournalReader chain = reader(first);
  ASSERT_TRUE(chain.next()->has_value());
  ASSERT_FALSE(chain.next()->has_value());
  const auto beyond = chain.look_beyond();
  ASSERT_TRUE(beyond.ok());
  EXPECT_EQ(beyond->flushed_seq, 2u) << "the third batch says that the second was durable";
  EXPECT_EQ(beyond->mount_epoch, 1u);
  EXPECT_EQ(beyond->checkpoint_generation, 7u);
}

TEST_F(JournalTest, EarlierLapsAndEpochsBeyondTheEndProveNothing) {
  JournalPoint last;
  for (uint64_t i = 0; i < 50; ++i) {
    last = append(100, i, 2);
    writer.note_flushed();
  }
  flip(last.position, kBatchHeaderBytes);
  JournalReader chain = reader(last);
  ASSERT_FALSE(chain.next()->has_value());
  auto beyond = chain.look_beyond();
  ASSERT_TRUE(beyond.ok());
  // The damaged batch's own header is sealed and says that its predecessor was durable, no more.
  EXPECT_EQ(beyond->flushed_seq, last.sequence - 1);

  JournalReader later = reader(last, 2);
  ASSERT_FALSE(later.next()->has_value());
  beyond = later.look_beyond();
  ASSERT_TRUE(beyond.ok());
  EXPECT_EQ(beyond->flushed_seq, 0u) << "batches of an earlier epoch";
}

TEST_F(JournalTest, ANewerEpochBeyondTheEndIsSeen) {
  const JournalPoint first = append(100, 1);
  JournalWriter next_mount(device, area(), 2, writer.point());
  BatchBytes second = batch_of(payload(100, 2));
  ASSERT_TRUE(next_mount.append(second, 1, 3).ok());
  JournalReader chain = reader(first);
  ASSERT_TRUE(chain.next()->has_value());
  ASSERT_FALSE(chain.next()->has_value());
  const auto beyond = chain.look_beyond(1);
  ASSERT_TRUE(beyond.ok());
  EXPECT_EQ(beyond->mount_epoch, 2u);
  EXPECT_EQ(beyond->checkpoint_generation, 3u);
}

TEST_F(JournalTest, ContentThatLooksLikeAHeaderIsNoHeader) {
  // What somebody who knows the uuid but not the key can store in a file, at a block boundary.
  const JournalPoint first = append(100, 1);
  BatchHeader header;
  header.mount_epoch = 1;
  header.sequence = 9;
  header.own_block = first.position + 2;
  header.flushed_seq = 8;
  JournalArea guessed = area();
  guessed.key = {};
  std::vector<std::byte> content(2 * kBlockBytes - kBatchHeaderBytes + kBlockBytes);
  encode_batch_header(guessed, header, Bytes(content).subspan(kBlockBytes - kBatchHeaderBytes));
  BatchBytes bytes = batch_of(content);
  ASSERT_TRUE(writer.append(bytes, 1, 1).ok());
  flip(first.position + 1, 0);
  JournalReader chain = reader(first);
  ASSERT_TRUE(chain.next()->has_value());
  ASSERT_FALSE(chain.next()->has_value());
  EXPECT_EQ(chain.look_beyond()->flushed_seq, 0u);
}

TEST_F(JournalTest, RandomBytesInTheAreaNeverCrash) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    for (uint64_t i = 0; i < kBlocks; ++i) {
      std::vector<std::byte> block = payload(kBlockBytes, seed * 1000 + i);
      // A sealed header whose numbers are nonsense: only somebody with the key writes one.
      BatchHeader header;
      header.mount_epoch = random.percent(50) ? 1 : random.next();
      header.sequence = random.percent(50) ? i : random.next();
      header.own_block = random.percent(50) ? i : random.next();
      header.payload_bytes = 4000;
      encode_batch_header(area(), header, block);
      const uint32_t length = static_cast<uint32_t>(random.next() >> random.below(64));
      store_le(block.data() + batch_offset::payload_bytes, length);
      store_le(block.data() + batch_offset::seal,
               siphash24(area().key, block.data(), batch_offset::seal));
      ASSERT_TRUE(device.write(BlockNo(kFirst + i), block).ok());
    }
    JournalReader chain = reader({random.below(kBlocks), random.below(kBlocks), 0});
    while (true) {
      auto batch = chain.next();
      ASSERT_TRUE(batch.ok());
      if (!batch->has_value()) break;
    }
    EXPECT_TRUE(chain.look_beyond().ok());
  }
}

}  // namespace
}  // namespace scalefs::diskfs
