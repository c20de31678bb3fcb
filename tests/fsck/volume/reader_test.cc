// Random histories on a volume, each ended in one of two ways: unmounted in order, or stopped
// behind a sync, so that the journal has to be replayed. The independent reader must then find what
// the reference file system has. Half of the seeds are fixed, half follow from the commit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/history.h"
#include "tests/support/image_programs.h"
#include "tests/support/listing.h"
#include "tests/support/seeds.h"
#include "tests/support/volumes.h"

namespace scalefs::testing {
namespace {

constexpr uint64_t kBytes = 64u << 20;

// What the reference file system has, under the numbers that the volume's answers gave.
class ExpectedListing {
 public:
  ExpectedListing(const History& history, volume::Volume& volume)
      : history_(history), model_(history.model()), fs_(volume.fs()) {}

  std::vector<std::string> lines() {
    add("/", 1, kRootMnode);
    return to_lines(listing_);
  }

 private:
  void add(const std::string& path, ModelId id, MnodeNo mnode) {
    const ModelNode& node = model_.node(id);
    listing_[path] = {node.mode,  node.uid,   node.gid, node.nlink, node.rdev,
                      node.mtime, node.ctime, mnode.v,  node.data,  node.xattrs};
    for (const auto& [name, child] : node.children) {
      add((path == "/" ? "" : path) + "/" + name, child, number(mnode, name, child));
    }
  }
  // Objects that the history never met (whiteouts) are asked for here.
  MnodeNo number(MnodeNo dir, const std::string& name, ModelId id) {
    if (const MnodeNo* known = history_.known(id)) return *known;
    const auto found = fs_.lookup(dir, name);
    EXPECT_TRUE(found.ok()) << name;
    if (!found.ok()) return {};
    fs_.forget(found->attr.mnode, 1);
    return found->attr.mnode;
  }

  const History& history_;
  const ModelFs& model_;
  memfs::MemFs& fs_;
  Listing listing_;
};

// The answer is for ASSERT_NO_FATAL_FAILURE: a failed history is not compared.
void run_history(uint64_t seed, bool orderly) {
  SCOPED_TRACE(
      fmt::format("reproduce: SCALEFS_SEED={} fsck_volume --gtest_filter='Reader*'", seed));
  const auto device = formatted_device(kBytes);
  volume::VolumeOptions volume_options;
  volume_options.threads = false;
  std::string why;
  auto mounted = volume::Volume::mount(*device, volume_options, &why);
  ASSERT_TRUE(mounted.ok()) << why;
  volume::Volume& volume = **mounted;
  HistoryOptions options;
  options.seed = seed;
  History history(options, volume);
  Random random(seed ^ 0x726561646572);
  const uint64_t calls = count_from("SCALEFS_READER_CALLS", kSanitized ? 300 : 1500);
  for (uint64_t i = 0; i < calls; ++i) {
    ASSERT_TRUE(history.step());
    if (random.percent(2)) volume.step_commit();
    if (random.percent(2)) volume.step_writeback();
    // Late checkpoints leave much to the journal.
    if (i < calls / 2 && random.percent(1)) volume.step_checkpoint();
  }
  const std::vector<std::string> expected = ExpectedListing(history, volume).lines();
  if (orderly) {
    ASSERT_TRUE(volume.unmount().ok());
  } else {
    ASSERT_TRUE(history.sync());
    volume.shutdown();
  }
  mounted->reset();
  const ImageFile image(*device);
  const ProgramResult result = run_reader(SCALEFS_SOURCE_DIR, image);
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(difference(result.lines, expected), "");
}

class Reader : public ::testing::TestWithParam<uint64_t> {
 protected:
  uint64_t seed() const {
    uint64_t seed = GetParam() < kFixed ? GetParam() : commit_seed(GetParam());
    seed_given(&seed);
    return seed;
  }

 public:
  static constexpr uint64_t kFixed = kSanitized ? 2 : 6;
};

TEST_P(Reader, AfterUnmount) { run_history(seed(), true); }
TEST_P(Reader, AfterSyncAndStop) { run_history(seed(), false); }

INSTANTIATE_TEST_SUITE_P(Seeds, Reader, ::testing::Range<uint64_t>(0, 2 * Reader::kFixed));

}  // namespace
}  // namespace scalefs::testing
