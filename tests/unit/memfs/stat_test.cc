// What stat tells at once after a call, on every core: link counts, size, blocks and times. The times of
// each call are its own, so that a stale one cannot look right.
#include <algorithm>

#include "base/core.h"
#include "tests/unit/memfs/memory_fs.h"

namespace scalefs::memfs {
namespace {

constexpr uint32_t kCores = 8;
constexpr int64_t kSecond = 1'000'000'000;

// What a call does to an object that existed before it.
struct Effect {
  MnodeNo object;
  int nlink = 0;            // added
  int64_t size = -1;        // afterwards; -1: as before
  int64_t blocks_512 = 0;   // added
  bool mtime = false;       // becomes the time of the call; else as before
  bool ctime = false;
};

// A base, so that the file system is made for these cores and ends before they do.
class CoresBeforeFs {
 protected:
  CoresBeforeFs() : cores_(core_count()) { set_core_count_for_test(kCores); }
  ~CoresBeforeFs() {
    set_thread_core(-1);
    set_wall_for_test(-1);
    set_core_count_for_test(cores_);
  }

 private:
  const uint32_t cores_;
};

class StatTest : private CoresBeforeFs, public MemoryFsTest {
 protected:
  StatTest() {
    start(0);
    d_ = dir(kRootMnode, "d");
    e_ = dir(kRootMnode, "e");
    f_ = file(d_, "f");
    g_ = file(d_, "g");
    sub_ = dir(d_, "sub");
    const std::vector<std::byte> bytes(3 * kBlockBytes, std::byte{1});
    EXPECT_EQ(fs_.write(f_, 0, bytes).code(), 0);
    EXPECT_EQ(fs_.write(g_, 0, ConstBytes(bytes).first(kBlockBytes)).code(), 0);
  }

  void start(uint32_t core) {
    set_thread_core(static_cast<int32_t>(core));
    now_ += kSecond;
    set_wall_for_test(now_);
  }

  // Makes the call on `core` and looks from all of them.
  template <class Call>
  void after(uint32_t core, Call call, const std::vector<Effect>& effects) {
    SCOPED_TRACE(::testing::Message() << "core " << core);
    std::vector<Attr> expected;
    for (const MnodeNo object : {kRootMnode, d_, e_, f_, g_, sub_}) expected.push_back(stat(object));
    start(core);
    ASSERT_EQ(call(), 0);
    for (const Effect& effect : effects) {
      const auto found = std::find_if(expected.begin(), expected.end(),
                                      [&](const Attr& a) { return a.mnode == effect.object; });
      ASSERT_NE(found, expected.end());
      Attr& attr = *found;
      attr.nlink += static_cast<uint32_t>(effect.nlink);
      if (effect.size >= 0) attr.size = static_cast<uint64_t>(effect.size);
      attr.blocks += static_cast<uint64_t>(effect.blocks_512);
      if (effect.mtime) attr.mtime_ns = now_;
      if (effect.ctime) attr.ctime_ns = now_;
    }
    for (uint32_t looking = 0; looking < kCores; ++looking) {
      set_thread_core(static_cast<int32_t>(looking));
      size_t i = 0;
      for (const Attr& attr : expected) {
        SCOPED_TRACE(::testing::Message() << "object " << i++ << " from core " << looking);
        const Attr is = stat(attr.mnode);
        EXPECT_EQ(is.nlink, attr.nlink);
        EXPECT_EQ(is.size, attr.size);
        EXPECT_EQ(is.blocks, attr.blocks);
        EXPECT_EQ(is.mtime_ns, attr.mtime_ns);
        EXPECT_EQ(is.ctime_ns, attr.ctime_ns);
      }
    }
    set_thread_core(static_cast<int32_t>(core));
  }

  Effect names_of(MnodeNo directory, int nlink = 0) {
    return {.object = directory, .nlink = nlink, .mtime = true, .ctime = true};
  }
  Effect counted(MnodeNo object, int nlink) {
    return {.object = object, .nlink = nlink, .ctime = true};
  }
  int write_bytes(MnodeNo object, uint64_t offset, size_t size) {
    const std::vector<std::byte> bytes(size, std::byte{2});
    const auto written = fs_.write(object, offset, bytes);
    return written.ok() && *written != size ? -1 : written.code();
  }
  int rename(MnodeNo from, std::string_view name, MnodeNo to, std::string_view other,
             RenameMode mode = RenameMode::replace) {
    return fs_.rename(from, name, to, other, mode, caller_).code();
  }

  int64_t now_ = 1'700'000'000 * kSecond;
  MnodeNo d_, e_, f_, g_, sub_;
};

TEST_F(StatTest, NamesAreCountedAtOnce) {
  for (uint32_t core = 0; core < kCores; ++core) {
    const std::string number = std::to_string(core);
    const std::string a = "a" + number, b = "b" + number, c = "c" + number;
    const auto on = [&](auto call, std::vector<Effect> effects) {
      after((core + effects.size()) % kCores, call, std::move(effects));
    };
    on([&] { return code(fs_.create(d_, a, 0644, true, caller_)); }, {names_of(d_)});
    on([&] { return code(fs_.mkdir(d_, b, 0755, caller_)); }, {names_of(d_, 1)});
    on([&] { return code(fs_.symlink(e_, c, "target", caller_)); }, {names_of(e_)});
    on([&] { return code(fs_.link(f_, e_, "link" + number)); }, {names_of(e_), counted(f_, 1)});
    on([&] { return rename(d_, a, e_, a); }, {names_of(d_), names_of(e_)});
    on([&] { return rename(d_, b, e_, b); }, {names_of(d_, -1), names_of(e_, 1)});
    on([&] { return rename(e_, a, e_, "link" + number); }, {names_of(e_), counted(f_, -1)});
    on([&] { return rename(e_, b, e_, c, RenameMode::exchange); }, {names_of(e_)});
    on([&] { return fs_.unlink(e_, b).code(); }, {names_of(e_)});
    on([&] { return fs_.rmdir(e_, c).code(); }, {names_of(e_, -1)});
    on([&] { return fs_.unlink(e_, "link" + number).code(); }, {names_of(e_)});
  }
}

TEST_F(StatTest, ManyCoresLinkAndUnlinkOneFile) {
  for (int round = 0; round < 3; ++round) {
    for (uint32_t core = 0; core < kCores; ++core) {
      after(core, [&] { return code(fs_.link(f_, e_, "l" + std::to_string(core))); },
            {names_of(e_), counted(f_, 1)});
    }
    // Not by the core that made the name.
    for (uint32_t core = 0; core < kCores; ++core) {
      const std::string name = "l" + std::to_string((core + 3) % kCores);
      after(core, [&] { return fs_.unlink(e_, name).code(); }, {names_of(e_), counted(f_, -1)});
    }
    settle();
  }
}

TEST_F(StatTest, SizesAndBlocksAreThereAtOnce) {
  constexpr int64_t kBlock = kBlockBytes, kSectors = kBlockBytes / 512;
  const auto written = [&](int64_t size, int64_t sectors) {
    return Effect{.object = f_, .size = size, .blocks_512 = sectors, .mtime = true, .ctime = true};
  };
  after(1, [&] { return write_bytes(f_, 0, 10); }, {written(3 * kBlock, 0)});
  after(2, [&] { return write_bytes(f_, 3 * kBlock, 100); }, {written(3 * kBlock + 100, kSectors)});
  after(3, [&] { return write_bytes(f_, 9 * kBlock, 1); }, {written(9 * kBlock + 1, kSectors)});
  after(4,
        [&] {
          const std::vector<std::byte> bytes(7, std::byte{3});
          return fs_.append(f_, bytes).code();
        },
        {written(9 * kBlock + 8, 0)});
  after(5, [&] { return fs_.allocate(f_, AllocateMode::punch_hole, 0, 2 * kBlockBytes).code(); },
        {written(-1, -2 * kSectors)});
  after(6, [&] { return fs_.copy_range(g_, 0, f_, 0, kBlockBytes).code(); }, {written(-1, kSectors)});
  SetAttr change;
  change.size = 1;
  after(7, [&] { return fs_.setattr(f_, change).code(); }, {written(1, -3 * kSectors)});
  change.size = uint64_t{1} << 40;
  after(0, [&] { return fs_.setattr(f_, change).code(); }, {written(int64_t{1} << 40, 0)});
}

TEST_F(StatTest, ManyCoresWriteOneFile) {
  for (uint32_t round = 0; round < 3; ++round) {
    for (uint32_t core = 0; core < kCores; ++core) {
      const int64_t end = (3 + round * kCores + core + 1) * int64_t{kBlockBytes};
      after(core, [&] { return write_bytes(f_, static_cast<uint64_t>(end) - kBlockBytes, kBlockBytes); },
            {{.object = f_, .size = end, .blocks_512 = kBlockBytes / 512, .mtime = true,
              .ctime = true}});
      after((core + 5) % kCores, [&] { return write_bytes(f_, 0, kBlockBytes); },
            {{.object = f_, .mtime = true, .ctime = true}});
    }
  }
}

// A time that was set, to the past or to the future, ends with the next change, whichever core makes it.
TEST_F(StatTest, ATimeThatWasSetLastsUntilTheNextChange) {
  for (uint32_t core = 0; core < kCores; ++core) {
    for (const int64_t set : {5 * kSecond, now_ + 1000 * kSecond}) {
      SetAttr times;
      times.mtime_ns = set;
      start(core);
      ASSERT_EQ(fs_.setattr(d_, times).code(), 0);
      ASSERT_EQ(fs_.setattr(f_, times).code(), 0);
      for (uint32_t looking = 0; looking < kCores; ++looking) {
        set_thread_core(static_cast<int32_t>(looking));
        EXPECT_EQ(stat(d_).mtime_ns, set);
        EXPECT_EQ(stat(f_).mtime_ns, set);
      }
      const std::string name = "n" + std::to_string(core) + (set > now_ ? "future" : "past");
      after((core + 3) % kCores, [&] { return code(fs_.create(d_, name, 0644, true, caller_)); },
            {names_of(d_)});
      after((core + 5) % kCores, [&] { return write_bytes(f_, 0, 1); },
            {{.object = f_, .mtime = true, .ctime = true}});
    }
  }
}

}  // namespace
}  // namespace scalefs::memfs
