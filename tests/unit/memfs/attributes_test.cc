// getattr and setattr in memory mode.
#include "tests/unit/memfs/memory_fs.h"

namespace scalefs::memfs {
namespace {

class AttributesTest : public MemoryFsTest {
 protected:
  void TearDown() override { set_wall_for_test(-1); }
  Attr set(MnodeNo mnode, const SetAttr& change) {
    const auto attr = fs_.setattr(mnode, change);
    EXPECT_EQ(attr.code(), 0);
    if (attr.ok()) {
      EXPECT_EQ(*attr, stat(mnode));
    }
    return attr.ok() ? *attr : Attr{};
  }
};

TEST_F(AttributesTest, ModeKeepsTheType) {
  SetAttr change;
  change.mode = S_IFDIR | 04711;
  EXPECT_EQ(set(file(kRootMnode, "f"), change).mode, uint32_t{S_IFREG | 04711});
}

TEST_F(AttributesTest, OwnersAndSetIdBits) {
  const struct {
    uint32_t before;
    bool uid, kill, mode;
    uint32_t after;
  } cases[] = {
      {06755, true, false, false, 0755},   // chown drops both
      {02745, true, false, false, 02745},  // no group execution: the bit means something else
      {06755, false, true, false, 0755},   // a write by somebody
      {06755, true, false, true, 06711},   // an explicit mode stands
      {06755, false, false, false, 06755},
  };
  int i = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(i);
    const MnodeNo f = file(kRootMnode, "f" + std::to_string(i++));
    SetAttr change;
    change.mode = c.before;
    set(f, change);
    change = {};
    if (c.uid) change.uid = 5;
    if (c.mode) change.mode = 06711;
    change.kill_suid_sgid = c.kill;
    EXPECT_EQ(set(f, change).mode & 07777, c.after);
    EXPECT_EQ(stat(f).uid, c.uid ? 5u : 1000u);
  }
  const MnodeNo d = dir(kRootMnode, "d");
  SetAttr change;
  change.mode = 02755;
  set(d, change);
  change = {};
  change.gid = 9;
  EXPECT_EQ(set(d, change).mode & 07777, 02755u);  // directories keep theirs
  EXPECT_EQ(stat(d).gid, 9u);
}

TEST_F(AttributesTest, TimesAndTheChangeTime) {
  set_wall_for_test(1000);
  const MnodeNo f = file(kRootMnode, "f");
  set_wall_for_test(2000);
  SetAttr change;
  change.atime_ns = 7;
  change.mtime_ns = -8;
  Attr attr = set(f, change);
  EXPECT_EQ(attr.atime_ns, 7);
  EXPECT_EQ(attr.mtime_ns, -8);
  EXPECT_EQ(attr.ctime_ns, 2000);
  EXPECT_EQ(attr.btime_ns, 1000);
  change.atime_ns = change.mtime_ns = SetAttr::kNow;
  set_wall_for_test(3000);
  attr = set(f, change);
  EXPECT_EQ(attr.atime_ns, 3000);
  EXPECT_EQ(attr.mtime_ns, 3000);
  set_wall_for_test(100);  // the clock goes back, the change time does not
  change = {};
  change.flags = 0x40;
  attr = set(f, change);
  EXPECT_EQ(attr.ctime_ns, 3000);
  EXPECT_EQ(attr.flags, 0x40u);
  change = {};
  change.ctime_ns = 5000;
  EXPECT_EQ(set(f, change).ctime_ns, 5000);
  EXPECT_EQ(set(f, {}).ctime_ns, 5000);  // nothing asked for, nothing changed
}

TEST_F(AttributesTest, SizesAreForFiles) {
  SetAttr change;
  change.size = 8192;
  EXPECT_EQ(fs_.setattr(dir(kRootMnode, "d"), change).code(), EISDIR);
  const MnodeNo n = made(fs_.mknod(kRootMnode, "n", S_IFIFO | 0600, 0, caller_));
  EXPECT_EQ(fs_.setattr(n, change).code(), EINVAL);
  EXPECT_EQ(set(file(kRootMnode, "f"), change).size, 8192u);
}

TEST_F(AttributesTest, AccessTimesFollowRelatime) {
  constexpr int64_t kDay = int64_t{86400} * 1'000'000'000;
  set_wall_for_test(kDay);
  const MnodeNo s = made(fs_.symlink(kRootMnode, "s", "t", caller_));
  set_wall_for_test(kDay + 10);
  EXPECT_TRUE(fs_.readlink(s).ok());  // not after the last change
  EXPECT_EQ(stat(s).atime_ns, kDay + 10);
  set_wall_for_test(kDay + 20);
  EXPECT_TRUE(fs_.readlink(s).ok());
  EXPECT_EQ(stat(s).atime_ns, kDay + 10);
  set_wall_for_test(2 * kDay + 10);
  EXPECT_TRUE(fs_.readlink(s).ok());  // a day old
  EXPECT_EQ(stat(s).atime_ns, 2 * kDay + 10);
  EXPECT_EQ(stat(s).ctime_ns, kDay);
  // O_NOATIME.
  const MnodeNo f = file(kRootMnode, "f");
  ASSERT_TRUE(fs_.write(f, 0, std::vector<std::byte>(10)).ok());
  set_wall_for_test(4 * kDay);
  std::byte byte[1];
  const int64_t root = stat(kRootMnode).atime_ns;
  EXPECT_TRUE(fs_.read(f, 0, byte, Atime::stays).ok());
  EXPECT_TRUE(fs_.readdir(kRootMnode, 0, [](const DirectoryEntry&) { return true; }, Atime::stays).ok());
  EXPECT_EQ(stat(f).atime_ns, 2 * kDay + 10);
  EXPECT_EQ(stat(kRootMnode).atime_ns, root);
  EXPECT_TRUE(fs_.read(f, 0, byte).ok());
  EXPECT_EQ(stat(f).atime_ns, 4 * kDay);
}

}  // namespace
}  // namespace scalefs::memfs
