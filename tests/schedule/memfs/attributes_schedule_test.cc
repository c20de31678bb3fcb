// Attributes and xattrs of one object under seeded interleavings, every core's clock off by a random amount: changes of
// one kind meet under that kind's lock and no other, and still the records in the order of their stamps give what
// memory shows. Canary: buckets of xattrs that forget stamps.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/schedule.h"
#include "memfs/xattrs.h"
#include "tests/schedule/memfs/worlds.h"
#include "tests/support/fake_names.h"
#include "tests/support/skewed_cores.h"

namespace scalefs::memfs {
namespace {

using schedule::choose;

constexpr int kWorkers = 3;
constexpr int kCalls = 6;  // a worker

std::string run_changes(uint64_t seed) {
  const testing::SkewedCores cores(4, seed, 3000);
  FakeNames disk;
  MemFs& fs = disk.mount();
  const auto made = fs.create(kRootMnode, "f", 0600, true, kCaller);
  const MnodeNo file = made->attr.mnode;
  disk.commit();
  const auto some_xattr = [] { return "user." + std::to_string(choose(3)); };
  const auto change = [&] {
    SetAttr attributes;
    switch (choose(7)) {
      case 0: attributes.mode = 0600 + choose(8); break;
      case 1: attributes.uid = attributes.gid = choose(8); break;
      case 2: attributes.atime_ns = attributes.mtime_ns = -1 - static_cast<int64_t>(choose(8)); break;
      case 3:
        attributes.mode = 0600 + choose(8);
        attributes.mtime_ns = -1 - static_cast<int64_t>(choose(8));
        break;
      case 4: (void)fs.removexattr(file, some_xattr()); return;
      default: {
        const std::vector<std::byte> value(1 + choose(2));
        (void)fs.setxattr(file, some_xattr(), value, XattrMode::set);
        return;
      }
    }
    (void)fs.setattr(file, attributes);
  };
  std::vector<std::function<void()>> bodies(kWorkers, [&] {
    for (int i = 0; i < kCalls; ++i) change();
  });
  bodies.emplace_back([&] {
    for (int i = 0; i < 4; ++i) (void)fs.maintain();
  });
  ::testing::TestPartResultArray complaints;
  {
    // The backend's: of records that contradict those before.
    ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &complaints);
    schedule::run({.seed = seed, .switch_percent = percent_of(seed)}, bodies);
    disk.commit();
  }
  for (int i = 0; i < complaints.size(); ++i)
    if (complaints.GetTestPartResult(i).failed()) return complaints.GetTestPartResult(i).message();
  // Which of two changes with one stamp is the later one is the log's affair alone.
  if (disk.equal_stamps != 0) return {};
  const FakeNames::Object& logged = disk.committed().at(file);
  const Attr shown = *fs.getattr(file);
  if (logged.attr.mode != shown.mode) return "the log has another mode";
  if (logged.attr.uid != shown.uid || logged.attr.gid != shown.gid)
    return "the log has another owner";
  if (logged.attr.mtime_ns != shown.mtime_ns || logged.attr.atime_ns != shown.atime_ns)
    return "the log has other times";
  if (logged.attr.ctime_ns != shown.ctime_ns) return "the log has another ctime";
  if (logged.xattrs.size() != fs.listxattr(file)->size()) return "the log has other xattrs";
  for (const auto& [name, value] : logged.xattrs) {
    const auto present = fs.getxattr(file, name);
    if (!present.ok() || *present != value) return "the log has another value";
  }
  return {};
}

TEST(AttributesSchedule, RecordsInOrderGiveWhatMemoryShows) {
  EXPECT_EQ(first_wrong(testing::kSanitized ? 100 : 600, run_changes), "");
}

TEST(AttributesSchedule, CanaryBucketsOfXattrsThatForgetStamps) {
  xattr_stamp_canary = true;
  const std::string found = first_wrong(300, run_changes);
  xattr_stamp_canary = false;
  EXPECT_NE(found, "");
}

}  // namespace
}  // namespace scalefs::memfs
