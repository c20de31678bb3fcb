// rename in memory mode: every mode, every error, counts and times of what it touches.
#include "tests/unit/memfs/memory_fs.h"

namespace scalefs::memfs {
namespace {

class RenameTest : public MemoryFsTest {
 protected:
  int move(MnodeNo from, std::string_view name, MnodeNo to, std::string_view new_name,
           RenameMode mode = RenameMode::replace) {
    return fs_.rename(from, name, to, new_name, mode, caller_).code();
  }
  uint32_t links(MnodeNo mnode) { return stat(mnode).nlink; }
};

TEST_F(RenameTest, TypesDecideWhatMayReplaceWhat) {
  // A row a pair: what is moved, what is at the target, the answer.
  const struct {
    char source, target;
    int replace, no_replace, exchange;
  } cases[] = {
      {'f', '-', 0, 0, ENOENT},           {'f', 'f', 0, EEXIST, 0},
      {'f', 'd', EISDIR, EEXIST, 0},      {'f', 'D', EISDIR, EEXIST, 0},
      {'d', '-', 0, 0, ENOENT},           {'d', 'f', ENOTDIR, EEXIST, 0},
      {'d', 'd', 0, EEXIST, 0},           {'d', 'D', ENOTEMPTY, EEXIST, 0},
      {'D', '-', 0, 0, ENOENT},           {'D', 'f', ENOTDIR, EEXIST, 0},
      {'D', 'd', 0, EEXIST, 0},           {'D', 'D', ENOTEMPTY, EEXIST, 0},
      {'-', '-', ENOENT, ENOENT, ENOENT}, {'-', 'f', ENOENT, ENOENT, ENOENT},
  };
  int number = 0;
  for (const auto& c : cases) {
    for (const bool same_parent : {true, false}) {
      for (const RenameMode mode :
           {RenameMode::replace, RenameMode::no_replace, RenameMode::exchange}) {
        SCOPED_TRACE(std::string("source ") + c.source + " target " + c.target +
                     (same_parent ? " one parent" : " two parents") + " mode " +
                     std::to_string(static_cast<int>(mode)));
        const MnodeNo a = dir(kRootMnode, "a" + std::to_string(++number));
        const MnodeNo b = same_parent ? a : dir(kRootMnode, "b" + std::to_string(number));
        const auto make = [&](char what, MnodeNo parent, std::string_view name) {
          if (what == '-') return MnodeNo();
          if (what == 'f') return file(parent, name);
          const MnodeNo d = dir(parent, name);
          if (what == 'D') file(d, "inside");
          return d;
        };
        const MnodeNo source = make(c.source, a, "s");
        const MnodeNo target = make(c.target, b, "t");
        const int expected = mode == RenameMode::replace      ? c.replace
                             : mode == RenameMode::no_replace ? c.no_replace
                                                              : c.exchange;
        EXPECT_EQ(move(a, "s", b, "t", mode), expected);
        const bool done = expected == 0;
        const bool exchanged = done && mode == RenameMode::exchange;
        EXPECT_EQ(find(b, "t"), done ? source : target);
        EXPECT_EQ(find(a, "s"), done ? (exchanged ? target : MnodeNo()) : source);
        if (done && target && !exchanged) {
          EXPECT_EQ(links(target), 0u);
        }
        // The parents' links are their directories.
        for (const MnodeNo parent : {a, b}) {
          uint32_t directories = 0;
          size_t entries = 0;
          EXPECT_TRUE(fs_.readdir(parent, 0, [&](const DirectoryEntry& e) {
                           if (e.name == "." || e.name == "..") return true;
                           ++entries;
                           directories += e.type == 4;
                           return true;
                         }).ok());
          EXPECT_EQ(links(parent), 2 + directories);
          if (entries > 0) {
            EXPECT_EQ(code(fs_.rmdir(kRootMnode, parent == a ? "a" + std::to_string(number)
                                                             : "b" + std::to_string(number))),
                      ENOTEMPTY);
          }
        }
      }
    }
  }
}

TEST_F(RenameTest, DirectoriesDoNotMoveBelowThemselves) {
  const MnodeNo a = dir(kRootMnode, "a");
  const MnodeNo b = dir(a, "b");
  const MnodeNo c = dir(b, "c");
  EXPECT_EQ(move(kRootMnode, "a", a, "x"), EINVAL);
  EXPECT_EQ(move(kRootMnode, "a", c, "x"), EINVAL);
  EXPECT_EQ(move(a, "b", c, "x"), EINVAL);
  EXPECT_EQ(move(kRootMnode, "a", b, "c"), EINVAL);  // before ENOTEMPTY
  EXPECT_EQ(move(b, "c", kRootMnode, "a"), ENOTEMPTY);
  EXPECT_EQ(move(b, "c", kRootMnode, "a", RenameMode::exchange), EINVAL);
  EXPECT_EQ(move(kRootMnode, "a", b, "c", RenameMode::exchange), EINVAL);
  EXPECT_EQ(move(b, "c", kRootMnode, "c"), 0);
  EXPECT_EQ(move(kRootMnode, "a", c, "a"), 0);
  EXPECT_EQ(find(a, ".."), c);
  EXPECT_EQ(links(kRootMnode), 3u);
  EXPECT_EQ(links(c), 3u);
  EXPECT_EQ(links(b), 2u);
}

TEST_F(RenameTest, SameObjectIsNothingToDo) {
  const MnodeNo f = file(kRootMnode, "f");
  EXPECT_EQ(code(fs_.link(f, kRootMnode, "g")), 0);
  EXPECT_EQ(move(kRootMnode, "f", kRootMnode, "g"), 0);
  EXPECT_EQ(move(kRootMnode, "f", kRootMnode, "f"), 0);
  EXPECT_EQ(move(kRootMnode, "f", kRootMnode, "g", RenameMode::exchange), 0);
  EXPECT_EQ(move(kRootMnode, "f", kRootMnode, "g", RenameMode::no_replace), EEXIST);
  EXPECT_EQ(move(kRootMnode, "f", kRootMnode, "f", RenameMode::no_replace), EEXIST);
  EXPECT_EQ(move(kRootMnode, "f", kRootMnode, "f", RenameMode::exchange), 0);
  for (const auto mode : {RenameMode::replace, RenameMode::no_replace, RenameMode::exchange})
    EXPECT_EQ(move(kRootMnode, "none", kRootMnode, "none", mode), ENOENT);
  EXPECT_EQ(find(kRootMnode, "f"), f);
  EXPECT_EQ(find(kRootMnode, "g"), f);
  EXPECT_EQ(links(f), 2u);
}

TEST_F(RenameTest, WhiteoutIsLeftBehind) {
  const MnodeNo f = file(kRootMnode, "f");
  const MnodeNo d = dir(kRootMnode, "d");
  EXPECT_EQ(move(kRootMnode, "f", d, "g", RenameMode::whiteout), 0);
  EXPECT_EQ(find(d, "g"), f);
  const MnodeNo w = find(kRootMnode, "f");
  ASSERT_TRUE(w);
  EXPECT_EQ(stat(w).mode, uint32_t{S_IFCHR});
  EXPECT_EQ(stat(w).rdev, 0u);
  EXPECT_EQ(stat(w).nlink, 1u);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "f")), 0);
  settle();
  EXPECT_EQ(fs_.getattr(w).code(), ESTALE);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "d")), ENOTEMPTY);
  // With a whiteout the target may be wanted to be new, too.
  const MnodeNo other = file(kRootMnode, "other");
  EXPECT_EQ(move(kRootMnode, "other", d, "g", RenameMode::whiteout_no_replace), EEXIST);
  EXPECT_EQ(find(kRootMnode, "other"), other);
  EXPECT_EQ(find(d, "g"), f);
  EXPECT_EQ(move(kRootMnode, "other", kRootMnode, "new", RenameMode::whiteout_no_replace), 0);
  EXPECT_EQ(find(kRootMnode, "new"), other);
  EXPECT_EQ(stat(find(kRootMnode, "other")).mode, uint32_t{S_IFCHR});
  // Within one directory the count goes up by one.
  EXPECT_EQ(move(d, "g", d, "h", RenameMode::whiteout), 0);
  EXPECT_EQ(list(d).size(), 2u);
  EXPECT_EQ(code(fs_.unlink(d, "g")), 0);
  EXPECT_EQ(code(fs_.unlink(d, "h")), 0);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "d")), 0);
}

TEST_F(RenameTest, WhatAnExchangeMadeOfANameIsToldAtOnce) {
  const MnodeNo p = dir(kRootMnode, "p");
  file(p, "a");
  file(dir(kRootMnode, "b"), "inside");
  file(dir(p, "full"), "inside");
  dir(p, "empty");
  // Each turn makes a file of the directory and the other way round; the first gives both names a cell.
  for (int turn = 1; turn <= 4; ++turn) {
    SCOPED_TRACE(turn);
    EXPECT_EQ(move(p, "a", kRootMnode, "b", RenameMode::exchange), 0);
    const bool directory = turn % 2 != 0;
    EXPECT_EQ(code(fs_.rmdir(p, "a")), directory ? ENOTEMPTY : ENOTDIR);
    EXPECT_EQ(code(fs_.rmdir(kRootMnode, "b")), directory ? ENOTDIR : ENOTEMPTY);
    if (directory) {
      EXPECT_EQ(code(fs_.unlink(p, "a")), EISDIR);
    } else {
      EXPECT_EQ(code(fs_.unlink(kRootMnode, "b")), EISDIR);
    }
    EXPECT_EQ(move(p, "a", p, "full"), directory ? ENOTEMPTY : EISDIR);
    EXPECT_EQ(move(p, "empty", p, "a"), directory ? ENOTEMPTY : ENOTDIR);
    EXPECT_EQ(find(find(directory ? p : kRootMnode, directory ? "a" : "b"), ".."),
              directory ? p : kRootMnode);
  }
  // A whiteout in a directory's place; a name that has had a cell, made anew.
  EXPECT_EQ(move(kRootMnode, "b", p, "moved", RenameMode::whiteout), 0);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "b")), ENOTDIR);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "b")), 0);
  dir(kRootMnode, "b");
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "b")), EISDIR);
  EXPECT_EQ(code(fs_.rmdir(kRootMnode, "b")), 0);
}

TEST_F(RenameTest, ReplacedDirectoryTakesNoMoreNames) {
  dir(kRootMnode, "a");
  const MnodeNo b = dir(kRootMnode, "b");
  EXPECT_EQ(move(kRootMnode, "a", kRootMnode, "b"), 0);
  EXPECT_EQ(code(fs_.create(b, "x", 0600, true, caller_)), ENOENT);
  EXPECT_EQ(links(b), 0u);
  EXPECT_EQ(links(kRootMnode), 3u);
}

TEST_F(RenameTest, TimesOfWhatItTouches) {
  set_wall_for_test(1000);
  const MnodeNo a = dir(kRootMnode, "a");
  const MnodeNo b = dir(kRootMnode, "b");
  const MnodeNo f = file(a, "f");
  const MnodeNo g = file(b, "g");
  EXPECT_EQ(code(fs_.link(g, kRootMnode, "g")), 0);
  set_wall_for_test(2000);
  EXPECT_EQ(move(a, "f", b, "g"), 0);
  for (const MnodeNo parent : {a, b}) {
    EXPECT_EQ(stat(parent).mtime_ns, 2000);
    EXPECT_EQ(stat(parent).ctime_ns, 2000);
  }
  for (const MnodeNo object : {f, g}) {
    EXPECT_EQ(stat(object).mtime_ns, 1000);
    EXPECT_EQ(stat(object).ctime_ns, 2000);
  }
  set_wall_for_test(-1);
}

}  // namespace
}  // namespace scalefs::memfs
