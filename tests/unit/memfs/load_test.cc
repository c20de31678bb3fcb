// Names over a backend: what is not in memory is loaded, what memory knows better stays, and what is
// logged gives the same tree again.
#include <sys/stat.h>

#include <set>

#include "memfs/acl.h"
#include "tests/unit/memfs/load_fs.h"

namespace scalefs::memfs {
namespace {

TEST_F(LoadTest, LookupLoadsOnceAndMissesAskTheCheckpoint) {
  const MnodeNo f = file(kRootMnode, "f");
  remount();
  EXPECT_EQ(fs().getattr(f).code(), ESTALE);  // not loaded: nobody may know it
  EXPECT_EQ(look(kRootMnode, "f"), 0);
  EXPECT_EQ(fs().getattr(f)->mode, uint32_t{S_IFREG | 0644});
  EXPECT_EQ(look(kRootMnode, "f"), 0);
  EXPECT_EQ(disk_.child_loads, 1u);
  EXPECT_EQ(look(kRootMnode, "g"), ENOENT);
  EXPECT_EQ(disk_.child_loads, 2u);
  EXPECT_EQ(code(fs().create(kRootMnode, "f", 0600, true, caller_)), EEXIST);
  EXPECT_EQ(disk_.child_loads, 2u);
}

TEST_F(LoadTest, CreateAndLinkSeeNamesOfTheCheckpoint) {
  const MnodeNo f = file(kRootMnode, "f");
  dir(kRootMnode, "d");
  remount();
  EXPECT_EQ(code(fs().create(kRootMnode, "f", 0600, true, caller_)), EEXIST);
  EXPECT_EQ(code(fs().mkdir(kRootMnode, "d", 0700, caller_)), EEXIST);
  EXPECT_EQ(code(fs().create(kRootMnode, "d", 0600, false, caller_)), EISDIR);
  EXPECT_EQ(made(fs().create(kRootMnode, "f", 0600, false, caller_)), f);
  EXPECT_EQ(code(fs().link(f, kRootMnode, "d")), EEXIST);
  EXPECT_EQ(fs().rename(kRootMnode, "f", kRootMnode, "d", RenameMode::no_replace, caller_).code(),
            EEXIST);
}

TEST_F(LoadTest, CompleteDirectoriesAskNothing) {
  const MnodeNo d = dir(kRootMnode, "d");  // new, so complete
  EXPECT_EQ(look(d, "x"), ENOENT);
  const uint64_t before = disk_.child_loads;
  EXPECT_EQ(look(d, "y"), ENOENT);
  EXPECT_EQ(disk_.child_loads, before);
  file(d, "z");
  remount();
  EXPECT_EQ(list(kRootMnode), std::set<std::string>{"d"});
  disk_.child_loads = 0;
  EXPECT_EQ(look(kRootMnode, "x"), ENOENT);  // listed to the end
  EXPECT_EQ(disk_.child_loads, 0u);
}

TEST_F(LoadTest, ListingGoesInRangesAndMergesWhatMemoryKnows) {
  std::set<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "n" + std::to_string(i);
    file(kRootMnode, name);
    expected.insert(name);
  }
  remount();
  for (int i = 0; i < 1000; i += 10) {
    const std::string name = "n" + std::to_string(i);
    EXPECT_EQ(fs().unlink(kRootMnode, name).code(), 0);
    expected.erase(name);
    if (i % 20 == 0) {
      file(kRootMnode, name);
      expected.insert(name);
    } else if (i % 30 == 0) {
      EXPECT_EQ(fs().rename(kRootMnode, "n" + std::to_string(i + 1), kRootMnode, name,
                            RenameMode::replace, caller_)
                    .code(),
                0);
      expected.erase("n" + std::to_string(i + 1));
      expected.insert(name);
    }
  }
  EXPECT_EQ(list(kRootMnode), expected);
  EXPECT_GE(disk_.entry_loads, 4u);
  const uint64_t loads = disk_.entry_loads;
  EXPECT_EQ(list(kRootMnode), expected);
  EXPECT_EQ(disk_.entry_loads, loads);  // all is here now
  durable();
  EXPECT_EQ(list(kRootMnode), expected);
}

TEST_F(LoadTest, CookiesHoldOverARemount) {
  for (int i = 0; i < 300; ++i) file(kRootMnode, "n" + std::to_string(i));
  std::set<std::string> seen;
  uint64_t cookie = 0;
  int left = 120;
  EXPECT_TRUE(fs().readdir(kRootMnode, 0, [&](const DirectoryEntry& e) {
                    if (--left == 0) return false;
                    cookie = e.next_cookie;
                    seen.emplace(e.name);
                    return true;
                  }).ok());
  remount();
  EXPECT_TRUE(fs().readdir(kRootMnode, cookie, [&](const DirectoryEntry& e) {
                    EXPECT_TRUE(seen.emplace(e.name).second) << e.name;
                    return true;
                  }).ok());
  EXPECT_EQ(seen.size(), 302u);
}

TEST_F(LoadTest, RemovedNamesStayRemovedWhileTheCheckpointHasThem) {
  file(kRootMnode, "a");
  file(kRootMnode, "b");
  remount();
  EXPECT_EQ(fs().unlink(kRootMnode, "a").code(), 0);
  EXPECT_EQ(look(kRootMnode, "a"), ENOENT);
  EXPECT_EQ(fs().unlink(kRootMnode, "a").code(), ENOENT);
  fs().maintain();
  EXPECT_EQ(list(kRootMnode), std::set<std::string>{"b"});
}

TEST_F(LoadTest, TombstonesGoWhenTheyAreCovered) {
  file(kRootMnode, "a");
  remount();
  EXPECT_EQ(fs().unlink(kRootMnode, "a").code(), 0);
  const uint64_t before = disk_.child_loads;
  EXPECT_EQ(look(kRootMnode, "a"), ENOENT);
  EXPECT_EQ(disk_.child_loads, before);  // the tombstone answers
  disk_.commit();
  fs().maintain();
  EXPECT_EQ(look(kRootMnode, "a"), ENOENT);
  EXPECT_EQ(disk_.child_loads, before);  // committed is not yet in the checkpoint
  durable();
  EXPECT_EQ(look(kRootMnode, "a"), ENOENT);
  EXPECT_EQ(disk_.child_loads, before + 1);  // gone, so the checkpoint is asked
}

TEST_F(LoadTest, LoadsFromAnOlderCheckpointBringNothingBack) {
  for (const bool by_lookup : {false, true}) {
    SCOPED_TRACE(by_lookup);
    const std::string name = by_lookup ? "a" : "b";
    file(kRootMnode, name);
    remount();
    // Between the load's look at the checkpoint and its answer the name is removed, committed, in
    // the checkpoint, and its tombstone is due.
    disk_.in_load = [&] {
      EXPECT_EQ(fs().unlink(kRootMnode, name).code(), 0);
      durable();
      durable();
    };
    if (by_lookup) {
      EXPECT_EQ(look(kRootMnode, name), ENOENT);
    } else {
      EXPECT_TRUE(list(kRootMnode).empty());
    }
    EXPECT_EQ(look(kRootMnode, name), ENOENT);
    durable();
    EXPECT_EQ(look(kRootMnode, name), ENOENT);
    EXPECT_TRUE(list(kRootMnode).empty());
  }
}

TEST_F(LoadTest, LoadsDoNotOverwriteYoungerMeanings) {
  const MnodeNo a = file(kRootMnode, "a");
  remount();
  MnodeNo fresh;
  disk_.in_load = [&] {
    EXPECT_EQ(fs().rename(kRootMnode, "a", kRootMnode, "old", RenameMode::replace, caller_).code(),
              0);
    fresh = file(kRootMnode, "a");
  };
  const auto entry = fs().lookup(kRootMnode, "a");
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->attr.mnode, fresh);
  EXPECT_EQ(made(fs().lookup(kRootMnode, "old")), a);
}

TEST_F(LoadTest, RmdirKnowsEmptinessWithoutAScan) {
  const MnodeNo d = dir(kRootMnode, "d");
  for (int i = 0; i < 50; ++i) file(d, "n" + std::to_string(i));
  dir(kRootMnode, "e");
  remount();
  EXPECT_EQ(fs().rmdir(kRootMnode, "d").code(), ENOTEMPTY);
  EXPECT_EQ(fs().rmdir(kRootMnode, "e").code(), 0);
  EXPECT_EQ(fs().rename(kRootMnode, "d", kRootMnode, "f", RenameMode::replace, caller_).code(), 0);
  EXPECT_EQ(disk_.entry_loads, 0u);
  EXPECT_EQ(look(kRootMnode, "f"), 0);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(fs().rmdir(kRootMnode, "f").code(), ENOTEMPTY);
    EXPECT_EQ(fs().unlink(d, "n" + std::to_string(i)).code(), 0);
  }
  EXPECT_EQ(fs().rmdir(kRootMnode, "f").code(), 0);
  EXPECT_EQ(disk_.entry_loads, 0u);
  disk_.commit();
  EXPECT_EQ(disk_.committed().size(), 1u + 52u);  // orphans until they are reclaimed
  durable();
  disk_.commit();
  EXPECT_EQ(disk_.committed().size(), 1u);
}

TEST_F(LoadTest, HardLinksMeetInOneObject) {
  const MnodeNo f = file(kRootMnode, "a");
  EXPECT_EQ(code(fs().link(f, kRootMnode, "b")), 0);
  remount();
  EXPECT_EQ(fs().unlink(kRootMnode, "a").code(), 0);
  EXPECT_EQ(look(kRootMnode, "b"), 0);
  EXPECT_EQ(fs().getattr(f)->nlink, 1u);
  durable();
  EXPECT_EQ(fs().getattr(f)->nlink, 1u);
  EXPECT_EQ(fs().unlink(kRootMnode, "b").code(), 0);
  durable();
  EXPECT_EQ(fs().getattr(f).code(), ESTALE);
  EXPECT_EQ(disk_.ended, std::vector<MnodeNo>{f});
}

TEST_F(LoadTest, XattrsAclsAndTargetsAreLoaded) {
  const MnodeNo d = dir(kRootMnode, "d");
  const std::byte one[] = {std::byte{1}};
  EXPECT_EQ(fs().setxattr(d, "user.x", one, XattrMode::set).code(), 0);
  std::vector<std::byte> acl(4 + 3 * 8);
  const uint16_t entries[][2] = {{1, 7}, {4, 0}, {32, 0}};
  store_le<uint32_t>(acl.data(), 2);
  for (size_t i = 0; i < 3; ++i) {
    store_le<uint16_t>(&acl[4 + 8 * i], entries[i][0]);
    store_le<uint16_t>(&acl[6 + 8 * i], entries[i][1]);
    store_le<uint32_t>(&acl[8 + 8 * i], UINT32_MAX);
  }
  EXPECT_EQ(fs().setxattr(d, kDefaultAclName, acl, XattrMode::set).code(), 0);
  made(fs().symlink(d, "s", "far/away", caller_));
  remount();
  EXPECT_EQ(look(kRootMnode, "d"), 0);
  const MnodeNo f = file(d, "f");
  EXPECT_EQ(fs().getattr(f)->mode & 0777, 0600u);  // by the ACL that had to be loaded
  EXPECT_EQ(fs().getxattr(d, "user.x")->size(), 1u);
  EXPECT_EQ(disk_.xattr_loads, 1u);
  const MnodeNo s = made(fs().lookup(d, "s"));
  EXPECT_EQ(*fs().readlink(s), "far/away");
  EXPECT_EQ(fs().getattr(s)->size, 8u);
  // A change made while the load was under way is not overwritten.
  remount();
  EXPECT_EQ(look(kRootMnode, "d"), 0);
  disk_.in_load = [&] {
    const std::byte two[] = {std::byte{2}, std::byte{2}};
    EXPECT_EQ(fs().setxattr(d, "user.x", two, XattrMode::set).code(), 0);
  };
  EXPECT_EQ(fs().getxattr(d, "user.x")->size(), 2u);
}

TEST_F(LoadTest, ReaddirplusLoadsAndCountsLookups) {
  const MnodeNo a = file(kRootMnode, "a");
  remount();
  int entries = 0;
  EXPECT_TRUE(fs().readdirplus(kRootMnode, 0, [&](const DirectoryEntry& e, const Attr* attr) {
                    ++entries;
                    EXPECT_NE(attr, nullptr);
                    EXPECT_EQ(attr->mnode, e.mnode);
                    return true;
                  }).ok());
  EXPECT_EQ(entries, 3);
  EXPECT_EQ(fs().unlink(kRootMnode, "a").code(), 0);
  durable();
  EXPECT_EQ(fs().getattr(a)->nlink, 0u);  // its lookup is the caller's
  fs().forget(a, 1);
  durable();
  EXPECT_EQ(fs().getattr(a).code(), ESTALE);
  // An entry that was refused has none; one that cannot be loaded says so.
  file(kRootMnode, "b");
  remount();
  EXPECT_TRUE(fs().readdirplus(kRootMnode, 2, [&](const DirectoryEntry&, const Attr*) {
                    return false;
                  }).ok());
  disk_.mount();
  EXPECT_EQ(list(kRootMnode), std::set<std::string>{"b"});
  disk_.load_error = EIO;
  EXPECT_TRUE(fs().readdirplus(kRootMnode, 2, [&](const DirectoryEntry& e, const Attr* attr) {
                    EXPECT_EQ(e.name, "b");
                    EXPECT_EQ(attr, nullptr);
                    return true;
                  }).ok());
}

TEST_F(LoadTest, DamageIsAnErrorOfTheCall) {
  for (int i = 0; i < 3; ++i) file(kRootMnode, "n" + std::to_string(i));
  remount();
  const auto read = [&] {
    return fs().readdir(kRootMnode, 0, [](const DirectoryEntry&) { return true; }).code();
  };
  disk_.load_error = EIO;
  EXPECT_EQ(read(), EIO);
  EXPECT_EQ(look(kRootMnode, "n0"), EIO);
  EXPECT_EQ(code(fs().create(kRootMnode, "n0", 0600, true, caller_)), EIO);
  EXPECT_EQ(fs().unlink(kRootMnode, "n0").code(), EIO);
  EXPECT_EQ(fs().getxattr(kRootMnode, "user.x").code(), EIO);
  disk_.load_error = 0;
  const std::vector<std::function<void(LoadedEntries&)>> spoils = {
      [](LoadedEntries& e) { e.entries[0].hash ^= 1; },
      [](LoadedEntries& e) { e.entries[0].name = "."; },
      [](LoadedEntries& e) { e.entries[0].name = "a/b"; },
      [](LoadedEntries& e) { e.entries[0].mnode = MnodeNo(); },
      [](LoadedEntries& e) { e.entries[0].mnode = MnodeNo(kMnodeNoLimit); },
      [](LoadedEntries& e) { e.next_hash = 0; },
  };
  for (const auto& spoil : spoils) {
    disk_.spoil_entries = spoil;
    EXPECT_EQ(read(), EUCLEAN);
  }
  disk_.spoil_entries = nullptr;
  disk_.spoil_child = [](Result<LoadedObject>& o) { o->attr.mnode = MnodeNo(); };
  EXPECT_EQ(look(kRootMnode, "n0"), EUCLEAN);
  disk_.spoil_child = nullptr;
  EXPECT_EQ(read(), 0);
  // A name of the listing that the checkpoint then knows nothing of.
  disk_.spoil_child = [](Result<LoadedObject>& o) { o = Errno(ENOENT); };
  EXPECT_EQ(look(kRootMnode, "n1"), EUCLEAN);
}

TEST_F(LoadTest, NoRoomChangesNothingAndReservationsBalance) {
  const MnodeNo f = file(kRootMnode, "f");
  const MnodeNo d = dir(kRootMnode, "d");
  disk_.commit();
  const std::string before = disk_.describe();
  EXPECT_EQ(disk_.log_bytes, 0);
  disk_.reserve_error = ENOSPC;
  SetAttr change;
  change.mode = 0600;
  EXPECT_EQ(code(fs().create(kRootMnode, "x", 0600, true, caller_)), ENOSPC);
  EXPECT_EQ(code(fs().mkdir(kRootMnode, "x", 0600, caller_)), ENOSPC);
  EXPECT_EQ(code(fs().symlink(kRootMnode, "x", "t", caller_)), ENOSPC);
  EXPECT_EQ(code(fs().tmpfile(kRootMnode, 0600, caller_)), ENOSPC);
  EXPECT_EQ(code(fs().link(f, kRootMnode, "x")), ENOSPC);
  EXPECT_EQ(fs().rename(kRootMnode, "f", kRootMnode, "x", RenameMode::replace, caller_).code(),
            ENOSPC);
  EXPECT_EQ(fs().setattr(f, change).code(), ENOSPC);
  EXPECT_EQ(fs().setxattr(f, "user.x", {}, XattrMode::set).code(), ENOSPC);
  disk_.commit();
  EXPECT_EQ(disk_.describe(), before);
  // What gives back is always served.
  EXPECT_EQ(fs().unlink(kRootMnode, "f").code(), 0);
  EXPECT_EQ(fs().rmdir(kRootMnode, "d").code(), 0);
  disk_.reserve_error = 0;
  // Calls that fail after they reserved give it back.
  file(kRootMnode, "a");
  const MnodeNo b = dir(kRootMnode, "b");
  EXPECT_EQ(fs().setxattr(b, "user.x", {}, XattrMode::replace).code(), ENODATA);
  EXPECT_EQ(fs().removexattr(b, "user.x").code(), ENODATA);
  EXPECT_EQ(fs().rename(kRootMnode, "b", b, "c", RenameMode::replace, caller_).code(), EINVAL);
  durable();
  disk_.commit();
  EXPECT_EQ(disk_.log_bytes, 0);
  EXPECT_EQ(disk_.tree_places, 0);
  EXPECT_EQ(fs().getattr(f).code(), ESTALE);
  EXPECT_EQ(fs().getattr(d).code(), ESTALE);
}

TEST_F(LoadTest, NumbersAreExtendedAheadOfUse) {
  std::set<uint64_t> numbers;
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(numbers.insert(file(kRootMnode, "n" + std::to_string(i)).v).second);
  remount();
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(numbers.insert(file(kRootMnode, "m" + std::to_string(i)).v).second);
  disk_.number_limit_step.reset();
  int error = 0;
  for (int i = 0; i < 10 && error == 0; ++i)
    error = code(fs().create(kRootMnode, "o" + std::to_string(i), 0600, true, caller_));
  EXPECT_EQ(error, EROFS);
}

TEST_F(LoadTest, ReplacingRenamesWriteBackFirst) {
  const MnodeNo a = file(kRootMnode, "a");
  const MnodeNo b = file(kRootMnode, "b");
  EXPECT_EQ(fs().rename(kRootMnode, "a", kRootMnode, "c", RenameMode::replace, caller_).code(), 0);
  EXPECT_TRUE(disk_.written_back.empty());
  EXPECT_EQ(fs().rename(kRootMnode, "c", kRootMnode, "b", RenameMode::replace, caller_).code(), 0);
  EXPECT_EQ(disk_.written_back, std::vector<MnodeNo>{a});
  const MnodeNo c = file(kRootMnode, "c");
  EXPECT_EQ(fs().rename(kRootMnode, "b", kRootMnode, "c", RenameMode::exchange, caller_).code(), 0);
  EXPECT_EQ(disk_.written_back, (std::vector<MnodeNo>{a, a, c}));
  (void)b;
}

// More names than anybody makes one by one.
TEST_F(LoadTest, AFileHasNoMoreNamesThanItsCountHolds) {
  const MnodeNo f = file(kRootMnode, "f");
  remount();
  disk_.spoil_child = [](Result<LoadedObject>& found) {
    if (found.ok()) found->attr.nlink = kLinksMax - 1;
  };
  ASSERT_EQ(fs().lookup(kRootMnode, "f").code(), 0);
  EXPECT_EQ(code(fs().link(f, kRootMnode, "g")), 0);
  EXPECT_EQ(fs().getattr(f)->nlink, kLinksMax);
  EXPECT_EQ(code(fs().link(f, kRootMnode, "h")), EMLINK);
  EXPECT_EQ(look(kRootMnode, "h"), ENOENT);
  EXPECT_EQ(fs().getattr(f)->nlink, kLinksMax);
  EXPECT_EQ(fs().unlink(kRootMnode, "g").code(), 0);
  EXPECT_EQ(code(fs().link(f, kRootMnode, "h")), 0);
  fs().forget(f, 1);
}

}  // namespace
}  // namespace scalefs::memfs
