// Renames under seeded interleavings: what tells whether a name is a directory's agrees with what the name means, and
// directories that move at once never make a loop, in memory nor in any prefix of the log, on skewed clocks. Canaries: a
// kind that changes after its value, moves that are not announced, moves that take no stamp from what they passed.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/schedule.h"
#include "memfs/directory.h"
#include "memfs/tree_move.h"
#include "tests/schedule/memfs/worlds.h"
#include "tests/support/fake_names.h"
#include "tests/support/skewed_cores.h"

namespace scalefs::memfs {
namespace {

using schedule::choose;

class RenameSchedule : public ::testing::Test {
 protected:
  const testing::SkewedCores cores_{4, 1};
};

// --- a name that means a file and a full directory by turns. One exchanges, others ask what it is by calls that
// change nothing whatever it is.
class Turns {
 public:
  Turns() : fs_(memory_fs()) {
    (void)fs_->create(kRootMnode, "turn", 0600, true, kCaller);
    for (const char* name : {"other", "full"}) {
      const auto made = fs_->mkdir(kRootMnode, name, 0700, kCaller);
      (void)fs_->create(made->attr.mnode, "inside", 0600, true, kCaller);
    }
    (void)fs_->mkdir(kRootMnode, "empty", 0700, kCaller);
  }

  std::string run(uint64_t seed) {
    // Few switches: two answers have to fit between two stores of an exchange.
    schedule::run({.seed = seed, .switch_percent = 1 + static_cast<int>(seed % 3)},
                  {[this] { exchange(); }, [this] { ask(); }, [this] { ask(); }});
    return wrong_.empty() ? explain() : wrong_;
  }

 private:
  struct Span {
    uint64_t begin, end;
  };
  struct Answer {
    Span span;
    bool directory;
    uint64_t turn;  // the earliest that explains it
  };

  void exchange() {
    for (int i = 0; i < 12; ++i) {
      const uint64_t begin = ++now_;
      if (!fs_->rename(kRootMnode, "turn", kRootMnode, "other", RenameMode::exchange, kCaller).ok())
        wrong_ = "an exchange failed";
      turns_.push_back({begin, ++now_});
    }
  }

  void ask() {
    for (int i = 0; i < 12; ++i) {
      const uint64_t begin = ++now_;
      const bool directory = ask_one();
      answers_.push_back({{begin, ++now_}, directory, 0});
    }
  }

  bool ask_one() {
    // What the call answers of a file, and of a full directory.
    const auto tell = [this](int code, int file, int directory) {
      if (code != file && code != directory) wrong_ = "an answer that fits neither";
      return code == directory;
    };
    const auto rename = [this](const char* from, const char* to) {
      return fs_->rename(kRootMnode, from, kRootMnode, to, RenameMode::replace, kCaller).code();
    };
    switch (choose(4)) {
      case 0: return tell(fs_->rmdir(kRootMnode, "turn").code(), ENOTDIR, ENOTEMPTY);
      case 1: return tell(rename("turn", "full"), EISDIR, ENOTEMPTY);
      case 2: return tell(rename("empty", "turn"), ENOTDIR, ENOTEMPTY);
      default: {
        const auto found = fs_->lookup(kRootMnode, "turn");
        if (!found.ok()) wrong_ = "the name is gone";
        return found.ok() && S_ISDIR(found->attr.mode);
      }
    }
  }

  // Each answer gets the earliest turn that it can be of, in order of beginnings: a later one helps nobody.
  std::string explain() {
    std::sort(answers_.begin(), answers_.end(),
              [](const Answer& a, const Answer& b) { return a.span.begin < b.span.begin; });
    for (size_t i = 0; i < answers_.size(); ++i) {
      Answer& answer = answers_[i];
      uint64_t last = 0;
      for (const Span& turn : turns_) {
        answer.turn += turn.end < answer.span.begin;
        last += turn.begin < answer.span.end;
      }
      for (size_t j = 0; j < i; ++j)
        if (answers_[j].span.end < answer.span.begin)
          answer.turn = std::max(answer.turn, answers_[j].turn);
      if ((answer.turn % 2 != 0) != answer.directory) ++answer.turn;
      if (answer.turn > last) return "an answer is of no turn that it can be of";
    }
    return {};
  }

  std::unique_ptr<MemFs> fs_;
  uint64_t now_ = 0;  // touched between scheduling points only
  std::vector<Span> turns_;
  std::vector<Answer> answers_;
  std::string wrong_;
};

std::string take_turns(uint64_t seed) { return Turns().run(seed); }

TEST_F(RenameSchedule, WhatANameIsAndWhatItMeansAgree) {
  EXPECT_EQ(first_wrong(testing::kSanitized ? 200 : 1000, take_turns), "");
}
TEST_F(RenameSchedule, CanaryAKindThatChangesAfterItsValue) {
  name_kind_canary = true;
  const std::string found = first_wrong(1000, take_turns);
  name_kind_canary = false;
  EXPECT_NE(found, "");
}

// --- directories that move. What they stand in is made in the same run, for each run's clock begins anew. The backend complains of a record after which a directory is not below the root.
std::string complaints_of(const std::function<void()>& run) {
  ::testing::TestPartResultArray complaints;
  {
    ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &complaints);
    run();
  }
  for (int i = 0; i < complaints.size(); ++i)
    if (complaints.GetTestPartResult(i).failed()) return complaints.GetTestPartResult(i).message();
  return {};
}

class Tree {
 public:
  explicit Tree(uint64_t seed) : seed_(seed), cores_(4, seed, 3000) {
    disk_.mount();
  }
  int moves() const { return moves_; }

  std::string run() {
    const std::string complaint = complaints_of([this] {
      std::vector<std::function<void()>> bodies;
      for (int i = 0; i < 3; ++i) bodies.emplace_back([this, i] { move(i); });
      bodies.emplace_back([this] {
        make();
        for (int i = 0; i < 5; ++i) {
          disk_.commit();
          (void)disk_.fs().maintain();
        }
      });
      schedule::run({.seed = seed_, .switch_percent = percent_of(seed_)}, bodies);
      disk_.commit();
    });
    if (!complaint.empty()) return complaint;
    for (const MnodeNo directory : directories_) {
      const auto up = disk_.fs().lookup(directory, "..");
      if (!up.ok() || up->attr.mnode != disk_.committed().at(directory).parent)
        return "the log has another parent than memory";
    }
    return {};
  }

 private:
  MnodeNo some_directory() const { return directories_[choose(directories_.size())]; }
  std::string some_name(MnodeNo directory) {
    std::vector<std::string> names;
    (void)disk_.fs().readdir(directory, 2, [&](const DirectoryEntry& e) {
      names.emplace_back(e.name);
      return true;
    });
    return names.empty() ? "none" : names[choose(names.size())];
  }

  // A chain and a fork, so that some moves are below themselves from the beginning.
  void make() {
    std::vector<MnodeNo> made{kRootMnode};
    for (size_t i = 0; i < 5; ++i) {
      const MnodeNo parent = made[i < 3 ? i : i - 3];
      made.push_back(
          disk_.fs().mkdir(parent, "d" + std::to_string(i), 0700, kCaller)->attr.mnode);
    }
    directories_ = made;
  }

  void move(int worker) {
    while (directories_.empty()) schedule::yield();
    for (int i = 0; i < 6; ++i) {
      const MnodeNo from = some_directory();
      const MnodeNo to = some_directory();
      const std::string name = some_name(from);
      const bool exchange = choose(3) == 0;
      const std::string other =
          exchange ? some_name(to) : "m" + std::to_string(worker) + std::to_string(i);
      const auto mode = exchange ? RenameMode::exchange : RenameMode::no_replace;
      moves_ += disk_.fs().rename(from, name, to, other, mode, kCaller).ok();
    }
  }

  const uint64_t seed_;
  const testing::SkewedCores cores_;  // before the log
  FakeNames disk_;
  std::vector<MnodeNo> directories_;  // none until all are there
  int moves_ = 0;  // touched between scheduling points only
};

TEST(TreeMoveSchedule, EveryPrefixOfTheLogIsATree) {
  constexpr uint64_t kSeeds = testing::kSanitized ? 200 : 1000;
  uint64_t moves = 0;
  EXPECT_EQ(first_wrong(kSeeds,
                        [&](uint64_t seed) {
                          Tree tree(seed);
                          std::string wrong = tree.run();
                          moves += static_cast<uint64_t>(tree.moves());
                          return wrong;
                        }),
            "");
  EXPECT_GT(moves, 2 * kSeeds);
}

// Two, each below what the other moves to. Nobody walks up after both are done, for it might be a loop.
std::string cross(uint64_t seed) {
  const testing::SkewedCores cores(4, seed);
  const auto fs = memory_fs();
  const auto make = [&](MnodeNo parent, const char* name) {
    return fs->mkdir(parent, name, 0700, kCaller)->attr.mnode;
  };
  const MnodeNo a = make(kRootMnode, "a");
  const MnodeNo b = make(kRootMnode, "b");
  const MnodeNo below_a = make(a, "below");
  const MnodeNo below_b = make(b, "below");
  int one = -1, two = -1;
  const auto move = [&](const char* name, MnodeNo to) {
    return fs->rename(kRootMnode, name, to, "x", RenameMode::replace, kCaller).code();
  };
  schedule::run({.seed = seed, .switch_percent = percent_of(seed)},
                {[&] { one = move("a", below_b); }, [&] { two = move("b", below_a); }});
  if (one == 0 && two == 0) return "each is below the other";
  return (one == 0 && two == EINVAL) || (two == 0 && one == EINVAL) ? "" : "neither was moved";
}

TEST(TreeMoveSchedule, OfTwoThatWouldMakeALoopOneMoves) {
  EXPECT_EQ(first_wrong(testing::kSanitized ? 300 : 2000, cross), "");
}
TEST(TreeMoveSchedule, CanaryMovesThatAreNotAnnounced) {
  unannounced_move_canary = true;
  const std::string found = first_wrong(2000, cross);
  unannounced_move_canary = false;
  EXPECT_NE(found, "");
}

// One moves out of the way of another, over buckets that they do not share: their records keep the order.
std::string make_way(uint64_t seed) {
  const testing::SkewedCores cores(4, seed, 3000);
  FakeNames disk;
  MemFs& fs = disk.mount();
  const auto make = [&](MnodeNo parent, const char* name) {
    return fs.mkdir(parent, name, 0700, kCaller)->attr.mnode;
  };
  MnodeNo above, below, aside;
  bool made = false;  // touched between scheduling points only
  const auto move = [&](MnodeNo from, const char* name, MnodeNo to) {
    return fs.rename(from, name, to, name, RenameMode::replace, kCaller).code();
  };
  return complaints_of([&] {
    schedule::run({.seed = seed, .switch_percent = percent_of(seed)},
                  {[&] {
                     above = make(kRootMnode, "above");
                     below = make(above, "below");
                     aside = make(kRootMnode, "aside");
                     made = true;
                     EXPECT_EQ(move(above, "below", aside), 0);
                   },
                   [&] {
                     while (!made) schedule::yield();
                     while (move(kRootMnode, "above", below) != 0) schedule::yield();
                   }});
    disk.commit();
  });
}

TEST(TreeMoveSchedule, WhoMadeWayComesFirstInTheLog) {
  EXPECT_EQ(first_wrong(testing::kSanitized ? 300 : 1000, make_way), "");
}
TEST(TreeMoveSchedule, CanaryStampsWithoutALookAtWhatWasPassed) {
  move_stamp_canary = true;
  const std::string found = first_wrong(1000, make_way);
  move_stamp_canary = false;
  EXPECT_NE(found, "");
}

}  // namespace
}  // namespace scalefs::memfs
