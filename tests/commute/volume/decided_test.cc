// The reference that judges the matrix, against cases that were decided by hand; and the lists that decide
// what the matrix lets pass.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/commute/matrix/decided.h"
#include "tests/commute/matrix/exceptions.h"
#include "tests/commute/matrix/lists.h"

namespace scalefs::matrix {
namespace {

std::vector<Decided> decided() {
  std::string error;
  auto cases =
      read_decided(std::string(SCALEFS_SOURCE_DIR) + "/tests/commute/matrix/decided.txt", &error);
  EXPECT_EQ(error, "");
  return cases;
}

TEST(Decided, TheReferenceSaysWhatWasDecidedByHand) {
  for (const Decided& d : decided()) {
    const Verdict verdict = judge(d.world, d.first, d.second);
    EXPECT_FALSE(verdict.undecided) << d.text;
    EXPECT_EQ(verdict.commutes, d.commutes) << d.text << ": " << d.why;
    EXPECT_EQ(verdict.changes, d.changes) << d.text << ": " << d.why;
    World durable = d.world;
    durable.keep_promises();
    EXPECT_EQ(judge(durable, d.first, d.second).commutes, d.on_disk) << d.text << ": " << d.why;
    // In the other order of arguments too.
    EXPECT_EQ(judge(d.world, d.second, d.first).commutes, d.commutes) << d.text;
  }
}

TEST(Decided, EveryCallIsAmongThem) {
  const auto cases = decided();
  EXPECT_GE(cases.size(), 200u);
  size_t commuting = 0;
  std::map<std::string, std::set<bool>> seen;
  for (const Decided& d : cases) {
    commuting += d.commutes;
    seen[op_name(d.first.op)].insert(d.commutes);
    seen[op_name(d.second.op)].insert(d.commutes);
  }
  EXPECT_GE(commuting, 80u);
  EXPECT_GE(cases.size() - commuting, 80u);
  EXPECT_EQ(seen.size(), kOps);
  for (const auto& [op, verdicts] : seen) {
    if (op != "forget") {
      EXPECT_EQ(verdicts.size(), 2u) << op;
    }
  }
}

class Lists : public ::testing::Test {
 protected:
  std::string file(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  ~Lists() override { std::remove(path_.c_str()); }
  const std::string path_ = ::testing::TempDir() + "/scalefs_commute_list_" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(Lists, AnExceptionNamesBothPlacesAndTheObject) {
  std::string why;
  Exceptions list(file("# why\nboth | * | a.cc f | b.cc g | block from c.cc h | reviewed\n"), "disk", &why);
  EXPECT_EQ(why, "");
  EXPECT_TRUE(list.names({"a.cc:12 f", "b.cc:7 g", "block of 64 bytes from c.cc:3 h"}, "seek,punch", true));
  EXPECT_TRUE(list.names({"b.cc:7 g", "a.cc:12 f", "block of 128 bytes from c.cc:3 h"}, "seek,punch", true));
  EXPECT_FALSE(list.names({"a.cc:12 f", "a.cc:12 f", "block of 64 bytes from c.cc:3 h"}, "seek,punch", true));
  EXPECT_FALSE(list.names({"a.cc:12 f", "b.cc:7 g", "block of 64 bytes from c.cc:3 other"}, "seek,punch", true));
  EXPECT_FALSE(list.names({"a.cc:12 f", "b.cc:7 g2", "block of 64 bytes from c.cc:3 h"}, "seek,punch", true));
}

TEST_F(Lists, WhatProgramsLiveFromIsExcusedByNameAlone) {
  const SharedLine line{"a.cc:12 f", "b.cc:7 g", "block of 64 bytes from c.cc:3 h"};
  std::string why;
  Exceptions any(file("both | * | a.cc f | b.cc g | block from c.cc h | reviewed\n"), "disk", &why);
  EXPECT_FALSE(any.excuse(line, "read,punch", false));
  EXPECT_TRUE(any.excuse(line, "seek,punch", true));
  EXPECT_EQ(any.entries()[0].cases.at("*"), 1u);
  Exceptions named(file("both | read,punch seek,read | a.cc f | b.cc g | block from c.cc h | why\n"), "disk", &why);
  EXPECT_EQ(why, "");
  EXPECT_TRUE(named.excuse(line, "read,punch", false));
  EXPECT_FALSE(named.excuse(line, "write,punch", false));
  EXPECT_FALSE(named.excuse(line, "seek,punch", true));
  EXPECT_EQ(named.entries()[0].cases.at("read,punch"), 1u);
  EXPECT_EQ(named.entries()[0].cases.at("seek,read"), 0u);
  Exceptions(file("both | * read,punch | a | b | c | why\n"), "disk", &why);
  EXPECT_NE(why, "");
}

TEST_F(Lists, TwentyExceptionsAreTheMost) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "disk | * | a | b | " + std::to_string(i) + " | reviewed\n";
  std::string why;
  Exceptions(file(text), "memory", &why);
  EXPECT_EQ(why, "");
  Exceptions(file(text + "disk | * | a | b | c | reviewed\n"), "memory", &why);
  EXPECT_NE(why, "");
}

TEST_F(Lists, WhatProgramsLiveFromIsNotExcused) {
  for (const Decided& d : decided()) {
    const std::string op = op_name(d.first.op);
    static const std::set<std::string> never = {"create", "create_excl", "link",  "unlink",
                                                "lookup", "getattr",     "read",  "write",
                                                "append", "write_ext"};
    const bool renames = op.compare(0, 6, "rename") == 0;
    if (!renames) {
      EXPECT_EQ(excusable(d.world, d.first), never.count(op) == 0) << d.text;
    } else if (!d.world.is_directory(d.first.slot)) {
      EXPECT_FALSE(excusable(d.world, d.first)) << d.text;
    }
  }
}

TEST_F(Lists, WhatIsNotWellFormedIsRefused) {
  for (const char* text : {"* | 1\n", "* | 1 | x\n", "a,b | 1 | 1\n", "* | 1 | 1\na,b | 1 | 1\na,b | 2 | 2\n", "* | 1 | \n"}) {
    std::string why;
    Floors(file(text), &why);
    EXPECT_NE(why, "") << text;
  }
  for (const char* text : {"both | * | a | b | c\n", "all | * | a | b | c | why\n", "both | * | a | b | c | \n"}) {
    std::string why;
    Exceptions(file(text), "disk", &why);
    EXPECT_NE(why, "") << text;
  }
}

}  // namespace
}  // namespace scalefs::matrix
