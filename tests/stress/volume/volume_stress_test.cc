// Real threads on one volume with all its own threads at work: small cache, short commit interval.
// Every caller keeps a model of its own directory; files that all share are checked for torn blocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "base/random.h"
#include "tests/support/seeds.h"
#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

using testing::count_from;

struct FileModel {
  MnodeNo mnode;
  std::string content;
  std::string synced;      // as of the last fsync that was answered ok
  bool was_synced = false;
};

// One caller: random calls in a directory of its own and on a shared file.
class Caller {
 public:
  Caller(Mounted& m, int id, uint64_t seed) : m_(m), id_(id), random_(seed) {}

  void prepare() {
    dir_name_ = "dir" + std::to_string(id_);
    dir_ = m_.mkdir(kRootMnode, dir_name_);
  }
  void run(uint64_t steps, MnodeNo shared) {
    for (uint64_t i = 0; i < steps && !stopped_; ++i) step(shared);
  }
  // Everything as the model has it.
  void check_all() {
    const MnodeNo dir = m_.find(dir_name_);
    std::vector<std::string> names;
    for (const auto& [name, file] : files_) names.push_back(name);
    ASSERT_EQ(m_.names(dir), names);
    for (const auto& [name, file] : files_) {
      const MnodeNo found = m_.find(dir_name_ + "/" + name);
      ASSERT_EQ(found, file.mnode);
      expect_same(m_.read(found), file.content, dir_name_ + "/" + name);
    }
  }
  // What was made durable last; later calls may have come through too.
  void check_synced() {
    for (const auto& [name, file] : files_) {
      if (!file.was_synced || file.content != file.synced) continue;
      const MnodeNo found = m_.find(dir_name_ + "/" + name);
      ASSERT_EQ(found, file.mnode) << dir_name_ << "/" << name;
      expect_same(m_.read(found), file.synced, dir_name_ + "/" + name);
    }
  }

 private:
  // Contents are long: the first difference says enough.
  static void expect_same(const std::string& is, const std::string& expected,
                          const std::string& path) {
    const size_t common = std::min(is.size(), expected.size());
    const auto at = static_cast<size_t>(
        std::mismatch(is.begin(), is.begin() + static_cast<ptrdiff_t>(common), expected.begin())
            .first -
        is.begin());
    EXPECT_TRUE(is == expected) << path << ": " << is.size() << " bytes, expected "
                                << expected.size() << "; they differ from byte " << at << " on: '"
                                << is.substr(at, 8) << "', expected '" << expected.substr(at, 8)
                                << "'";
  }
  // True when the call was accepted; a volume that ends stops the caller.
  bool accepted(int code) {
    if (code == EIO || code == EROFS) stopped_ = true;
    EXPECT_TRUE(code == 0 || code == EIO || code == EROFS) << "error " << code;
    return code == 0;
  }
  std::string pick() {
    if (files_.empty()) return {};
    auto at = files_.begin();
    std::advance(at, random_.below(files_.size()));
    return at->first;
  }

  void step(MnodeNo shared) {
    const std::string name = pick();
    const uint64_t what = random_.below(100);
    if (name.empty() || (what < 15 && files_.size() < 40)) return create();
    FileModel& file = files_[name];
    if (what < 50) return write(file);
    if (what < 60) return truncate(file);
    if (what < 70) return fsync(file);
    if (what < 78) return unlink(name);
    if (what < 88) return rename(name);
    if (what < 94) {
      const std::string block(kBlockBytes, static_cast<char>('a' + id_));
      accepted(m_.fs()
                   .write(shared, random_.below(64) * kBlockBytes, std::as_bytes(std::span(block)))
                   .code());
      return;
    }
    std::string text(file.content.size() + 10, '\0');
    const auto got = m_.fs().read(file.mnode, 0, std::as_writable_bytes(std::span(text)));
    if (!accepted(got.code())) return;
    text.resize(*got);
    expect_same(text, file.content, dir_name_ + "/" + name + " while it runs");
  }
  void create() {
    const std::string name = "f" + std::to_string(next_++);
    const auto entry = m_.fs().create(dir_, name, 0100644, true, memfs::Caller{});
    if (accepted(entry.code())) files_[name].mnode = entry->attr.mnode;
  }
  void write(FileModel& file) {
    const uint64_t offset = random_.below(file.content.size() + 3000);
    const std::string text(1 + random_.below(20000), static_cast<char>('A' + random_.below(26)));
    const auto written = m_.fs().write(file.mnode, offset, std::as_bytes(std::span(text)));
    if (!accepted(written.code())) {
      file.was_synced = false;  // a part of it may be there
      return;
    }
    if (file.content.size() < offset + text.size()) file.content.resize(offset + text.size());
    file.content.replace(offset, text.size(), text);
  }
  void truncate(FileModel& file) {
    memfs::SetAttr change;
    change.size = random_.below(file.content.size() + 5000);
    if (accepted(m_.fs().setattr(file.mnode, change).code())) file.content.resize(*change.size);
  }
  void fsync(FileModel& file) {
    const std::string before = file.content;
    if (!accepted(m_.volume->fsync(file.mnode, false).code())) return;
    file.synced = before;
    file.was_synced = true;
  }
  void unlink(const std::string& name) {
    const MnodeNo mnode = files_[name].mnode;
    if (!accepted(m_.fs().unlink(dir_, name).code())) return;
    files_.erase(name);
    m_.fs().forget(mnode, 1);
  }
  void rename(const std::string& name) {
    const std::string to = random_.percent(50) ? pick() : "r" + std::to_string(next_++);
    if (to == name) return;
    const auto status =
        m_.fs().rename(dir_, name, dir_, to, memfs::RenameMode::replace, memfs::Caller{});
    if (!accepted(status.code())) return;
    const auto replaced = files_.find(to);
    if (replaced != files_.end()) m_.fs().forget(replaced->second.mnode, 1);
    files_[to] = files_[name];
    files_[to].was_synced = false;  // under another name than when it was synced
    files_.erase(name);
  }

  Mounted& m_;
  const int id_;
  Random random_;
  MnodeNo dir_;
  std::string dir_name_;
  std::map<std::string, FileModel> files_;
  uint64_t next_ = 0;
  bool stopped_ = false;
};

class VolumeStress : public ::testing::Test {
 protected:
  static constexpr int kCallers = 6;

  void start(uint64_t seed) {
    m_.options.threads = true;
    m_.options.cache_bytes = 2 << 20;
    m_.options.commit_interval_ms = 20;
    m_.options.background_commit_ops = 200;
    ASSERT_TRUE(m_.mount().ok());
    shared_ = m_.create(kRootMnode, "shared");
    for (int i = 0; i < kCallers; ++i) {
      callers_.push_back(std::make_unique<Caller>(m_, i, seed * 100 + static_cast<uint64_t>(i)));
      callers_.back()->prepare();
    }
  }
  void run_all(uint64_t steps) {
    for (auto& caller : callers_) {
      threads_.emplace_back([&, steps] { caller->run(steps, shared_); });
    }
  }
  void join_all() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void check_shared() {
    const MnodeNo shared = m_.find("shared");
    const std::string text = m_.read(shared);
    for (size_t at = 0; at < text.size(); at += kBlockBytes) {
      const std::string block = text.substr(at, kBlockBytes);
      ASSERT_EQ(block.find_first_not_of(block[0]), block.npos) << "torn block at " << at;
    }
  }

  Mounted m_{uint64_t{256} << 20};
  MnodeNo shared_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::vector<std::thread> threads_;
};

TEST_F(VolumeStress, EverythingIsThereAfterUnmount) {
  const uint64_t seed = testing::commit_seed(1);
  SCOPED_TRACE("seed " + std::to_string(seed));
  start(seed);
  run_all(count_from("SCALEFS_STRESS_STEPS", testing::kSanitized ? 400 : 1500));
  join_all();
  for (auto& caller : callers_) caller->check_all();
  m_.unmount_and_mount();
  for (auto& caller : callers_) caller->check_all();
  check_shared();
}

TEST_F(VolumeStress, WhatWasSyncedSurvivesAShutdownInTheMiddle) {
  const uint64_t seed = testing::commit_seed(2);
  SCOPED_TRACE("seed " + std::to_string(seed));
  start(seed);
  run_all(1'000'000);
  for (uint64_t fsyncs = 0; fsyncs < (testing::kSanitized ? 100u : 300u);) {
    std::this_thread::yield();
    fsyncs = m_.volume->statistics().fsyncs;
  }
  m_.volume->shutdown();
  join_all();
  m_.crash_and_mount();
  for (auto& caller : callers_) caller->check_synced();
  check_shared();
}

TEST_F(VolumeStress, DeviceFailureUnderLoadKeepsWhatWasSynced) {
  const uint64_t seed = testing::commit_seed(3);
  SCOPED_TRACE("seed " + std::to_string(seed));
  start(seed);
  m_.faults.fail(diskfs::FaultDevice::Call::write, testing::kSanitized ? 300 : 1000, EIO, true);
  run_all(1'000'000);
  join_all();
  EXPECT_TRUE(m_.volume->failed());
  m_.volume->shutdown();
  m_.faults.clear();
  m_.crash_and_mount();
  for (auto& caller : callers_) caller->check_synced();
  check_shared();
}

}  // namespace
}  // namespace scalefs::volume
