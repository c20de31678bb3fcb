// Random calls on names over a backend; what is committed is what memory shows, before and after
// remounts.
#include <map>
#include <vector>

#include "base/random.h"
#include "tests/support/seeds.h"
#include "tests/unit/memfs/load_fs.h"

namespace scalefs::memfs {
namespace {

class RandomNames : public LoadTest {
 protected:
  // Everything below `directory`, by way of the calls.
  void walk(MnodeNo directory, std::string prefix, std::string* text) {
    std::map<std::string, MnodeNo> names;
    EXPECT_TRUE(fs().readdir(directory, 0, [&](const DirectoryEntry& e) {
                      if (e.name != "." && e.name != "..") names.emplace(e.name, e.mnode);
                      return true;
                    }).ok());
    for (const auto& [name, number] : names) {
      const auto entry = fs().lookup(directory, name);
      ASSERT_TRUE(entry.ok()) << name;
      ASSERT_EQ(entry->attr.mnode, number);
      fs().forget(number, 1);
      *text += prefix + name + " " + std::to_string(number.v) + " " +
               std::to_string(entry->attr.mode) + " " + std::to_string(entry->attr.nlink) + "\n";
      if (S_ISDIR(entry->attr.mode)) walk(number, prefix + name + "/", text);
    }
  }
  void walk_committed(MnodeNo directory, std::string prefix, std::string* text) {
    for (const auto& [name, number] : disk_.committed().at(directory).names) {
      const Attr& attr = disk_.committed().at(number).attr;
      *text += prefix + name + " " + std::to_string(number.v) + " " + std::to_string(attr.mode) +
               " " + std::to_string(attr.nlink) + "\n";
      if (S_ISDIR(attr.mode)) walk_committed(number, prefix + name + "/", text);
    }
  }
  void compare() {
    disk_.commit();
    std::string memory, committed;
    walk(kRootMnode, "/", &memory);
    walk_committed(kRootMnode, "/", &committed);
    ASSERT_EQ(memory, committed);
  }
};

TEST_F(RandomNames, MemoryAndLogAgree) {
  uint64_t only = 0;
  const bool given = testing::seed_given(&only);
  for (uint64_t seed = given ? only : 1; seed <= (given ? only : testing::seeds_of(15)); ++seed) {
    SCOPED_TRACE("SCALEFS_SEED=" + std::to_string(seed));
    Random random(seed);
    std::vector<MnodeNo> directories{kRootMnode};
    const auto name = [&] { return "n" + std::to_string(random.below(12)); };
    const auto any = [&] { return directories[random.below(directories.size())]; };
    for (int step = 0; step < 600; ++step) {
      const MnodeNo d = any();
      switch (random.below(10)) {
        case 0:
        case 1: (void)code(fs().create(d, name(), 0644, random.percent(50), caller_)); break;
        case 2: {
          const auto made = fs().mkdir(d, name(), 0755, caller_);
          if (made.ok()) directories.push_back(made->attr.mnode);
          (void)code(made);
          break;
        }
        case 3: (void)fs().unlink(d, name()); break;
        case 4: (void)fs().rmdir(d, name()); break;
        case 5:
        case 6:
          (void)fs().rename(d, name(), any(), name(), static_cast<RenameMode>(random.below(4)),
                            caller_);
          break;
        case 7: {
          const auto target = fs().lookup(any(), name());
          if (!target.ok()) break;
          (void)code(fs().link(target->attr.mnode, d, name()));
          fs().forget(target->attr.mnode, 1);
          break;
        }
        case 8:
          if (random.percent(50)) fs().maintain();
          if (random.percent(20)) disk_.commit();
          if (random.percent(10)) disk_.checkpoint();
          break;
        default: (void)look(d, name());
      }
      if (random.below(200) == 0) compare();
      if (random.below(150) == 0) {
        remount();
        directories = {kRootMnode};
        // Names lead to the directories again.
        for (size_t i = 0; i < directories.size() && i < 20; ++i) {
          (void)fs().readdirplus(directories[i], 2, [&](const DirectoryEntry& e, const Attr* a) {
            if (a != nullptr && S_ISDIR(a->mode)) directories.push_back(e.mnode);
            return true;
          });
        }
      }
      if (HasFatalFailure()) return;
    }
    compare();
    remount();
    compare();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace scalefs::memfs
