// The batch codec: what goes in comes out, and bytes that no encoder wrote are refused.
#include "diskfs/batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/random.h"
#include "tests/support/seeds.h"

namespace scalefs::diskfs {
namespace {

std::string text(ConstBytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out += kDigits[static_cast<unsigned>(b) >> 4];
    out += kDigits[static_cast<unsigned>(b) & 15];
  }
  return out;
}

// Writes every operation down as a line, and encodes it again.
class Recorder : public BatchVisitor {
 public:
  std::vector<std::string> lines;
  Batch again;

  Status put_inode(Ino ino, const InodeItem& i) override {
    again.put_inode(ino, i);
    return add(fmt::format("put_inode {} {} {:o} {} {} {} {} {} {} {} | {} {} {} {} | {} {} {} {}",
                           ino.v, i.mnode.v, i.mode, i.flags, i.uid, i.gid, i.nlink, i.generation,
                           i.rdev, i.size, i.atime_ns, i.mtime_ns, i.ctime_ns, i.btime_ns,
                           i.parent_mnode.v, i.parent_ino.v, i.blocks, i.entries));
  }
  Status delete_inode(Ino ino) override {
    again.delete_inode(ino);
    return add(fmt::format("delete_inode {}", ino.v));
  }
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const DirentTarget& t) override {
    again.put_dirent(dir, hash, name, t);
    return add(fmt::format("put_dirent {} {:x} {} {} {} {}", dir.v, hash, name, t.ino.v, t.mnode.v,
                           t.type));
  }
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override {
    again.del_dirent(dir, hash, name);
    return add(fmt::format("del_dirent {} {:x} {}", dir.v, hash, name));
  }
  Status put_extent(Ino ino, uint64_t page, BlockNo first,
                    std::span<const uint32_t> crcs) override {
    again.put_extent(ino, page, first, crcs);
    return add(fmt::format("put_extent {} {} {} {}", ino.v, page, first.v,
                           text(std::as_bytes(crcs))));
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    again.put_unwritten(ino, page, count);
    return add(fmt::format("put_unwritten {} {} {}", ino.v, page, count));
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    again.put_inline(ino, page, content);
    return add(fmt::format("put_inline {} {} {}", ino.v, page, text(content)));
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    again.punch(ino, from, to);
    return add(fmt::format("punch {} {} {}", ino.v, from, to));
  }
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override {
    again.put_xattr(ino, name, value);
    return add(fmt::format("put_xattr {} {} {}", ino.v, name, text(value)));
  }
  Status del_xattr(Ino ino, std::string_view name) override {
    again.del_xattr(ino, name);
    return add(fmt::format("del_xattr {} {}", ino.v, name));
  }
  Status put_orphan(Ino ino) override {
    again.put_orphan(ino);
    return add(fmt::format("put_orphan {}", ino.v));
  }
  Status del_orphan(Ino ino) override {
    again.del_orphan(ino);
    return add(fmt::format("del_orphan {}", ino.v));
  }
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override {
    again.set_mnode_mark(slot, counter);
    return add(fmt::format("set_mnode_mark {} {}", slot, counter));
  }

 private:
  Status add(std::string line) {
    lines.push_back(std::move(line));
    return {};
  }
};

std::vector<std::byte> random_bytes(Random& random, size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

// Numbers of every length, the ends of the range among them.
uint64_t random_number(Random& random, uint64_t low, uint64_t high) {
  if (random.percent(10)) return low;
  if (random.percent(10)) return high;
  const uint64_t value = random.next() >> random.below(64);
  return value >= low && value <= high ? value : random.between(low, high);
}

std::string random_name(Random& random) {
  std::string name(1 + random.below(random.percent(10) ? 255 : 12), 'x');
  for (char& c : name) c = static_cast<char>('a' + random.below(26));
  return name;
}

InodeItem random_inode(Random& random) {
  InodeItem i;
  const auto u32 = [&] { return static_cast<uint32_t>(random_number(random, 0, UINT32_MAX)); };
  const auto u64 = [&] { return random.percent(30) ? 0 : random_number(random, 0, UINT64_MAX); };
  i.mnode = MnodeNo(random_number(random, 0, kMnodeNoLimit - 1));
  i.mode = u32();
  if (random.percent(50)) i.flags = u32();
  if (random.percent(50)) i.uid = u32();
  if (random.percent(50)) i.gid = u32();
  if (random.percent(90)) i.nlink = u32();
  if (random.percent(50)) i.generation = u32();
  i.rdev = u64();
  i.size = u64();
  i.btime_ns = static_cast<int64_t>(u64());
  i.mtime_ns = random.percent(50) ? i.btime_ns : static_cast<int64_t>(u64());
  i.ctime_ns = random.percent(50) ? i.mtime_ns : static_cast<int64_t>(u64());
  i.atime_ns = random.percent(10) ? std::numeric_limits<int64_t>::min()
                                  : static_cast<int64_t>(u64());
  if (random.percent(30)) {
    i.parent_mnode = MnodeNo(random_number(random, 0, kMnodeNoLimit - 1));
    i.parent_ino = Ino(random_number(random, 0, (uint64_t{1} << 48) - 1));
  }
  return i;
}

// Adds one random operation, through `sink`, which is a Recorder: its batch is the encoding under
// test, its lines are what a decoder has to see.
void random_operation(Random& random, Recorder& sink) {
  const Ino ino(random_number(random, 1, (uint64_t{1} << 48) - 1));
  const uint64_t pages = uint64_t{1} << 32;
  Status status;
  switch (random.below(13)) {
    case 0: status = sink.put_inode(ino, random_inode(random)); break;
    case 1: status = sink.delete_inode(ino); break;
    case 2:
      status = sink.put_dirent(ino, random.next(), random_name(random),
                               {Ino(random_number(random, 1, 1u << 31)),
                                MnodeNo(random_number(random, 1, kMnodeNoLimit - 1)),
                                static_cast<uint8_t>(random.below(16))});
      break;
    case 3: status = sink.del_dirent(ino, random.next(), random_name(random)); break;
    case 4: {
      std::vector<uint32_t> crcs(random.between(1, Batch::kExtentBlocksMax));
      for (uint32_t& crc : crcs) crc = static_cast<uint32_t>(random.next());
      status = sink.put_extent(ino, random_number(random, 0, pages - crcs.size()),
                               BlockNo(random_number(random, 1, (pages << 2) - crcs.size())), crcs);
      break;
    }
    case 5: {
      const uint64_t page = random_number(random, 0, pages - 1);
      status = sink.put_unwritten(ino, page, random_number(random, 1, pages - page));
      break;
    }
    case 6:
      status = sink.put_inline(ino, random_number(random, 0, pages - 1),
                               random_bytes(random, random_number(random, 0, kBlockBytes)));
      break;
    case 7: {
      const uint64_t from = random_number(random, 0, pages - 1);
      status = sink.punch(ino, from,
                          random.percent(40) ? UINT64_MAX
                                             : random_number(random, from + 1, pages));
      break;
    }
    case 8:
      status = sink.put_xattr(
          ino, random_name(random),
          random_bytes(random, random.below(random.percent(2) ? kXattrValueBytesMax + 1 : 100)));
      break;
    case 9: status = sink.del_xattr(ino, random_name(random)); break;
    case 10: status = sink.put_orphan(ino); break;
    case 11: status = sink.del_orphan(ino); break;
    default:
      status = sink.set_mnode_mark(static_cast<uint32_t>(random.below(1024)),
                                   random_number(random, 0, uint64_t{1} << 43));
  }
  ASSERT_TRUE(status.ok());
}

// Decodes bytes that may be damaged. Whatever is accepted must be exactly what an encoder writes.
void check_damaged(const std::vector<std::byte>& bytes) {
  Recorder seen;
  const Status status = visit_batch(bytes, seen);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), EUCLEAN);
    return;
  }
  EXPECT_TRUE(std::ranges::equal(seen.again.bytes(), bytes)) << text(bytes);
}

TEST(BatchTest, RandomOperationsComeBackAsTheyWere) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(50); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    Recorder sink;
    const size_t count = random.between(1, 200);
    for (size_t i = 0; i < count; ++i) random_operation(random, sink);
    EXPECT_EQ(sink.again.op_count(), count);
    Recorder seen;
    ASSERT_TRUE(visit_batch(sink.again.bytes(), seen).ok());
    ASSERT_EQ(seen.lines, sink.lines);
    EXPECT_EQ(text(seen.again.bytes()), text(sink.again.bytes()));
  }
}

TEST(BatchTest, BlocksAndEntriesOfAnInodeAreNotCarried) {
  InodeItem item;
  item.mode = 0100644;
  item.blocks = 7;
  item.entries = 9;
  Batch batch;
  batch.put_inode(Ino(5), item);
  Recorder seen;
  ASSERT_TRUE(visit_batch(batch.bytes(), seen).ok());
  item.blocks = item.entries = 0;
  Recorder expected;
  ASSERT_TRUE(expected.put_inode(Ino(5), item).ok());
  EXPECT_EQ(seen.lines, expected.lines);
}

TEST(BatchTest, EveryTruncationIsRefusedOrEndsBetweenOperations) {
  Random random(7);
  Recorder sink;
  std::vector<size_t> boundaries{0};
  for (size_t i = 0; i < 40; ++i) {
    random_operation(random, sink);
    boundaries.push_back(sink.again.size_bytes());
  }
  const ConstBytes all = sink.again.bytes();
  for (size_t size = 0; size < all.size(); ++size) {
    Recorder seen;
    const Status status = visit_batch(all.first(size), seen);
    const bool between = std::find(boundaries.begin(), boundaries.end(), size) != boundaries.end();
    ASSERT_EQ(status.code(), between ? 0 : EUCLEAN) << "at " << size;
  }
}

TEST(BatchTest, EveryFlippedBitIsRefusedOrStillCanonical) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(3); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    Recorder sink;
    while (sink.again.size_bytes() < 800) random_operation(random, sink);
    std::vector<std::byte> bytes(sink.again.bytes().begin(), sink.again.bytes().end());
    bytes.resize(std::min<size_t>(bytes.size(), 800));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      check_damaged(bytes);
      bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    }
  }
}

TEST(BatchTest, RandomBytesNeverCrash) {
  Random random(11);
  for (size_t round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes = random_bytes(random, random.below(60));
    if (!bytes.empty()) bytes[0] = static_cast<std::byte>(random.below(15));
    check_damaged(bytes);
  }
}

TEST(BatchTest, FieldsBeyondTheirRangeAreRefused) {
  const auto refused = [](std::initializer_list<unsigned> values) {
    std::vector<std::byte> bytes;
    for (const unsigned v : values) bytes.push_back(static_cast<std::byte>(v));
    Recorder seen;
    return visit_batch(bytes, seen).code() == EUCLEAN && seen.lines.empty();
  };
  EXPECT_FALSE(refused({2, 1}));                       // delete_inode 1: the frame itself is fine
  EXPECT_TRUE(refused({0}));                           // no such operation
  EXPECT_TRUE(refused({14, 1}));
  EXPECT_TRUE(refused({2, 0}));                        // ino 0
  EXPECT_TRUE(refused({2, 0x81, 0}));                  // 1 in two bytes
  EXPECT_TRUE(refused({2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2}));
  EXPECT_TRUE(refused({4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));                      // empty name
  EXPECT_TRUE(refused({4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, '.'}));
  EXPECT_TRUE(refused({4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'a', '/'}));
  EXPECT_TRUE(refused({4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'a', 0}));
  EXPECT_TRUE(refused({5, 1, 0, 0, 1}));               // an extent of no blocks
  EXPECT_TRUE(refused({5, 1, 0, 1, 0, 1, 2, 3, 4}));   // at block 0
  EXPECT_TRUE(refused({6, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 2}));  // beyond the last page
  EXPECT_TRUE(refused({7, 1, 0, 0x81, 0x20}));         // 4097 inline bytes
  EXPECT_TRUE(refused({13, 0x80, 8, 1}));              // slot 1024
  EXPECT_TRUE(refused({1, 1, 1, 1, 1, 0}));            // nlink present but zero
  EXPECT_TRUE(refused({1, 1, 0x80, 0x40, 1, 1, 1}));   // mask bit 13
}

TEST(BatchTest, AVisitorsErrorEndsTheWalk) {
  class Stops : public Recorder {
   public:
    Status put_orphan(Ino) override { return Errno(ENOSPC); }
  };
  Batch batch;
  batch.delete_inode(Ino(3));
  batch.put_orphan(Ino(4));
  batch.delete_inode(Ino(5));
  Stops visitor;
  EXPECT_EQ(visit_batch(batch.bytes(), visitor).code(), ENOSPC);
  EXPECT_EQ(visitor.lines.size(), 1u);
}

TEST(BatchTest, ACreateTakesLessThanTwoHundredBytes) {
  const int64_t now = 1'760'000'000'123'456'789;
  InodeItem file;
  file.mnode = MnodeNo(kMnodeNoLimit - 1);
  file.mode = 0100644;
  file.uid = file.gid = 1000;
  file.nlink = 1;
  file.generation = 0xdeadbeef;
  file.btime_ns = file.mtime_ns = file.ctime_ns = file.atime_ns = now;
  InodeItem dir = file;
  dir.mode = 040755;
  dir.nlink = 1000;
  dir.btime_ns = now - 86'400'000'000'000;
  dir.atime_ns = now - 3'600'000'000'000;
  dir.parent_mnode = MnodeNo(kMnodeNoLimit - 2);
  dir.parent_ino = Ino(1u << 31);
  Batch batch;
  batch.put_inode(Ino(1u << 31), file);
  batch.put_dirent(Ino(1u << 30), UINT64_MAX, "0123456789", {Ino(1u << 31), file.mnode, 8});
  batch.put_inode(Ino(1u << 30), dir);
  EXPECT_LT(batch.size_bytes(), 160u);
}

}  // namespace
}  // namespace scalefs::diskfs
