// Names in memory mode: every call with every error it can answer.
#include <algorithm>
#include <functional>
#include <set>

#include "tests/unit/memfs/memory_fs.h"

namespace scalefs::memfs {
namespace {

constexpr MnodeNo kNobody{999 << kCoreBits};

class NamesTest : public MemoryFsTest {};

TEST_F(NamesTest, BadNamesAreRefusedByEveryCall) {
  const struct {
    std::string name;
    int any;      // by calls that only look
    int changed;  // by calls that make or remove
  } cases[] = {
      {"", EINVAL, EINVAL},
      {".", 0, EINVAL},
      {"..", 0, EINVAL},
      {"a/b", EINVAL, EINVAL},
      {std::string("a\0b", 3), EINVAL, EINVAL},
      {std::string(256, 'x'), ENAMETOOLONG, ENAMETOOLONG},
  };
  const MnodeNo f = file(kRootMnode, "f");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(code(fs_.lookup(kRootMnode, c.name)), c.any);
    EXPECT_EQ(code(fs_.mknod(kRootMnode, c.name, S_IFIFO | 0600, 0, caller_)), c.changed);
    EXPECT_EQ(code(fs_.mkdir(kRootMnode, c.name, 0700, caller_)), c.changed);
    EXPECT_EQ(code(fs_.symlink(kRootMnode, c.name, "t", caller_)), c.changed);
    EXPECT_EQ(code(fs_.create(kRootMnode, c.name, 0600, false, caller_)), c.changed);
    EXPECT_EQ(code(fs_.link(f, kRootMnode, c.name)), c.changed);
    EXPECT_EQ(code(fs_.unlink(kRootMnode, c.name)), c.changed);
    EXPECT_EQ(code(fs_.rmdir(kRootMnode, c.name)), c.changed);
    EXPECT_EQ(code(fs_.rename(kRootMnode, c.name, kRootMnode, "g", RenameMode::replace, caller_)),
              c.changed);
    EXPECT_EQ(code(fs_.rename(kRootMnode, "f", kRootMnode, c.name, RenameMode::replace, caller_)),
              c.changed);
  }
  EXPECT_EQ(list(kRootMnode), std::vector<std::string>{"f"});
  EXPECT_EQ(code(fs_.create(kRootMnode, std::string(255, 'y'), 0600, true, caller_)), 0);
}

TEST_F(NamesTest, UnknownObjectsAreStaleAndFilesAreNoDirectories) {
  const MnodeNo f = file(kRootMnode, "f");
  for (const auto& [parent, expected] : {std::pair{kNobody, ESTALE}, std::pair{f, ENOTDIR}}) {
    EXPECT_EQ(code(fs_.lookup(parent, "x")), expected);
    EXPECT_EQ(code(fs_.lookup(parent, ".")), expected);
    EXPECT_EQ(code(fs_.mkdir(parent, "x", 0700, caller_)), expected);
    EXPECT_EQ(code(fs_.create(parent, "x", 0600, true, caller_)), expected);
    EXPECT_EQ(code(fs_.tmpfile(parent, 0600, caller_)), expected);
    EXPECT_EQ(code(fs_.link(f, parent, "x")), expected);
    EXPECT_EQ(code(fs_.unlink(parent, "x")), expected);
    EXPECT_EQ(code(fs_.rmdir(parent, "x")), expected);
    EXPECT_EQ(code(fs_.rename(parent, "f", kRootMnode, "g", RenameMode::replace, caller_)),
              expected);
    EXPECT_EQ(code(fs_.rename(kRootMnode, "f", parent, "g", RenameMode::replace, caller_)),
              expected);
    EXPECT_EQ(fs_.readdir(parent, 0, [](const DirectoryEntry&) { return true; }).code(), expected);
  }
  EXPECT_EQ(fs_.getattr(kNobody).code(), ESTALE);
  EXPECT_EQ(fs_.setattr(kNobody, {}).code(), ESTALE);
  EXPECT_EQ(fs_.readlink(kNobody).code(), ESTALE);
  EXPECT_EQ(fs_.readlink(f).code(), EINVAL);
  EXPECT_EQ(code(fs_.link(kNobody, kRootMnode, "x")), ESTALE);
  fs_.forget(kNobody, 1);
}

TEST_F(NamesTest, CreateFindsExistingObjects) {
  const MnodeNo f = file(kRootMnode, "f");
  dir(kRootMnode, "d");
  made(fs_.symlink(kRootMnode, "s", "f", caller_));
  EXPECT_EQ(code(fs_.create(kRootMnode, "f", 0600, true, caller_)), EEXIST);
  EXPECT_EQ(made(fs_.create(kRootMnode, "f", 0600, false, caller_)), f);
  EXPECT_EQ(code(fs_.create(kRootMnode, "d", 0600, false, caller_)), EISDIR);
  EXPECT_EQ(code(fs_.create(kRootMnode, "s", 0600, false, caller_)), ELOOP);
  EXPECT_EQ(code(fs_.mkdir(kRootMnode, "f", 0600, caller_)), EEXIST);
  EXPECT_EQ(code(fs_.symlink(kRootMnode, "f", "t", caller_)), EEXIST);
  EXPECT_EQ(code(fs_.link(f, kRootMnode, "d")), EEXIST);
}

TEST_F(NamesTest, NewObjectsHaveTheRightAttributes) {
  const Attr f = stat(file(kRootMnode, "f", 0666));
  EXPECT_EQ(f.mode, uint32_t{S_IFREG | 0644});
  EXPECT_EQ(f.uid, 1000u);
  EXPECT_EQ(f.gid, 100u);
  EXPECT_EQ(f.nlink, 1u);
  EXPECT_EQ(f.generation, 1u);
  EXPECT_EQ(f.size, 0u);
  EXPECT_EQ(f.atime_ns, f.btime_ns);
  EXPECT_EQ(f.mtime_ns, f.ctime_ns);
  const Attr d = stat(dir(kRootMnode, "d", 0777));
  EXPECT_EQ(d.mode, uint32_t{S_IFDIR | 0755});
  EXPECT_EQ(d.nlink, 2u);
  EXPECT_EQ(stat(kRootMnode).nlink, 3u);
  const MnodeNo s = made(fs_.symlink(kRootMnode, "s", "some/where", caller_));
  EXPECT_EQ(stat(s).mode, uint32_t{S_IFLNK | 0777});
  EXPECT_EQ(stat(s).size, 10u);
  EXPECT_EQ(*fs_.readlink(s), "some/where");
  const MnodeNo n = made(fs_.mknod(kRootMnode, "n", S_IFBLK | 0660, 0x801, caller_));
  EXPECT_EQ(stat(n).mode, uint32_t{S_IFBLK | 0640});
  EXPECT_EQ(stat(n).rdev, 0x801u);
  EXPECT_EQ(code(fs_.mknod(kRootMnode, "m", S_IFDIR | 0600, 0, caller_)), EPERM);
  EXPECT_EQ(code(fs_.mknod(kRootMnode, "m", 0160000 | 0600, 0, caller_)), EINVAL);
  EXPECT_EQ(code(fs_.symlink(kRootMnode, "m", "", caller_)), ENOENT);
  EXPECT_EQ(code(fs_.symlink(kRootMnode, "m", std::string(4096, 'x'), caller_)), ENAMETOOLONG);
  EXPECT_EQ(code(fs_.symlink(kRootMnode, "m", std::string(4095, 'x'), caller_)), 0);
}

TEST_F(NamesTest, SetgidDirectoriesPassOnTheirGroup) {
  const MnodeNo d = dir(kRootMnode, "d");
  SetAttr change;
  change.gid = 77;
  change.mode = 02775;
  EXPECT_EQ(fs_.setattr(d, change).code(), 0);
  EXPECT_EQ(stat(file(d, "f")).gid, 77u);
  EXPECT_EQ(stat(file(d, "f2")).mode & S_ISGID, 0u);
  const Attr sub = stat(dir(d, "sub"));
  EXPECT_EQ(sub.gid, 77u);
  EXPECT_NE(sub.mode & S_ISGID, 0u);
  EXPECT_EQ(stat(made(fs_.symlink(d, "s", "t", caller_))).gid, 77u);
}

TEST_F(NamesTest, DotAndDotDot) {
  const MnodeNo d = dir(kRootMnode, "d");
  const MnodeNo e = dir(d, "e");
  EXPECT_EQ(find(e, "."), e);
  EXPECT_EQ(find(e, ".."), d);
  EXPECT_EQ(find(kRootMnode, ".."), kRootMnode);
  EXPECT_EQ(code(fs_.rename(d, "e", kRootMnode, "e", RenameMode::replace, caller_)), 0);
  EXPECT_EQ(find(e, ".."), kRootMnode);
}

TEST_F(NamesTest, LinksAndUnlinksCount) {
  const MnodeNo f = file(kRootMnode, "f");
  const MnodeNo d = dir(kRootMnode, "d");
  EXPECT_EQ(code(fs_.link(f, d, "g")), 0);
  EXPECT_EQ(stat(f).nlink, 2u);
  EXPECT_EQ(find(d, "g"), f);
  EXPECT_EQ(code(fs_.link(d, kRootMnode, "x")), EPERM);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "nothing")), ENOENT);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "d")), EISDIR);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "f")), 0);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "f")), ENOENT);
  EXPECT_EQ(stat(f).nlink, 1u);
  EXPECT_EQ(code(fs_.unlink(d, "g")), 0);
  EXPECT_EQ(stat(f).nlink, 0u);
  EXPECT_EQ(code(fs_.link(f, d, "h")), ENOENT);
}

TEST_F(NamesTest, RmdirNeedsAnEmptyDirectory) {
  const MnodeNo d = dir(kRootMnode, "d");
  file(kRootMnode, "f");
  const MnodeNo sub = dir(d, "sub");
  EXPECT_EQ(stat(d).nlink, 3u);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "d")), ENOTEMPTY);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "f")), ENOTDIR);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "x")), ENOENT);
  EXPECT_EQ(code(fs_.rmdir(d, "sub")), 0);
  EXPECT_EQ(stat(sub).nlink, 0u);
  EXPECT_EQ(stat(d).nlink, 2u);
  // Nothing can be made in a removed directory.
  EXPECT_EQ(code(fs_.create(sub, "x", 0600, true, caller_)), ENOENT);
  EXPECT_EQ(code(fs_.mkdir(sub, "x", 0600, caller_)), ENOENT);
  EXPECT_EQ(code(fs_.tmpfile(sub, 0600, caller_)), ENOENT);
  EXPECT_EQ(code(fs_.link(file(d, "y"), sub, "x")), ENOENT);
  EXPECT_EQ(code(fs_.rename(d, "y", sub, "x", RenameMode::replace, caller_)), ENOENT);
  EXPECT_TRUE(list(sub).empty());
}

TEST_F(NamesTest, TemporaryFilesCanBeLinkedOnce) {
  const MnodeNo t = made(fs_.tmpfile(kRootMnode, 0666, caller_));
  EXPECT_EQ(stat(t).nlink, 0u);
  EXPECT_EQ(stat(t).mode, uint32_t{S_IFREG | 0644});
  EXPECT_TRUE(list(kRootMnode).empty());
  EXPECT_EQ(code(fs_.link(t, kRootMnode, "t")), 0);
  EXPECT_EQ(stat(t).nlink, 1u);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "t")), 0);
  EXPECT_EQ(code(fs_.link(t, kRootMnode, "t")), ENOENT);
}

TEST_F(NamesTest, ObjectsEndWithLastNameAndLastLookup) {
  const uint64_t before = fs_.usage().mnodes;
  const MnodeNo f = file(kRootMnode, "f");
  const MnodeNo d = dir(kRootMnode, "d");
  EXPECT_EQ(fs_.usage().mnodes, before + 2);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "f")), 0);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "d")), 0);
  settle();
  EXPECT_EQ(stat(f).nlink, 0u);  // still looked up
  fs_.forget(f, 1);
  fs_.forget(d, 1);
  settle();
  EXPECT_EQ(fs_.getattr(f).code(), ESTALE);
  EXPECT_EQ(fs_.getattr(d).code(), ESTALE);
  EXPECT_EQ(fs_.usage().mnodes, before);
  // The other way round: a name without lookups keeps its object.
  const MnodeNo g = file(kRootMnode, "g");
  fs_.forget(g, 1);
  settle();
  EXPECT_EQ(find(kRootMnode, "g"), g);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "g")), 0);
  settle();
  EXPECT_EQ(fs_.getattr(g).code(), ESTALE);
}

TEST_F(NamesTest, TimesOfDirectoriesAndLinks) {
  set_wall_for_test(1000);
  const MnodeNo d = dir(kRootMnode, "d");
  const MnodeNo f = file(d, "f");
  set_wall_for_test(2000);
  const MnodeNo g = file(d, "g");
  EXPECT_EQ(stat(d).mtime_ns, 2000);
  EXPECT_EQ(stat(d).ctime_ns, 2000);
  EXPECT_EQ(stat(d).atime_ns, 1000);
  set_wall_for_test(3000);
  EXPECT_EQ(code(fs_.link(f, kRootMnode, "h")), 0);
  EXPECT_EQ(stat(f).ctime_ns, 3000);
  EXPECT_EQ(stat(f).mtime_ns, 1000);
  EXPECT_EQ(stat(d).mtime_ns, 2000);
  set_wall_for_test(4000);
  EXPECT_EQ(code(fs_.unlink(d, "g")), 0);
  EXPECT_EQ(stat(g).ctime_ns, 4000);
  EXPECT_EQ(stat(d).mtime_ns, 4000);
  // A clock that goes back takes no time stamp back, except one that was set.
  set_wall_for_test(500);
  EXPECT_EQ(code(fs_.unlink(d, "f")), 0);
  EXPECT_EQ(stat(d).mtime_ns, 4000);
  SetAttr change;
  change.mtime_ns = 123;
  EXPECT_EQ(fs_.setattr(d, change)->mtime_ns, 123);
  EXPECT_EQ(stat(d).ctime_ns, 4000);
  set_wall_for_test(600);
  file(d, "i");
  EXPECT_EQ(stat(d).mtime_ns, 600);
  set_wall_for_test(-1);
}

// On other cores than the time was set on, with their earlier changes folded and not.
TEST_F(NamesTest, ATimeInTheFutureEndsWithTheNextChange) {
  int64_t now = 1000;
  set_wall_for_test(now);
  const MnodeNo d = dir(kRootMnode, "d");
  const MnodeNo e = dir(kRootMnode, "e");
  file(d, "a");
  int made = 0;
  const std::vector<std::function<int()>> changes = {
      [&] { return code(fs_.create(d, "c" + std::to_string(made), 0600, true, caller_)); },
      [&] { return code(fs_.mkdir(d, "m" + std::to_string(made), 0700, caller_)); },
      [&] { return code(fs_.unlink(d, "c0")); },
      [&] { return code(fs_.rmdir(d, "m1")); },
      [&] { return code(fs_.rename(d, "a", d, "b", RenameMode::replace, caller_)); },
      [&] { return code(fs_.rename(d, "b", e, "b", RenameMode::replace, caller_)); },
      [&] { return code(fs_.link(find(e, "b"), d, "again")); },
  };
  for (const auto& change : changes) {
    set_wall_for_test(now += 1000);
    for (const int core : {0, 1, 0}) {
      set_thread_core(core);
      file(d, "other" + std::to_string(now) + std::to_string(fs_.usage().mnodes));
    }
    if (made % 2 == 1) settle();
    for (const MnodeNo directory : {d, e}) {
      SetAttr future;
      future.mtime_ns = now + 1'000'000'000;
      EXPECT_EQ(fs_.setattr(directory, future)->mtime_ns, *future.mtime_ns);
    }
    if (made % 3 == 1) settle();
    set_wall_for_test(now += 1000);
    set_thread_core(1);
    EXPECT_EQ(change(), 0) << made;
    EXPECT_EQ(stat(d).mtime_ns, now) << made;
    EXPECT_EQ(stat(d).ctime_ns, now) << made;
    EXPECT_EQ(stat(e).mtime_ns, made == 5 ? now : now - 1000 + 1'000'000'000) << made;
    settle();
    EXPECT_EQ(stat(d).mtime_ns, now) << made;
    ++made;
  }
  set_thread_core(-1);
  set_wall_for_test(-1);
}

}  // namespace
}  // namespace scalefs::memfs
