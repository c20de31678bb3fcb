// File data without a backend: every call, its edges, and random histories against a reference.
#include <functional>

#include "base/epoch.h"
#include "base/memory.h"
#include "tests/support/file_model.h"
#include "tests/unit/memfs/memory_fs.h"
#include "tests/support/seeds.h"

namespace scalefs::memfs {
namespace {

class DataMemoryTest : public MemoryFsTest {
 protected:
  std::string read(MnodeNo f, uint64_t offset, size_t size) {
    std::string text(size, '?');
    const auto got = fs_.read(f, offset, Bytes(reinterpret_cast<std::byte*>(text.data()), size));
    EXPECT_EQ(got.code(), 0);
    text.resize(got.ok() ? *got : 0);
    return text;
  }
  Result<size_t> write(MnodeNo f, uint64_t offset, std::string_view text) {
    return fs_.write(f, offset, as_bytes(text));
  }
  static ConstBytes as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
  }
};

TEST_F(DataMemoryTest, ReadsWhatWasWritten) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(read(f, 0, 10), "");
  EXPECT_EQ(*write(f, 0, "hello"), 5u);
  EXPECT_EQ(read(f, 0, 100), "hello");
  EXPECT_EQ(read(f, 2, 2), "ll");
  EXPECT_EQ(read(f, 5, 10), "");
  EXPECT_EQ(read(f, 1000, 10), "");
  EXPECT_EQ(stat(f).size, 5u);
  EXPECT_EQ(stat(f).blocks, 8u);
}

TEST_F(DataMemoryTest, AHoleReadsAsZerosAndTakesNoBlocks) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(*write(f, 1 << 20, "x"), 1u);
  EXPECT_EQ(read(f, (1 << 20) - 3, 10), std::string("\0\0\0x", 4));
  EXPECT_EQ(read(f, 0, 5000), std::string(5000, '\0'));
  EXPECT_EQ(stat(f).blocks, 8u);
}

TEST_F(DataMemoryTest, WritesOfNothingChangeNothing) {
  const MnodeNo f = file(kRootMnode, "f");
  const Attr before = stat(f);
  EXPECT_EQ(*write(f, 77, ""), 0u);
  EXPECT_EQ(*fs_.append(f, {}), 0u);
  EXPECT_EQ(stat(f), before);
}

TEST_F(DataMemoryTest, TheLargestFile) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(*write(f, kFileBytesMax - 3, "abcdef"), 3u) << "the part that fits";
  EXPECT_EQ(read(f, kFileBytesMax - 3, 10), "abc");
  EXPECT_EQ(read(f, kFileBytesMax, 10), "");
  EXPECT_EQ(read(f, UINT64_MAX, 10), "");
  EXPECT_EQ(stat(f).size, kFileBytesMax);
  EXPECT_EQ(write(f, kFileBytesMax, "x").code(), EFBIG);
  EXPECT_EQ(write(f, UINT64_MAX, "x").code(), EFBIG);
  EXPECT_EQ(fs_.append(f, as_bytes("x")).code(), EFBIG);
  EXPECT_EQ(fs_.setattr(f, to_size(kFileBytesMax + 1)).code(), EFBIG);
  EXPECT_EQ(fs_.allocate(f, AllocateMode::allocate, kFileBytesMax, 1).code(), EFBIG);
  EXPECT_EQ(fs_.allocate(f, AllocateMode::allocate, 1, UINT64_MAX).code(), EFBIG);
  EXPECT_EQ(*fs_.seek(f, 0, SeekMode::data), kFileBytesMax - kBlockBytes);
  EXPECT_EQ(*fs_.seek(f, 0, SeekMode::hole), 0u);
}

TEST_F(DataMemoryTest, OtherTypesAreRefused) {
  const MnodeNo d = dir(kRootMnode, "d");
  const MnodeNo l = made(fs_.symlink(kRootMnode, "l", "target", caller_));
  const MnodeNo p = made(fs_.mknod(kRootMnode, "p", S_IFIFO | 0600, 0, caller_));
  std::byte byte{};
  for (const auto& [object, error] : {std::pair{d, EISDIR}, std::pair{l, EINVAL},
                                      std::pair{p, EINVAL}, std::pair{MnodeNo(77777), ESTALE}}) {
    EXPECT_EQ(fs_.read(object, 0, Bytes(&byte, 1)).code(), error);
    EXPECT_EQ(write(object, 0, "x").code(), error);
    EXPECT_EQ(fs_.append(object, as_bytes("x")).code(), error);
    EXPECT_EQ(fs_.allocate(object, AllocateMode::allocate, 0, 1).code(), error);
    EXPECT_EQ(fs_.seek(object, 0, SeekMode::data).code(), error);
    EXPECT_EQ(fs_.copy_range(object, 0, object, 10, 1).code(), error);
  }
}

TEST_F(DataMemoryTest, TruncationZeroesWhatComesBack) {
  const MnodeNo f = file(kRootMnode, "f");
  const std::string text(10000, 'x');
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{4095}, uint64_t{4096},
                              uint64_t{4097}, uint64_t{8192}, uint64_t{9999}}) {
    SCOPED_TRACE(size);
    EXPECT_EQ(*write(f, 0, text), text.size());
    EXPECT_EQ(fs_.setattr(f, to_size(size)).code(), 0);
    EXPECT_EQ(stat(f).blocks, (size + 4095) / 4096 * 8);
    EXPECT_EQ(fs_.setattr(f, to_size(20000)).code(), 0);
    EXPECT_EQ(read(f, 0, 30000), std::string(size, 'x') + std::string(20000 - size, '\0'));
  }
}

TEST_F(DataMemoryTest, ASparseGiantIsCutAtOnce) {
  const MnodeNo f = file(kRootMnode, "f");
  for (uint64_t i = 0; i < 40; ++i)
    EXPECT_EQ(*write(f, i * (kFileBytesMax / 41), "x"), 1u);
  EXPECT_EQ(stat(f).blocks, 40u * 8);
  EXPECT_EQ(fs_.setattr(f, to_size(1)).code(), 0);
  EXPECT_EQ(stat(f).blocks, 8u);
  EXPECT_EQ(fs_.setattr(f, to_size(0)).code(), 0);
  EXPECT_EQ(stat(f).blocks, 0u);
}

TEST_F(DataMemoryTest, PunchingAPartOfAPageKeepsThePage) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(*write(f, 0, std::string(3 * 4096, 'x')), 3u * 4096);
  EXPECT_EQ(fs_.allocate(f, AllocateMode::punch_hole, 10, 20).code(), 0);
  EXPECT_EQ(stat(f).blocks, 24u);
  EXPECT_EQ(read(f, 9, 22), "x" + std::string(20, '\0') + "x");
  EXPECT_EQ(fs_.allocate(f, AllocateMode::punch_hole, 4000, 8000).code(), 0);
  EXPECT_EQ(stat(f).blocks, 16u);
  EXPECT_EQ(*fs_.seek(f, 0, SeekMode::hole), 4096u);
  EXPECT_EQ(*fs_.seek(f, 4096, SeekMode::data), 8192u);
  EXPECT_EQ(stat(f).size, 3u * 4096);
}

TEST_F(DataMemoryTest, AllocatedPagesCountAndAreHolesToSeek) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(fs_.allocate(f, AllocateMode::allocate_keep_size, 0, 10 * 4096).code(), 0);
  EXPECT_EQ(stat(f).size, 0u);
  EXPECT_EQ(stat(f).blocks, 80u);
  EXPECT_EQ(fs_.allocate(f, AllocateMode::allocate, 4096, 4096).code(), 0);
  EXPECT_EQ(stat(f).size, 8192u);
  EXPECT_EQ(stat(f).blocks, 80u);
  EXPECT_EQ(fs_.seek(f, 0, SeekMode::data).code(), ENXIO);
  EXPECT_EQ(*write(f, 4096, "x"), 1u);
  EXPECT_EQ(stat(f).blocks, 80u);
  EXPECT_EQ(*fs_.seek(f, 0, SeekMode::data), 4096u);
  EXPECT_EQ(fs_.allocate(f, AllocateMode::allocate, 0, 0).code(), EINVAL);
  EXPECT_EQ(fs_.setattr(f, to_size(8192)).code(), 0);
  EXPECT_EQ(stat(f).blocks, 16u) << "what stood behind the end is given back";
}

TEST_F(DataMemoryTest, SeekAtAndBehindTheEnd) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(fs_.seek(f, 0, SeekMode::data).code(), ENXIO);
  EXPECT_EQ(fs_.seek(f, 0, SeekMode::hole).code(), ENXIO);
  EXPECT_EQ(*write(f, 0, "12345"), 5u);
  EXPECT_EQ(*fs_.seek(f, 4, SeekMode::data), 4u);
  EXPECT_EQ(*fs_.seek(f, 0, SeekMode::hole), 5u);
  EXPECT_EQ(fs_.seek(f, 5, SeekMode::hole).code(), ENXIO);
}

TEST_F(DataMemoryTest, CopiesBetweenFilesAndRefusesOverlap) {
  const MnodeNo a = file(kRootMnode, "a");
  const MnodeNo b = file(kRootMnode, "b");
  std::string text;
  for (int i = 0; i < 300000; ++i) text += static_cast<char>('a' + i % 23);
  EXPECT_EQ(*write(a, 0, text), text.size());
  EXPECT_EQ(*fs_.copy_range(a, 1000, b, 77, 1 << 20), text.size() - 1000);
  EXPECT_EQ(read(b, 77, 1 << 20), text.substr(1000));
  EXPECT_EQ(fs_.copy_range(a, 0, a, 100, 200).code(), EINVAL);
  EXPECT_EQ(*fs_.copy_range(a, 0, a, 400000, 200), 200u);
  EXPECT_EQ(*fs_.copy_range(a, 1 << 20, b, 0, 1), 0u);
}

TEST_F(DataMemoryTest, AppendsTellWhereTheyWent) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(*fs_.append(f, as_bytes("abc")), 0u);
  EXPECT_EQ(*fs_.append(f, as_bytes(std::string(300000, 'x'))), 3u);
  EXPECT_EQ(*fs_.append(f, as_bytes("end")), 300003u);
  EXPECT_EQ(read(f, 300000, 100), "xxxend");
}

TEST_F(DataMemoryTest, WritesChangeTimesAndReadsTouchAtime) {
  const MnodeNo f = file(kRootMnode, "f");
  set_wall_for_test(stat(f).ctime_ns + 1'000'000'000);
  EXPECT_EQ(*write(f, 0, "x"), 1u);
  const Attr written = stat(f);
  EXPECT_EQ(written.mtime_ns, written.ctime_ns);
  set_wall_for_test(written.mtime_ns + 1'000'000'000);
  EXPECT_EQ(read(f, 0, 1), "x");
  EXPECT_EQ(stat(f).atime_ns, written.mtime_ns + 1'000'000'000);
  EXPECT_EQ(stat(f).mtime_ns, written.mtime_ns);
  // An explicit time in the past, then a write.
  SetAttr past;
  past.mtime_ns = 5;
  EXPECT_EQ(fs_.setattr(f, past).code(), 0);
  EXPECT_EQ(stat(f).mtime_ns, 5);
  EXPECT_EQ(*write(f, 0, "y"), 1u);
  EXPECT_EQ(stat(f).mtime_ns, written.mtime_ns + 1'000'000'000);
  // One in the future, and each call that changes data.
  int64_t now = written.mtime_ns + 2'000'000'000;
  SetAttr size;
  size.size = 9;
  for (const std::function<bool()>& change : std::vector<std::function<bool()>>{
           [&] { return write(f, 3, "z").ok(); }, [&] { return fs_.append(f, as_bytes("a")).ok(); },
           [&] { return fs_.setattr(f, size).ok(); },
           [&] { return fs_.allocate(f, AllocateMode::punch_hole, 0, 4096).ok(); }}) {
    SetAttr future;
    future.mtime_ns = now + 3'000'000'000;
    EXPECT_EQ(fs_.setattr(f, future)->mtime_ns, *future.mtime_ns);
    set_wall_for_test(now += 1000);
    EXPECT_TRUE(change());
    EXPECT_EQ(stat(f).mtime_ns, now);
  }
  set_wall_for_test(-1);
}

TEST_F(DataMemoryTest, AWriteDropsSetIdBitsWhenAsked) {
  const MnodeNo f = file(kRootMnode, "f", 0);
  SetAttr privileged;
  privileged.mode = 06755;
  EXPECT_EQ(fs_.setattr(f, privileged).code(), 0);
  EXPECT_EQ(fs_.write(f, 0, as_bytes("x"), false).code(), 0);
  EXPECT_EQ(stat(f).mode & 07777, 06755u);
  EXPECT_EQ(fs_.write(f, 0, as_bytes("x"), true).code(), 0);
  EXPECT_EQ(stat(f).mode & 07777, 0755u);
}

TEST_F(DataMemoryTest, PagesAreFreedWithTheFile) {
  settle();
  epoch::drain();
  const int64_t before = memory_bytes(MemoryClass::page);
  const int64_t tree = memory_bytes(MemoryClass::page_tree);
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(*write(f, 0, std::string(1 << 20, 'x')), 1u << 20);
  EXPECT_EQ(memory_bytes(MemoryClass::page) - before, 1 << 20);
  EXPECT_EQ(fs_.usage().page_bytes, 1u << 20);
  EXPECT_EQ(fs_.unlink(kRootMnode, "f").code(), 0);
  fs_.forget(f, 1);
  settle();
  epoch::drain();
  EXPECT_EQ(memory_bytes(MemoryClass::page), before);
  EXPECT_EQ(memory_bytes(MemoryClass::page_tree), tree);
  EXPECT_EQ(fs_.usage().page_bytes, 0u);
}

TEST_F(DataMemoryTest, RandomHistoriesAgainstTheReference) {
  for (uint64_t seed = 1; seed <= testing::seeds_of(30); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Random random(seed);
    const MnodeNo f = file(kRootMnode, "f" + std::to_string(seed));
    ModelledFile modelled(fs_, f, random, seed % 2 ? 20 * kBlockBytes : 300 * kBlockBytes);
    for (int i = 0; i < 300; ++i) {
      SCOPED_TRACE(::testing::Message() << "step " << i);
      modelled.step();
      modelled.check_attributes();
      if (i % 50 == 0) modelled.check_all();
      if (HasFatalFailure()) return;
    }
    modelled.check_all();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace scalefs::memfs
