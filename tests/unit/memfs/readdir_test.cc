// Listing directories: order, cookies, stability while names come and go and the table grows.
#include <map>
#include <set>

#include "memfs/directory.h"
#include "tests/support/seeds.h"
#include "tests/unit/memfs/memory_fs.h"

namespace scalefs::memfs {
namespace {

class ReaddirTest : public MemoryFsTest {
 protected:
  // Up to `count` entries from `cookie` on; the cookie to go on from.
  uint64_t part(MnodeNo d, uint64_t cookie, size_t count, std::vector<std::string>* names) {
    EXPECT_TRUE(fs_.readdir(d, cookie, [&](const DirectoryEntry& e) {
                     if (count-- == 0) return false;
                     names->emplace_back(e.name);
                     cookie = e.next_cookie;
                     return count > 0;
                   }).ok());
    return cookie;
  }
};

TEST_F(ReaddirTest, DotsComeFirstWithTheirCookies) {
  const MnodeNo d = dir(kRootMnode, "d");
  file(d, "f");
  std::vector<std::pair<std::string, uint64_t>> seen;
  EXPECT_TRUE(fs_.readdir(d, 0, [&](const DirectoryEntry& e) {
                   seen.emplace_back(e.name, e.next_cookie);
                   EXPECT_EQ(e.mnode, e.name == "." ? d : e.name == ".." ? kRootMnode : e.mnode);
                   EXPECT_EQ(e.type, e.name == "f" ? 8 : 4);
                   return true;
                 }).ok());
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0], (std::pair<std::string, uint64_t>(".", 1)));
  EXPECT_EQ(seen[1], (std::pair<std::string, uint64_t>("..", 2)));
  EXPECT_GE(seen[2].second, 3u);
  EXPECT_LT(seen[2].second, uint64_t{1} << 63);
  for (const uint64_t end : {seen[2].second, uint64_t{INT64_MAX}, UINT64_MAX}) {
    std::vector<std::string> names;
    part(d, end, 10, &names);
    EXPECT_TRUE(names.empty()) << end;
  }
}

TEST_F(ReaddirTest, EveryCookieGoesOnWhereItWasGiven) {
  for (int i = 0; i < 200; ++i) file(kRootMnode, "n" + std::to_string(i));
  std::vector<std::string> whole;
  std::vector<uint64_t> cookies;
  EXPECT_TRUE(fs_.readdir(kRootMnode, 0, [&](const DirectoryEntry& e) {
                   whole.emplace_back(e.name);
                   cookies.push_back(e.next_cookie);
                   return true;
                 }).ok());
  ASSERT_EQ(whole.size(), 202u);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::vector<std::string> rest;
    part(kRootMnode, cookies[i], SIZE_MAX, &rest);
    ASSERT_EQ(rest, std::vector<std::string>(whole.begin() + static_cast<ptrdiff_t>(i) + 1,
                                             whole.end()));
  }
}

TEST_F(ReaddirTest, NamesThatStayAreGivenOnceWhileOthersComeAndGo) {
  std::set<std::string> stay;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "stay" + std::to_string(i);
    file(kRootMnode, name);
    stay.insert(name);
  }
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  for (int round = 0;; ++round) {
    std::vector<std::string> names;
    cookie = part(kRootMnode, cookie, 7, &names);
    if (names.empty()) break;
    seen.insert(names.begin(), names.end());
    // The table grows several times meanwhile.
    for (int i = 0; i < 60; ++i)
      file(kRootMnode, "new" + std::to_string(round) + "-" + std::to_string(i));
    for (int i = 0; round > 0 && i < 60; i += 2) {
      const std::string old = "new" + std::to_string(round - 1) + "-" + std::to_string(i);
      EXPECT_EQ(code(fs_.unlink(kRootMnode, old)), 0);
    }
    if (round > 200) break;
  }
  std::vector<std::string> names;
  part(kRootMnode, cookie, SIZE_MAX, &names);
  seen.insert(names.begin(), names.end());
  for (const std::string& name : stay) EXPECT_EQ(seen.count(name), 1u) << name;
  for (auto it = seen.begin(); it != seen.end(); it = seen.upper_bound(*it))
    EXPECT_EQ(seen.count(*it), 1u) << *it;
}

TEST_F(ReaddirTest, ManyNames) {
  constexpr int kNames = testing::kThreadSanitized ? 30'000 : 100'000;
  for (int i = 0; i < kNames; ++i)
    fs_.forget(file(kRootMnode, "file-" + std::to_string(i)), 1);
  size_t count = 0;
  uint64_t last = 0;
  EXPECT_TRUE(fs_.readdir(kRootMnode, 2, [&](const DirectoryEntry& e) {
                   ++count;
                   EXPECT_GT(e.next_cookie, last);
                   last = e.next_cookie;
                   return true;
                 }).ok());
  EXPECT_EQ(count, size_t{kNames});
  for (int i = 0; i < kNames; i += 997) EXPECT_TRUE(find(kRootMnode, "file-" + std::to_string(i)));
  for (int i = 0; i < kNames; ++i)
    EXPECT_EQ(fs_.unlink(kRootMnode, "file-" + std::to_string(i)).code(), 0);
  EXPECT_TRUE(list(kRootMnode).empty());
  settle();
  EXPECT_EQ(fs_.usage().mnodes, 1u);
}

TEST_F(ReaddirTest, ReaddirplusCountsOneLookupForEachEntryItGave) {
  const MnodeNo f = file(kRootMnode, "f");
  fs_.forget(f, 1);
  const auto plus = [&](bool take) {
    EXPECT_TRUE(fs_.readdirplus(kRootMnode, 2, [&](const DirectoryEntry& e, const Attr* attr) {
                     EXPECT_EQ(e.mnode, f);
                     EXPECT_EQ(attr->nlink, 1u);
                     return take;
                   }).ok());
  };
  plus(true);
  plus(false);
  EXPECT_EQ(code(fs_.unlink(kRootMnode, "f")), 0);
  settle();
  EXPECT_EQ(fs_.getattr(f).code(), 0);
  fs_.forget(f, 1);
  settle();
  EXPECT_EQ(fs_.getattr(f).code(), ESTALE);
}

// Objects are pinned by batches: those that were pinned and not given keep nothing, wherever in a batch the listing ends.
TEST_F(ReaddirTest, ReaddirplusInPartsCountsLookupsOfWhatItGaveAlone) {
  constexpr uint64_t kNames = 300;
  std::map<MnodeNo, uint64_t> held;
  for (uint64_t i = 0; i < kNames; ++i) {
    const MnodeNo f = file(kRootMnode, "file-" + std::to_string(i));
    fs_.forget(f, 1);
    held[f] = 0;
  }
  for (const uint64_t part : {1, 7, 63, 64, 65, 299, 1000}) {
    uint64_t cookie = 2;
    uint64_t given = 0;
    for (bool more = true; more;) {
      uint64_t room = part;
      more = false;
      EXPECT_TRUE(fs_.readdirplus(kRootMnode, cookie, [&](const DirectoryEntry& e, const Attr* attr) {
                       if (room == 0) return !(more = true);
                       EXPECT_EQ(attr->mnode, e.mnode);
                       --room;
                       ++given;
                       ++held.at(e.mnode);
                       cookie = e.next_cookie;
                       return true;
                     }).ok());
    }
    EXPECT_EQ(given, kNames) << part;
  }
  for (uint64_t i = 0; i < kNames; ++i) EXPECT_EQ(fs_.unlink(kRootMnode, "file-" + std::to_string(i)).code(), 0);
  settle();
  EXPECT_EQ(fs_.usage().mnodes, kNames + 1);
  // All lookups but one, all at once, with an object between that nobody knows.
  std::vector<Lookups> several = {{MnodeNo(kMnodeNoLimit - 1), 1}};
  for (const auto& [mnode, count] : held) {
    EXPECT_EQ(count, 7u);
    several.insert(several.begin() + static_cast<ptrdiff_t>(several.size() / 2), {mnode, count - 1});
  }
  fs_.forget(several);
  settle();
  EXPECT_EQ(fs_.usage().mnodes, kNames + 1);
  for (Lookups& one : several) one.count = 1;
  fs_.forget(several);
  settle();
  EXPECT_EQ(fs_.usage().mnodes, 1u);
}

TEST(Cookies, ArePositionsOfHashes) {
  for (const uint64_t hash : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{1} << 63, UINT64_MAX,
                              UINT64_MAX - 1, UINT64_MAX - 9}) {
    const uint64_t position = position_of_hash(hash);
    const uint64_t cookie = cookie_after(position);
    EXPECT_GE(cookie, 3u);
    EXPECT_LE(cookie, uint64_t{INT64_MAX});
    if (position < kPositionMax) {
      EXPECT_GT(hash_of_cookie(cookie), hash);
      EXPECT_LE(hash_of_cookie(cookie), (hash | 1) + 1);
    }
  }
}

}  // namespace
}  // namespace scalefs::memfs
