// What happens once in many calls and does move lines between cores: a directory that grows, refills of
// numbers, of log room and of credits for blocks, trees that gain a level, steps of epochs. The matrix
// counts it apart; here is what it costs. Two cores make calls in turn from the first one on, nothing
// warmed up and no maintenance between, and the lines that travel are counted (caches.h): per call,
// over the first n calls of each core. Writes commute_rare_<volume>.txt to the build folder.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/clock.h"
#include "base/core.h"
#include "diskfs/memory_device.h"
#include "tests/commute/recorder/recorder.h"
#include "tests/commute/simulation/caches.h"
#include "tests/support/volumes.h"
#include "volume/volume.h"

namespace scalefs::matrix {
namespace {

constexpr int kCores = 2;
constexpr int kBuilder = 2;
constexpr int kCounts[] = {4, 16, 64, 256, 1024, 2048};
constexpr uint64_t kDiskBytes = uint64_t{8} << 30;  // sparse

struct Hands {  // what a core works with
  MnodeNo dir, file;
  std::string name, other;
  std::vector<std::byte> page = std::vector<std::byte>(kBlockBytes);
};

struct Work {
  const char* name;
  bool shared;  // one directory for both
  double most_memory, most_disk;  // lines a call at the end; may only fall
  void (*call)(memfs::MemFs&, Hands&, int);
};

void check(const Status& status) { SCALEFS_CHECK(status.ok()); }
void drop(memfs::MemFs& fs, const Result<memfs::Entry>& made) {
  SCALEFS_CHECK(made.ok());
  fs.forget(made->attr.mnode, 1);
}

const Work kWorks[] = {
    {"create in one directory", true, 4.0, 4.0,
     [](memfs::MemFs& fs, Hands& h, int) { drop(fs, fs.create(h.dir, h.name, 0644, true, {})); }},
    {"create in own directories", false, 0.1, 0.15,
     [](memfs::MemFs& fs, Hands& h, int) { drop(fs, fs.create(h.dir, h.name, 0644, true, {})); }},
    {"mkdir in own directories", false, 0.1, 0.15,
     [](memfs::MemFs& fs, Hands& h, int) { drop(fs, fs.mkdir(h.dir, h.name, 0755, {})); }},
    {"create and unlink", false, 0.1, 0.15,
     [](memfs::MemFs& fs, Hands& h, int) {
       drop(fs, fs.create(h.dir, h.name, 0644, true, {}));
       check(fs.unlink(h.dir, h.name));
     }},
    {"link, rename and unlink", false, 0.1, 0.2,
     [](memfs::MemFs& fs, Hands& h, int) {
       drop(fs, fs.link(h.file, h.dir, h.name));
       check(fs.rename(h.dir, h.name, h.dir, h.other, memfs::RenameMode::replace, {}));
       check(fs.unlink(h.dir, h.other));
     }},
    {"append a page", false, 0.02, 0.1,
     [](memfs::MemFs& fs, Hands& h, int) { SCALEFS_CHECK(fs.append(h.file, h.page).ok()); }},
    {"write pages far apart", false, 0.02, 0.1,
     [](memfs::MemFs& fs, Hands& h, int i) {
       const uint64_t page = static_cast<uint64_t>(i) * 0x9e3779b1u % (1u << 24);
       SCALEFS_CHECK(fs.write(h.file, page * kBlockBytes, h.page).ok());
     }},
    {"setxattr and removexattr", false, 0.1, 0.15,
     [](memfs::MemFs& fs, Hands& h, int) {
       check(fs.setxattr(h.file, "user.a", ConstBytes(h.page).first(64), memfs::XattrMode::set));
       check(fs.removexattr(h.file, "user.a"));
     }},
};

class Rare : public ::testing::TestWithParam<bool> {
 protected:
  Rare() : cores_(core_count()) {
    set_core_count_for_test(kCores + 1);
    use_tsc_for_test(true);
  }
  ~Rare() override { set_core_count_for_test(cores_); }

  // Lines that travelled per call, over the first n calls for each n of kCounts.
  std::vector<double> measure(const Work& work) {
    std::unique_ptr<diskfs::MemoryDevice> device;
    std::unique_ptr<volume::Volume> volume;
    Hands* hands[kCores];
    record::run_on(kBuilder, [&] {
      volume::VolumeOptions options;
      options.threads = false;
      if (GetParam()) {
        device = testing::formatted_device(kDiskBytes);
        std::string why;
        auto mounted = volume::Volume::mount(*device, options, &why);
        SCALEFS_CHECK(mounted.ok());
        volume = std::move(*mounted);
      } else {
        volume = volume::Volume::memory(options);
      }
    });
    auto& fs = volume->fs();
    for (int core = 0; core < kCores; ++core)
      record::run_on(core, [&] {
        hands[core] = new Hands;  // in the core's own memory
        auto dir = fs.mkdir(kRootMnode, fmt::format("dir{}", core), 0755, {});
        auto file = fs.create(dir->attr.mnode, "file", 0644, true, {});
        SCALEFS_CHECK(dir.ok() && file.ok());
        hands[core]->dir = work.shared && core > 0 ? hands[0]->dir : dir->attr.mnode;
        hands[core]->file = file->attr.mnode;
      });
    simulation::Caches caches;
    std::vector<double> costs;
    record::clear();
    int done = 0;
    for (const int count : kCounts) {
      for (; done < count; ++done)
        for (int core = 0; core < kCores; ++core) {
          record::run_on(core, [&] {
            hands[core]->name = fmt::format("name-{}-{}", core, done);
            hands[core]->other = hands[core]->name + "-other";
            record::start(core);
            work.call(fs, *hands[core], done);
            record::stop();
          });
          caches.call(core, record::accesses(core), true);
          record::clear();
        }
      costs.push_back(static_cast<double>(caches.misses()) / (kCores * count));
    }
    for (int core = 0; core < kCores; ++core) record::run_on(core, [&] { delete hands[core]; });
    record::run_on(kBuilder, [&] {
      volume->shutdown();
      volume.reset();
    });
    return costs;
  }

 private:
  const uint32_t cores_;
};

TEST_P(Rare, CostACallFallsWithTheirNumber) {
  std::string text = fmt::format("Lines that travel between two cores, a call, {}\n{:28}",
                                 GetParam() ? "disk" : "memory", "over the first calls");
  for (const int count : kCounts) text += fmt::format("{:>9}", count);
  text += "\n";
  for (const Work& work : kWorks) {
    const auto costs = measure(work);
    text += fmt::format("{:28}", work.name);
    for (const double cost : costs) text += fmt::format("{:>9.3f}", cost);
    text += "\n";
    EXPECT_LE(costs.back(), GetParam() ? work.most_disk : work.most_memory) << work.name;
    EXPECT_LE(costs.back(), costs.front()) << work.name;
  }
  std::printf("%s", text.c_str());
  std::ofstream(std::string(SCALEFS_BIN_DIR) +
                (GetParam() ? "/commute_rare_disk.txt" : "/commute_rare_memory.txt"))
      << text;
}

INSTANTIATE_TEST_SUITE_P(Volumes, Rare, ::testing::Bool(), [](const auto& which) {
  return std::string(which.param ? "Disk" : "Memory");
});

}  // namespace
}  // namespace scalefs::matrix
