// Names under seeded interleavings: lookups, creations, removals, renames and resizes of one
// directory are linearizable, a rename never shows neither name, of rmdir and create in it one
// wins, and a load from an older checkpoint brings no removed name back. Canaries: calls put
// together so that they are not atomic.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/core.h"
#include "base/schedule.h"
#include "tests/schedule/memfs/worlds.h"
#include "tests/support/equal_hashes.h"
#include "tests/support/fake_names.h"
#include "tests/support/skewed_cores.h"

namespace scalefs::memfs {
namespace {

using schedule::choose;

class NamesSchedule : public ::testing::Test {
 protected:
  const testing::SkewedCores cores_{4, 1};
};

// --- linearizability of one name: a register that create sets, unlink clears and lookup reads.
struct Call {
  enum Kind { create, unlink, lookup } kind;
  uint64_t begin = 0, end = 0;
  uint64_t result = 0;  // the number made or found; 0: the call said that it could not
};

// Some order that keeps what did not overlap in order explains every result (Wing and Gong, 1993).
bool explained(const std::vector<Call>& calls, uint64_t done, uint64_t value) {
  if (done == (uint64_t{1} << calls.size()) - 1) return true;
  uint64_t first_end = UINT64_MAX;
  for (size_t i = 0; i < calls.size(); ++i)
    if (!(done >> i & 1)) first_end = std::min(first_end, calls[i].end);
  for (size_t i = 0; i < calls.size(); ++i) {
    if (done >> i & 1 || calls[i].begin > first_end) continue;
    const Call& call = calls[i];
    uint64_t next = value;
    bool fits = false;
    if (call.kind == Call::create) {
      fits = (call.result != 0) == (value == 0);
      if (fits && call.result != 0) next = call.result;
    } else if (call.kind == Call::unlink) {
      fits = (call.result != 0) == (value != 0);
      next = 0;
    } else {
      fits = call.result == value;
    }
    if (fits && explained(calls, done | uint64_t{1} << i, next)) return true;
  }
  return false;
}

class Register {
 public:
  explicit Register(bool stale, bool equal_hashes = false)
      : fs_(memory_fs()), stale_(stale), equal_hashes_(equal_hashes) {}
  std::string run(uint64_t seed) {
    std::vector<std::function<void()>> bodies;
    for (int t = 0; t < 3; ++t) bodies.emplace_back([this] { work(); });
    // Others' names make the directory grow under their feet.
    bodies.emplace_back([this] {
      for (int i = 0; i < 40; ++i)
        (void)fs_->create(kRootMnode, "filler" + std::to_string(i), 0600, true, kCaller);
    });
    schedule::run({.seed = seed, .switch_percent = percent_of(seed)}, bodies);
    for (const auto& calls : calls_)
      if (!explained(calls, 0, 0)) return "no order explains what the calls answered";
    return {};
  }

 private:
  void work() {
    for (int i = 0; i < 6; ++i) {
      const size_t which = choose(kNames);
      const std::string name = equal_hashes_ ? std::string(testing::kEqualHashes[0][which])
                                             : "name" + std::to_string(which);
      Call call{static_cast<Call::Kind>(choose(3)), ++now_, 0, 0};
      if (call.kind == Call::create) {
        const auto made = fs_->create(kRootMnode, name, 0600, true, kCaller);
        call.result = made.ok() ? made->attr.mnode.v : 0;
      } else if (call.kind == Call::unlink) {
        call.result = fs_->unlink(kRootMnode, name).ok();
      } else {
        const auto found = fs_->lookup(kRootMnode, name);
        call.result = found.ok() ? found->attr.mnode.v : 0;
        if (stale_ && seen_[which] != 0) call.result = seen_[which];
        seen_[which] = call.result;
      }
      call.end = ++now_;
      calls_[which].push_back(call);
    }
  }

  static constexpr size_t kNames = 2;
  std::unique_ptr<MemFs> fs_;
  const bool stale_;  // a canary: lookups answer what they found once
  const bool equal_hashes_;
  uint64_t now_ = 0;
  uint64_t seen_[kNames] = {};
  std::vector<Call> calls_[kNames];
};

TEST_F(NamesSchedule, NamesAreLinearizable) {
  EXPECT_EQ(first_wrong(200, [](uint64_t seed) { return Register(false).run(seed); }), "");
}
TEST_F(NamesSchedule, NamesWithEqualHashesAreLinearizable) {
  EXPECT_EQ(first_wrong(200, [](uint64_t seed) { return Register(false, true).run(seed); }), "");
}
TEST_F(NamesSchedule, FindsLookupsThatAreNotLinearizable) {
  EXPECT_NE(first_wrong(100, [](uint64_t seed) { return Register(true).run(seed); }), "");
}

// --- a rename, and a reader who looks for the old name and then for the new one
std::string rename_run(uint64_t seed, bool torn) {
  const auto fs = memory_fs();
  constexpr int kRenames = 4;
  for (int i = 0; i < kRenames; ++i)
    (void)fs->create(kRootMnode, "a" + std::to_string(i), 0600, true, kCaller);
  std::string wrong;
  const auto found = [&](const std::string& name) { return fs->lookup(kRootMnode, name).ok(); };
  bool done = false;  // only touched between scheduling points
  const auto read = [&] {
    while (!done) {
      for (int i = 0; i < kRenames; ++i) {
        const std::string n = std::to_string(i);
        if (!found("a" + n) && !found("b" + n)) wrong = "neither name of " + n;
      }
    }
  };
  schedule::run(
      {.seed = seed, .switch_percent = percent_of(seed)},
      {[&] {
         for (int i = 0; i < kRenames; ++i) {
           const std::string a = "a" + std::to_string(i);
           const std::string b = "b" + std::to_string(i);
           if (torn) {
             (void)fs->unlink(kRootMnode, a);
             (void)fs->create(kRootMnode, b, 0600, true, kCaller);
           } else if (!fs->rename(kRootMnode, a, kRootMnode, b, RenameMode::replace, kCaller)
                           .ok()) {
             wrong = "a rename failed";
           }
         }
         done = true;
       },
       read, read,
       [&] {
         for (int i = 0; i < 40; ++i)
           (void)fs->create(kRootMnode, "filler" + std::to_string(i), 0600, true, kCaller);
       }});
  return wrong;
}

TEST_F(NamesSchedule, RenameNeverShowsNeitherName) {
  EXPECT_EQ(first_wrong(200, [](uint64_t seed) { return rename_run(seed, false); }), "");
}
TEST_F(NamesSchedule, FindsARenameInTwoSteps) {
  EXPECT_NE(first_wrong(100, [](uint64_t seed) { return rename_run(seed, true); }), "");
}

// --- rmdir against makers of names in it; directory renames against each other
TEST_F(NamesSchedule, OfRmdirAndCreateOneWins) {
  EXPECT_EQ(
      first_wrong(200,
                  [](uint64_t seed) -> std::string {
                    const auto fs = memory_fs();
                    const MnodeNo d = fs->mkdir(kRootMnode, "d", 0700, kCaller)->attr.mnode;
                    const MnodeNo f = fs->create(kRootMnode, "f", 0600, true, kCaller)->attr.mnode;
                    int removed = -1, made = -1, linked = -1;
                    schedule::run({.seed = seed, .switch_percent = percent_of(seed)},
                                  {[&] { removed = fs->rmdir(kRootMnode, "d").code(); },
                                   [&] { made = fs->create(d, "x", 0600, true, kCaller).code(); },
                                   [&] { linked = fs->link(f, d, "y").code(); }});
                    const bool both = removed == 0 && (made == 0 || linked == 0);
                    const bool none = removed == ENOTEMPTY && made != 0 && linked != 0;
                    if (both) return "a name in a removed directory";
                    if (none) return "not empty, and nobody made a name";
                    return {};
                  }),
      "");
}

TEST_F(NamesSchedule, DirectoriesNeverFormALoop) {
  EXPECT_EQ(
      first_wrong(
          200,
          [](uint64_t seed) -> std::string {
            const auto fs = memory_fs();
            const MnodeNo a = fs->mkdir(kRootMnode, "a", 0700, kCaller)->attr.mnode;
            const MnodeNo b = fs->mkdir(kRootMnode, "b", 0700, kCaller)->attr.mnode;
            int one = -1, two = -1;
            const auto move = [&](const char* name, MnodeNo to) {
              return fs->rename(kRootMnode, name, to, "x", RenameMode::replace, kCaller).code();
            };
            schedule::run({.seed = seed, .switch_percent = percent_of(seed)},
                          {[&] { one = move("a", b); }, [&] { two = move("b", a); }});
            if (one == 0 && two == 0) return "each is below the other";
            return one == 0 || two == 0 ? "" : "neither was moved";
          }),
      "");
}

// --- a load from an older checkpoint against the end of a tombstone
TEST_F(NamesSchedule, LoadsBringNoRemovedNameBack) {
  EXPECT_EQ(
      first_wrong(200,
                  [](uint64_t seed) -> std::string {
                    FakeNames disk;
                    disk.mount();
                    for (const char* name : {"a", "b", "c"})
                      disk.fs().forget(
                          disk.fs().create(kRootMnode, name, 0600, true, kCaller)->attr.mnode, 1);
                    disk.commit();
                    disk.checkpoint();
                    MemFs& fs = disk.mount();
                    // A load that has read the checkpoint answers at any time, or only when the
                    // name is gone for good.
                    constexpr uint32_t kReader = 0;
                    bool reading = false;
                    bool removed = false;
                    disk.in_load = [&] {
                      reading = true;
                      if (current_core() == kReader && choose(2) == 0)
                        while (!removed) schedule::yield();
                    };
                    schedule::run({.seed = seed, .switch_percent = percent_of(seed)},
                                  {[&] {
                                     if (seed % 2 == 0) {
                                       const auto found = fs.lookup(kRootMnode, "a");
                                       if (found.ok()) fs.forget(found->attr.mnode, 1);
                                     } else {
                                       (void)fs.readdir(kRootMnode, 0,
                                                        [](const DirectoryEntry&) { return true; });
                                     }
                                     reading = true;
                                   },
                                   [&] {
                                     while (choose(2) == 0 && !reading) schedule::yield();
                                     (void)fs.unlink(kRootMnode, "a");
                                     disk.commit();
                                     disk.checkpoint();
                                     for (int i = 0; i < 4; ++i) fs.maintain();
                                     removed = true;
                                   },
                                   [&] { (void)fs.lookup(kRootMnode, "nothing"); }});
                    if (fs.lookup(kRootMnode, "a").ok()) return "a removed name is back";
                    for (const char* name : {"b", "c"})
                      if (!fs.lookup(kRootMnode, name).ok()) return "a name is lost";
                    return {};
                  }),
      "");
}

// --- counts: exact at every moment, and the end comes once
TEST_F(NamesSchedule, LinkCountsAreOfOneMomentAndEndsComeOnce) {
  EXPECT_EQ(
      first_wrong(200,
                  [](uint64_t seed) -> std::string {
                    const auto fs = memory_fs();
                    const MnodeNo f = fs->create(kRootMnode, "f", 0600, true, kCaller)->attr.mnode;
                    std::string wrong;
                    schedule::run({.seed = seed, .switch_percent = percent_of(seed)},
                                  {[&] {
                                     for (int i = 0; i < 4; ++i) {
                                       (void)fs->link(f, kRootMnode, "g");
                                       (void)fs->unlink(kRootMnode, "f");
                                       (void)fs->link(f, kRootMnode, "f");
                                       (void)fs->unlink(kRootMnode, "g");
                                       fs->forget(f, 2);
                                     }
                                   },
                                   [&] {
                                     for (int i = 0; i < 6; ++i) {
                                       const auto attr = fs->getattr(f);
                                       if (!attr.ok() || attr->nlink < 1 || attr->nlink > 2)
                                         wrong = "a count that never was";
                                     }
                                   },
                                   [&] {
                                     for (int i = 0; i < 4; ++i) fs->maintain();
                                   }});
                    if (!wrong.empty()) return wrong;
                    (void)fs->unlink(kRootMnode, "f");
                    for (int i = 0; i < 5; ++i) fs->maintain();
                    if (fs->getattr(f).code() != 0) return "gone with a lookup left";
                    fs->forget(f, 1);
                    for (int i = 0; i < 5; ++i) fs->maintain();
                    return fs->getattr(f).code() == ESTALE ? ""
                                                           : "still there without name and lookup";
                  }),
      "");
}

// --- the end of an object against somebody who finds it. One core and few switches: the whole review has to fit between
// two steps of a lookup.
std::string end_run(uint64_t seed) {
  const auto fs = memory_fs();
  const MnodeNo f = fs->create(kRootMnode, "f", 0600, true, kCaller)->attr.mnode;
  fs->forget(f, 1);
  std::string wrong;
  int looking = 3;
  const auto look = [&] {
    for (int i = 0; i < 30; ++i) {
      const auto found = fs->lookup(kRootMnode, "f");
      if (!found.ok()) break;
      if (!fs->getattr(f).ok()) wrong = "found, and gone";
      fs->forget(f, 1);
    }
    --looking;
  };
  const auto remove = [&] {
    for (uint64_t wait = 3 + choose(9); wait != 0; --wait) schedule::yield();
    (void)fs->unlink(kRootMnode, "f");
    for (int i = 0; i < 30 && looking != 0; ++i) (void)fs->maintain();
  };
  schedule::run({.seed = seed, .switch_percent = 1}, {look, look, look, remove});
  if (!wrong.empty()) return wrong;
  for (int i = 0; i < 5; ++i) fs->maintain();
  if (fs->getattr(f).code() != ESTALE) return "still there without name and lookup";
  return fs->usage().mnodes == 1 ? "" : "counted after its end";
}

TEST(EndsSchedule, ALookupKeepsWhatItFound) {
  const testing::SkewedCores cores(1, 1);
  EXPECT_EQ(first_wrong(testing::kSanitized ? 300 : 2000, end_run), "");
}

}  // namespace
}  // namespace scalefs::memfs
