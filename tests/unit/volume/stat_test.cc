// stat tells nlink, size, blocks, mtime and ctime at once and exactly, on whichever core it is asked, after
// every call that changes them: on volumes in memory and on disks, with and without commits, checkpoints
// and maintenance between the calls, on faked cores and on threads of their own. Each call has a time of
// its own, so that a stale one cannot look right; objects that it does not change are looked at too.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>

#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/core.h"
#include "base/mutex.h"
#include "tests/unit/volume/mounted.h"

namespace scalefs::volume {
namespace {

using memfs::AllocateMode;
using memfs::Attr;
using memfs::RenameMode;
using memfs::SetAttr;
using memfs::XattrMode;

constexpr uint32_t kCores = 8;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kPage = kBlockBytes;
constexpr int64_t kPageSectors = kPage / 512;

// What a call does to an object that existed before it.
struct Effect {
  MnodeNo object;
  int nlink = 0;           // added
  int64_t size = -1;       // afterwards; -1: as before
  int64_t sectors = 0;     // added
  bool mtime = false;      // becomes the time of the call; else as before
  bool ctime = false;
  int64_t mtime_ns = -1;   // what was set
};

// Puts the calling thread on the n-th processor that it may run on, when there are so many.
void run_on_processor(int n) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

// A thread on another processor, which looks when it is told to.
class Looker {
 public:
  Looker() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    thread_ = std::thread([this] { run(); });
    run_on_processor(0);
  }
  ~Looker() {
    hand({});
    thread_.join();
    ::sched_setaffinity(0, sizeof before_, &before_);
  }
  // Runs it there and waits for it.
  void look(const std::function<void()>& body) { hand(body); }

 private:
  void hand(std::function<void()> body) {
    MutexLock lock(mutex_);
    body_ = std::move(body);
    given_ = true;
    changed_.notify_all();
    while (given_) changed_.wait(mutex_);
  }
  void run() {
    run_on_processor(1);
    for (bool more = true; more;) {
      MutexLock lock(mutex_);
      while (!given_) changed_.wait(mutex_);
      more = static_cast<bool>(body_);
      if (more) body_();
      given_ = false;
      changed_.notify_all();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::function<void()> body_ GUARDED_BY(mutex_);
  bool given_ GUARDED_BY(mutex_) = false;
  cpu_set_t before_;
  std::thread thread_;
};

enum class Place { memory, disk };
struct Setting {
  Place place;
  bool threads;  // real ones, on the machine's cores
  bool settle;   // commits, checkpoints and maintenance behind each call
};

std::string name_of(const ::testing::TestParamInfo<Setting>& info) {
  return std::string(info.param.place == Place::memory ? "Memory" : "Disk") +
         (info.param.threads ? "Threads" : "FakedCores") + (info.param.settle ? "Settled" : "");
}

class StatAtOnce : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    cores_ = core_count();
    if (!GetParam().threads) set_core_count_for_test(kCores);
    start();
    if (GetParam().place == Place::disk) {
      disk_ = std::make_unique<Mounted>();
      ASSERT_TRUE(disk_->mount().ok());
      volume_ = disk_->volume.get();
    } else {
      VolumeOptions options;
      options.threads = false;
      memory_ = Volume::memory(options);
      volume_ = memory_.get();
    }
    d_ = made(fs().mkdir(kRootMnode, "d", 0755, caller_));
    e_ = made(fs().mkdir(kRootMnode, "e", 0755, caller_));
    f_ = made(fs().create(d_, "f", 0644, true, caller_));
    g_ = made(fs().create(d_, "g", 0644, true, caller_));
    l_ = made(fs().symlink(d_, "l", "target", caller_));
    sub_ = made(fs().mkdir(d_, "sub", 0755, caller_));
    ASSERT_EQ(write(f_, 0, 3 * kPage), 0);
    ASSERT_EQ(write(g_, 0, kPage), 0);
  }
  void TearDown() override {
    disk_.reset();
    memory_.reset();
    set_thread_core(-1);
    set_wall_for_test(-1);
    set_core_count_for_test(cores_);
  }

  memfs::MemFs& fs() { return volume_->fs(); }
  MnodeNo made(const Result<memfs::Entry>& entry) {
    EXPECT_EQ(entry.code(), 0);
    const MnodeNo mnode = entry.ok() ? entry->attr.mnode : MnodeNo();
    known_.push_back(mnode);
    return mnode;
  }
  int write(MnodeNo file, int64_t offset, int64_t size) {
    const std::vector<std::byte> bytes(static_cast<size_t>(size), std::byte{2});
    const auto written = fs().write(file, static_cast<uint64_t>(offset), bytes);
    return written.ok() && *written != bytes.size() ? -1 : written.code();
  }
  int rename(MnodeNo from, std::string_view name, MnodeNo to, std::string_view other,
             RenameMode mode = RenameMode::replace) {
    return fs().rename(from, name, to, other, mode, caller_).code();
  }
  int set(MnodeNo object, const SetAttr& change) { return fs().setattr(object, change).code(); }
  int code(const Result<memfs::Entry>& entry) {
    if (entry.ok()) fs().forget(entry->attr.mnode, 1);
    return entry.code();
  }

  // The next call's core and time.
  void start() {
    core_ = (core_ + 3) % kCores;
    if (!GetParam().threads) set_thread_core(static_cast<int32_t>(core_));
    set_wall_for_test(now_ += kSecond);
  }
  void settle() {
    for (int i = 0; i < 8 && volume_->step_maintenance(); ++i) {
    }
    EXPECT_TRUE(volume_->sync().ok());
    while (volume_->step_checkpoint()) {
    }
  }
  Attr stat(MnodeNo object) {
    const auto attr = fs().getattr(object);
    EXPECT_EQ(attr.code(), 0);
    return attr.ok() ? *attr : Attr{};
  }
  void compare(const std::vector<Attr>& expected) {
    for (const Attr& attr : expected) {
      SCOPED_TRACE(::testing::Message() << "object " << attr.mnode.v << " from core " << current_core());
      const Attr is = stat(attr.mnode);
      EXPECT_EQ(is.nlink, attr.nlink);
      EXPECT_EQ(is.size, attr.size);
      EXPECT_EQ(is.blocks, attr.blocks);
      EXPECT_EQ(is.mtime_ns, attr.mtime_ns);
      EXPECT_EQ(is.ctime_ns, attr.ctime_ns);
    }
  }
  void look_everywhere(const std::vector<Attr>& expected) {
    if (GetParam().threads) {
      looker_->look([&] { compare(expected); });
      return;
    }
    for (uint32_t core = 0; core < kCores; ++core) {
      set_thread_core(static_cast<int32_t>(core));
      compare(expected);
    }
  }

  // Makes the call, which answers `error`, and looks from everywhere.
  template <class Call>
  void fails(const char* what, int error, Call call, const std::vector<Effect>& effects = {}) {
    SCOPED_TRACE(what);
    std::vector<Attr> expected;
    for (const MnodeNo object : known_) expected.push_back(stat(object));
    start();
    ASSERT_EQ(call(), error);
    for (const Effect& effect : effects) {
      const auto found = std::find_if(expected.begin(), expected.end(),
                                      [&](const Attr& a) { return a.mnode == effect.object; });
      ASSERT_NE(found, expected.end());
      Attr& attr = *found;
      attr.nlink += static_cast<uint32_t>(effect.nlink);
      if (effect.size >= 0) attr.size = static_cast<uint64_t>(effect.size);
      attr.blocks += static_cast<uint64_t>(effect.sectors);
      if (effect.mtime) attr.mtime_ns = now_;
      if (effect.mtime_ns >= 0) attr.mtime_ns = effect.mtime_ns;
      if (effect.ctime) attr.ctime_ns = now_;
    }
    look_everywhere(expected);
    if (!GetParam().settle) return;
    settle();
    look_everywhere(expected);
  }
  template <class Call>
  void after(const char* what, Call call, const std::vector<Effect>& effects) {
    fails(what, 0, call, effects);
  }
  // One that makes an object: what the call tells of it is what stat tells.
  template <class Call>
  MnodeNo making(const char* what, Call call, const std::vector<Effect>& effects, uint32_t nlink,
                 uint64_t size) {
    MnodeNo mnode;
    after(what,
          [&] {
            const auto entry = call();
            if (entry.ok()) mnode = entry->attr.mnode;
            return entry.code();
          },
          effects);
    Attr attr;
    attr.mnode = mnode;
    attr.nlink = nlink;
    attr.size = size;
    attr.mtime_ns = attr.ctime_ns = now_;
    attr.blocks = stat(mnode).blocks;
    look_everywhere({attr});
    known_.push_back(mnode);
    return mnode;
  }

  Effect names_of(MnodeNo directory, int nlink = 0) {
    return {.object = directory, .nlink = nlink, .mtime = true, .ctime = true};
  }
  Effect counted(MnodeNo object, int nlink) {
    return {.object = object, .nlink = nlink, .ctime = true};
  }
  Effect changed(MnodeNo object) { return {.object = object, .ctime = true}; }
  Effect data_of(MnodeNo file, int64_t size, int64_t pages) {
    return {.object = file, .size = size, .sectors = pages * kPageSectors, .mtime = true,
            .ctime = true};
  }

  uint32_t cores_ = 0, core_ = 0;
  int64_t now_ = 1'700'000'000 * kSecond;
  memfs::Caller caller_{1000, 100, 022};
  std::unique_ptr<Mounted> disk_;
  std::unique_ptr<Volume> memory_;
  Volume* volume_ = nullptr;
  std::vector<MnodeNo> known_{kRootMnode};
  MnodeNo d_, e_, f_, g_, l_, sub_;
  std::unique_ptr<Looker> looker_ = GetParam().threads ? std::make_unique<Looker>() : nullptr;
};

TEST_P(StatAtOnce, NamesMade) {
  const MnodeNo a = making("create", [&] { return fs().create(d_, "a", 0644, false, caller_); },
                           {names_of(d_)}, 1, 0);
  making("create exclusive", [&] { return fs().create(d_, "b", 0644, true, caller_); },
         {names_of(d_)}, 1, 0);
  making("mknod", [&] { return fs().mknod(e_, "fifo", S_IFIFO | 0600, 0, caller_); },
         {names_of(e_)}, 1, 0);
  making("symlink", [&] { return fs().symlink(e_, "link", "seven..", caller_); }, {names_of(e_)}, 1, 7);
  making("tmpfile", [&] { return fs().tmpfile(d_, 0600, caller_); }, {}, 0, 0);
  const MnodeNo dir = making("mkdir", [&] { return fs().mkdir(e_, "dir", 0755, caller_); },
                             {names_of(e_, 1)}, 2, stat(sub_).size);
  making("mkdir in it", [&] { return fs().mkdir(dir, "dir", 0755, caller_); }, {names_of(dir, 1)}, 2,
         stat(sub_).size);
  after("link", [&] { return code(fs().link(f_, e_, "f")); }, {names_of(e_), counted(f_, 1)});
  after("link again", [&] { return code(fs().link(f_, d_, "f2")); }, {names_of(d_), counted(f_, 1)});
  after("link a symbolic link", [&] { return code(fs().link(l_, e_, "l")); },
        {names_of(e_), counted(l_, 1)});
  fails("create what is there", EEXIST, [&] { return code(fs().create(d_, "a", 0644, true, caller_)); });
  after("open what is there", [&] { return code(fs().create(d_, "a", 0644, false, caller_)); }, {});
  fails("mkdir what is there", EEXIST, [&] { return code(fs().mkdir(d_, "a", 0755, caller_)); });
  fails("link what is there", EEXIST, [&] { return code(fs().link(f_, d_, "a")); });
  after("link what was made", [&] { return code(fs().link(a, e_, "a")); },
        {names_of(e_), counted(a, 1)});
}

TEST_P(StatAtOnce, NamesRemoved) {
  after("link", [&] { return code(fs().link(f_, e_, "f")); }, {names_of(e_), counted(f_, 1)});
  after("unlink one of two", [&] { return fs().unlink(d_, "f").code(); },
        {names_of(d_), counted(f_, -1)});
  after("unlink the last", [&] { return fs().unlink(e_, "f").code(); },
        {names_of(e_), counted(f_, -1)});
  after("write without a name", [&] { return write(f_, 3 * kPage, kPage); }, {data_of(f_, 4 * kPage, 1)});
  after("unlink a symbolic link", [&] { return fs().unlink(d_, "l").code(); },
        {names_of(d_), counted(l_, -1)});
  const MnodeNo in = making("mkdir", [&] { return fs().mkdir(sub_, "in", 0755, caller_); },
                            {names_of(sub_, 1)}, 2, stat(sub_).size);
  fails("rmdir of what is not empty", ENOTEMPTY, [&] { return fs().rmdir(d_, "sub").code(); });
  after("rmdir", [&] { return fs().rmdir(sub_, "in").code(); }, {names_of(sub_, -1), counted(in, -2)});
  after("rmdir its parent", [&] { return fs().rmdir(d_, "sub").code(); },
        {names_of(d_, -1), counted(sub_, -2)});
  fails("unlink what is gone", ENOENT, [&] { return fs().unlink(d_, "sub").code(); });
}

TEST_P(StatAtOnce, NamesMoved) {
  after("in a directory", [&] { return rename(d_, "f", d_, "f2"); }, {names_of(d_), changed(f_)});
  after("to another", [&] { return rename(d_, "f2", e_, "f"); },
        {names_of(d_), names_of(e_), changed(f_)});
  after("over a file", [&] { return rename(e_, "f", d_, "g"); },
        {names_of(d_), names_of(e_), changed(f_), counted(g_, -1)});
  after("a directory to another", [&] { return rename(d_, "sub", e_, "sub"); },
        {names_of(d_, -1), names_of(e_, 1), changed(sub_)});
  const MnodeNo empty = making("mkdir", [&] { return fs().mkdir(d_, "empty", 0755, caller_); },
                               {names_of(d_, 1)}, 2, stat(sub_).size);
  after("over an empty directory", [&] { return rename(e_, "sub", d_, "empty"); },
        {names_of(d_), names_of(e_, -1), changed(sub_), counted(empty, -2)});
  after("exchange a directory and a file",
        [&] {
          const int error = code(fs().create(e_, "x", 0644, true, caller_));
          return error != 0 ? error : rename(d_, "empty", e_, "x", RenameMode::exchange);
        },
        {names_of(d_, -1), names_of(e_, 1), changed(sub_)});
  after("exchange two of a directory", [&] { return rename(d_, "g", d_, "l", RenameMode::exchange); },
        {names_of(d_), changed(f_), changed(l_)});
  after("no replace", [&] { return rename(d_, "l", e_, "new", RenameMode::no_replace); },
        {names_of(d_), names_of(e_), changed(f_)});
  fails("no replace of what is there", EEXIST,
        [&] { return rename(e_, "new", d_, "g", RenameMode::no_replace); });
  after("leave a whiteout", [&] { return rename(e_, "new", d_, "last", RenameMode::whiteout); },
        {names_of(d_), names_of(e_), changed(f_)});
  after("link", [&] { return code(fs().link(f_, d_, "twin")); }, {names_of(d_), counted(f_, 1)});
  after("over the same file", [&] { return rename(d_, "twin", d_, "last"); }, {});
  fails("into itself", EINVAL, [&] { return rename(kRootMnode, "e", e_, "e"); });
}

TEST_P(StatAtOnce, Data) {
  const std::vector<std::byte> seven(7, std::byte{3});
  after("write inside", [&] { return write(f_, 10, 10); }, {data_of(f_, 3 * kPage, 0)});
  after("write behind the end", [&] { return write(f_, 3 * kPage, 100); },
        {data_of(f_, 3 * kPage + 100, 1)});
  after("leave a hole", [&] { return write(f_, 9 * kPage, 1); }, {data_of(f_, 9 * kPage + 1, 1)});
  after("write into it", [&] { return write(f_, 6 * kPage - 1, 2); }, {data_of(f_, 9 * kPage + 1, 2)});
  after("append", [&] { return fs().append(f_, seven).code(); }, {data_of(f_, 9 * kPage + 8, 0)});
  const auto allocate = [&](AllocateMode mode, int64_t offset, int64_t length) {
    return fs()
        .allocate(f_, mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(length))
        .code();
  };
  after("punch", [&] { return allocate(AllocateMode::punch_hole, 0, 2 * kPage); },
        {data_of(f_, -1, -2)});
  after("allocate what is there", [&] { return allocate(AllocateMode::allocate, 2 * kPage, kPage); },
        {data_of(f_, -1, 0)});
  after("allocate a hole", [&] { return allocate(AllocateMode::allocate, 0, kPage); },
        {data_of(f_, -1, 1)});
  after("allocate behind the end",
        [&] { return allocate(AllocateMode::allocate, 10 * kPage, 2 * kPage); },
        {data_of(f_, 12 * kPage, 2)});
  after("allocate beyond the size",
        [&] { return allocate(AllocateMode::allocate_keep_size, 12 * kPage, kPage); },
        {data_of(f_, -1, 1)});
  after("zero a range", [&] { return allocate(AllocateMode::zero_range, 10, 20); },
        {data_of(f_, -1, 0)});
  after("copy", [&] {
    return fs().copy_range(g_, 0, f_, static_cast<uint64_t>(kPage), static_cast<uint64_t>(kPage)).code();
  }, {data_of(f_, -1, 1)});
  after("copy behind the end", [&] {
    return fs().copy_range(f_, 0, g_, static_cast<uint64_t>(kPage), 100).code();
  }, {data_of(g_, kPage + 100, 1)});
  SetAttr change;
  change.size = 1;
  const int64_t pages = static_cast<int64_t>(stat(f_).blocks) / kPageSectors;
  after("truncate", [&] { return set(f_, change); }, {data_of(f_, 1, 1 - pages)});
  change.size = uint64_t{1} << 40;
  after("grow", [&] { return set(f_, change); }, {data_of(f_, int64_t{1} << 40, 0)});
  change.size = 0;
  after("truncate to nothing", [&] { return set(f_, change); }, {data_of(f_, 0, -1)});
  after("truncate to the same", [&] { return set(f_, change); }, {data_of(f_, 0, 0)});
}

TEST_P(StatAtOnce, Attributes) {
  const std::vector<std::byte> value(5, std::byte{7});
  for (const MnodeNo object : {f_, d_}) {
    SetAttr change;
    change.mode = 0700;
    after("chmod", [&] { return set(object, change); }, {changed(object)});
    change = {};
    change.uid = change.gid = 5;
    after("chown", [&] { return set(object, change); }, {changed(object)});
    for (const int64_t when : {5 * kSecond, now_ + 1000 * kSecond}) {
      change = {};
      change.mtime_ns = change.atime_ns = when;
      after("utimes", [&] { return set(object, change); },
            {{.object = object, .ctime = true, .mtime_ns = when}});
      // What was set lasts until the next change.
      if (object == f_) after("write", [&] { return write(f_, 0, 1); }, {data_of(f_, -1, 0)});
      if (object == d_) after("mkdir", [&] { return code(fs().mkdir(d_, "new", 0755, caller_)); },
                                {names_of(d_, 1)});
      if (object == d_) after("rmdir", [&] { return fs().rmdir(d_, "new").code(); }, {names_of(d_, -1)});
    }
    change = {};
    change.mtime_ns = change.atime_ns = SetAttr::kNow;
    after("utimes to now", [&] { return set(object, change); }, {names_of(object)});
    after("setxattr", [&] { return fs().setxattr(object, "user.a", value, XattrMode::create).code(); },
          {changed(object)});
    after("setxattr again",
          [&] { return fs().setxattr(object, "user.a", value, XattrMode::replace).code(); },
          {changed(object)});
    after("removexattr", [&] { return fs().removexattr(object, "user.a").code(); }, {changed(object)});
    fails("removexattr of what is gone", ENODATA,
          [&] { return fs().removexattr(object, "user.a").code(); });
  }
  // What reads changes access times alone.
  std::vector<std::byte> bytes(100);
  after("read", [&] { return fs().read(f_, 0, bytes).code(); }, {});
  after("readdir",
        [&] { return fs().readdir(d_, 0, [](const memfs::DirectoryEntry&) { return true; }).code(); }, {});
  after("readlink", [&] { return fs().readlink(l_).code(); }, {});
}

// Every core, in turn, changes the same file and the same directory.
TEST_P(StatAtOnce, ManyCoresChangeOneObject) {
  for (uint32_t round = 0; round < 2 * kCores; ++round) {
    const std::string name = "n" + std::to_string(round);
    const auto end = static_cast<int64_t>(4 + round) * kPage;
    after("link", [&] { return code(fs().link(f_, e_, name)); }, {names_of(e_), counted(f_, 1)});
    after("extend", [&] { return write(f_, end - kPage, kPage); }, {data_of(f_, end, 1)});
    making("mkdir", [&] { return fs().mkdir(d_, name, 0755, caller_); }, {names_of(d_, 1)}, 2,
           stat(sub_).size);
    if (round % 3 == 2)
      after("unlink what another core linked",
            [&] { return fs().unlink(e_, "n" + std::to_string(round - 1)).code(); },
            {names_of(e_), counted(f_, -1)});
  }
}

INSTANTIATE_TEST_SUITE_P(Volumes, StatAtOnce,
                         ::testing::Values(Setting{Place::memory, false, false},
                                           Setting{Place::memory, false, true},
                                           Setting{Place::memory, true, false},
                                           Setting{Place::disk, false, false},
                                           Setting{Place::disk, false, true},
                                           Setting{Place::disk, true, false},
                                           Setting{Place::disk, true, true}),
                         name_of);

}  // namespace
}  // namespace scalefs::volume
