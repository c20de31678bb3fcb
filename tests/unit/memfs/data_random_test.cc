// Random histories of several files over a backend that plays disk, with writeback in pieces, commits,
// checkpoints, evictions, remounts and crashes at any time. SCALEFS_TEST_SEED=N runs one seed.
#include <cstdlib>

#include "tests/support/fake_disk.h"
#include "tests/support/file_model.h"
#include "tests/support/seeds.h"

namespace scalefs::memfs {
namespace {

constexpr size_t kFiles = 3;

class RandomData {
 public:
  explicit RandomData(uint64_t seed)
      : random_(seed), disk_(UINT64_MAX / 2, seed), fs_(disk_.mount()) {
    for (size_t i = 0; i < kFiles; ++i) {
      const auto made = fs_->create(kRootMnode, name(i), 0644, true, Caller{});
      files_.push_back(std::make_unique<ModelledFile>(*fs_, made->attr.mnode, random_,
                                                      i == 0 ? 200 * kBlockBytes : 12 * kBlockBytes));
    }
  }

  void step() {
    ModelledFile& file = *files_[random_.below(kFiles)];
    switch (random_.below(20)) {
      case 0: return begin(file);
      case 1: case 2: return end();
      case 3: disk_.commit(); return;
      case 4: disk_.checkpoint(*fs_); return;
      case 5: fs_->evict_pages(random_.below(100) * kBlockBytes); return;
      case 6: return random_.percent(20) ? sync() : void();
      case 7: return random_.percent(10) ? remount() : void();
      default: file.step(); return file.check_attributes();
    }
  }
  void finish() {
    sync();
    remount();
    for (const auto& file : files_) file->check_all();
    EXPECT_EQ(disk_.reads_of_wiped(), 0u);
  }

 private:
  static std::string name(size_t i) { return "f" + std::to_string(i); }

  void begin(ModelledFile& file) {
    auto flight = disk_.begin(*fs_, file.number(), random_.below(30), 1 + random_.below(40));
    if (flight.pages.empty()) return;
    if (random_.percent(70)) disk_.write(flight);
    flights_.push_back(std::move(flight));
  }
  void end() {
    if (flights_.empty()) return;
    const size_t which = random_.below(flights_.size());
    auto flight = std::move(flights_[which]);
    flights_.erase(flights_.begin() + static_cast<ptrdiff_t>(which));
    if (flight.op.runs.empty()) {
      // Not written: inline, or given up.
      if (random_.percent(50)) return disk_.finish_inline(*fs_, flight);
      return fs_->abort_writeback(flight.file, unwritten(flight));
    }
    if (random_.percent(80)) return disk_.finish(*fs_, flight);
    disk_.abort(*fs_, flight);
  }
  static std::vector<SampledPage>& unwritten(FakeDisk::Flight& flight) { return flight.pages; }

  // Afterwards the disk has what the model has, page by page.
  void sync() {
    while (!flights_.empty()) end();
    disk_.sync(*fs_);
    ASSERT_TRUE(fs_->dirty_files(10).empty());
    ASSERT_EQ(fs_->usage().dirty_bytes, 0u);
    ASSERT_EQ(disk_.log_bytes(), 0u);
    uint64_t reserved = 0;
    for (const auto& file : files_) reserved += file->model().reserved.size();
    ASSERT_EQ(disk_.reserved_blocks(), reserved);
    for (const auto& file : files_) {
      check_disk(*file);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  void check_disk(ModelledFile& file) {
    const FileModel& model = file.model();
    const auto* state = disk_.committed(file.number());
    ASSERT_NE(state, nullptr);
    ASSERT_EQ(state->size, model.size());
    ASSERT_EQ(state->pages.size(), model.mapped());
    for (const auto& [page, what] : state->pages) {
      ASSERT_EQ(what.kind == LoadedPage::Kind::unwritten,
                model.page(page) == FileModel::Page::unwritten)
          << "page " << page;
      const auto content = disk_.content(what);
      for (uint64_t i = 0; i < kBlockBytes; ++i) {
        const uint64_t at = page * kBlockBytes + i;
        ASSERT_EQ(content[i], at < model.size() ? model.bytes[at] : 0) << "byte " << at;
      }
    }
  }
  // A crash behind a sync: nothing may be missing.
  void remount() {
    sync();
    fs_.reset();
    disk_.crash();
    fs_ = disk_.mount();
    for (size_t i = 0; i < kFiles; ++i) {
      const auto found = fs_->lookup(kRootMnode, name(i));
      ASSERT_EQ(found.code(), 0);
      ASSERT_EQ(found->attr.mnode, files_[i]->number());
      files_[i]->moved_to(*fs_, found->attr.mnode);
      files_[i]->model().reserved.clear();
      files_[i]->check_attributes();
    }
  }

  Random random_;
  FakeDisk disk_;
  std::unique_ptr<MemFs> fs_;
  std::vector<std::unique_ptr<ModelledFile>> files_;
  std::vector<FakeDisk::Flight> flights_;
};

void run_seed(uint64_t seed, int steps) {
  SCOPED_TRACE(::testing::Message() << "SCALEFS_TEST_SEED=" << seed);
  RandomData data(seed);
  for (int i = 0; i < steps; ++i) {
    SCOPED_TRACE(::testing::Message() << "step " << i);
    data.step();
    if (::testing::Test::HasFailure()) return;
  }
  data.finish();
}

TEST(DataRandomTest, HistoriesWithWritebackEvictionAndRemounts) {
  if (const char* one = std::getenv("SCALEFS_TEST_SEED"))
    return run_seed(std::strtoull(one, nullptr, 10), 2000);
  for (uint64_t seed = 1; seed <= testing::seeds_of(25) && !HasFailure(); ++seed) run_seed(seed, 600);
}

}  // namespace
}  // namespace scalefs::memfs
