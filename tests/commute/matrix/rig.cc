#include "tests/commute/matrix/rig.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/clock.h"
#include "base/core.h"
#include "base/hash.h"
#include "tests/support/volumes.h"

namespace scalefs::matrix {
namespace {

constexpr uint32_t kCores = 4;
constexpr int kBuilder = 2;
constexpr uint64_t kDiskBytes = uint64_t{8} << 30;  // sparse; room for refills in bulk
constexpr uint64_t kCasesACommit = 64;

}  // namespace

Rig::Rig(VolumeKind kind, Names names) {
  set_core_count_for_test(kCores);
  use_tsc_for_test(true);
  set_wall_for_test(clock_);
  record::run_on(kBuilder, [&] {
    volume::VolumeOptions options;
    options.threads = false;
    if (kind == VolumeKind::memory) {
      volume_ = volume::Volume::memory(options);
    } else {
      device_ = testing::formatted_device(kDiskBytes);
      std::string why;
      auto mounted = volume::Volume::mount(*device_, options, &why);
      SCALEFS_CHECK(mounted.ok());
      volume_ = std::move(*mounted);
    }
    choose_names(names);
  });
  int maker = 0;
  for (const char label : {'p', 'q', 's'})
    record::run_on(maker++, [&] {
      auto made = volume_->fs().mkdir(kRootMnode, std::string(1, label), 0755, {});
      SCALEFS_CHECK(made.ok());
      labels_[label] = made->attr.mnode;
      grow(made->attr.mnode);
    });
  for (int core = 0; core < 2; ++core) record::run_on(core, [&] { warm_core(core); });
}

Rig::~Rig() {
  record::run_on(kBuilder, [&] {
    volume_->shutdown();
    volume_.reset();
  });
  set_wall_for_test(-1);
}

// Enough names at once for some hundred buckets.
void Rig::grow(MnodeNo dir) {
  constexpr int kNames = 600;
  for (int i = 0; i < kNames; ++i) {
    auto made = volume_->fs().mknod(dir, fmt::format("grow{}", i), S_IFIFO | 0600, 0, {});
    SCALEFS_CHECK(made.ok());
    volume_->fs().forget(made->attr.mnode, 1);
  }
  for (int i = 0; i < kNames; ++i)
    SCALEFS_CHECK(volume_->fs().unlink(dir, fmt::format("grow{}", i)).ok());
  settle();
}

// Three names for the slots and two for each core. Apart: the hashes begin with different bits. Together:
// with the same ones, of more bits than a directory of this size has buckets for.
void Rig::choose_names(Names names) {
  constexpr size_t kNames = 7;
  constexpr int kApartBits = 4;
  constexpr int kTogetherBits = 13;
  std::set<uint64_t> taken;
  for (int i = 0; names_.size() < kNames; ++i) {
    std::string name = fmt::format("n{}", i);
    const uint64_t hash = siphash24(volume_->info().hash_key, name);
    if (names == Names::apart && !taken.insert(hash >> (64 - kApartBits)).second) continue;
    if (names == Names::together && hash >> (64 - kTogetherBits) != 0) continue;
    names_.push_back(std::move(name));
  }
}

std::string Rig::name_of(const Slot& slot) const { return names_[static_cast<size_t>(slot.name)]; }

void Rig::settle() {
  for (int i = 0; i < 8 && volume_->step_maintenance(); ++i) {
  }
  if (device_ != nullptr) {
    SCALEFS_CHECK(volume_->sync().ok());
    while (volume_->step_checkpoint()) {
    }
  }
}

void Rig::warm_core(int core) {
  auto& fs = volume_->fs();
  auto made = fs.mkdir(kRootMnode, fmt::format("core{}", core), 0755, {});
  SCALEFS_CHECK(made.ok());
  const MnodeNo dir = made->attr.mnode;
  private_dir_[core] = dir;
  const std::vector<std::byte> page(4096);
  std::vector<std::byte> back(4096);
  for (int i = 0; i < 100; ++i) {
    const std::string name = fmt::format("w{}", i);
    const std::string other = fmt::format("v{}", i);
    auto file = fs.create(dir, name, 0644, true, {});
    SCALEFS_CHECK(file.ok());
    const MnodeNo no = file->attr.mnode;
    (void)fs.write(no, 0, page);
    (void)fs.write(no, 8192, page);
    (void)fs.append(no, page);
    (void)fs.read(no, 0, back);
    (void)fs.seek(no, 0, memfs::SeekMode::hole);
    (void)fs.allocate(no, memfs::AllocateMode::allocate, 4096, 4096);
    (void)fs.allocate(no, memfs::AllocateMode::punch_hole, 0, 4096);
    memfs::SetAttr change;
    change.mode = 0600;
    change.size = 100;
    (void)fs.setattr(no, change);
    (void)fs.setxattr(no, "user.0", back, memfs::XattrMode::set);
    (void)fs.getxattr(no, "user.0");
    (void)fs.listxattr(no);
    (void)fs.removexattr(no, "user.0");
    if (auto link = fs.link(no, dir, other); link.ok()) fs.forget(no, 1);
    (void)fs.rename(dir, name, dir, other + "x", memfs::RenameMode::replace, {});
    (void)fs.unlink(dir, other);
    if (auto sub = fs.mkdir(dir, "sub", 0755, {}); sub.ok()) fs.forget(sub->attr.mnode, 1);
    if (auto sub = fs.symlink(dir, "link", "target", {}); sub.ok()) {
      (void)fs.readlink(sub->attr.mnode);
      fs.forget(sub->attr.mnode, 1);
    }
    (void)fs.readdir(dir, 0, [](const memfs::DirectoryEntry&) { return true; });
    (void)volume_->statfs();
    (void)fs.rmdir(dir, "sub");
    (void)fs.unlink(dir, "link");
    (void)fs.unlink(dir, other + "x");
    fs.forget(no, 1);
  }
}

void Rig::build(const std::vector<Call>& script, const std::string& made, bool synced, int builder) {
  record::run_on(builder, [&] {
    if (++cases_ % kCasesACommit == 0) settle();
    for (int i = 0; i < 3 && volume_->step_maintenance(); ++i) {
    }
    for (size_t i = 0; i < script.size(); ++i) {
      set_wall_for_test(clock_ += 1000);
      const Answer got = run_plain(script[i], made[i]);
      SCALEFS_CHECK(got.error == 0);
    }
    if (synced) SCALEFS_CHECK(volume_->sync().ok());
  });
}

void Rig::touch(int core, const std::string& files) {
  auto& fs = volume_->fs();
  const std::string& name = names_[3 + static_cast<size_t>(core)];
  for (const auto& [label, no] : labels_) {
    const auto attr = fs.getattr(no);
    if (!attr.ok() || !S_ISDIR(attr->mode)) continue;
    auto made = fs.mknod(no, name, S_IFIFO | 0600, 0, {});
    SCALEFS_CHECK(made.ok());
    SCALEFS_CHECK(fs.unlink(no, name).ok());
    fs.forget(made->attr.mnode, 1);
  }
  for (int d = 0; d < 2; ++d)
    for (int n = 0; n < 3; ++n) {
      auto found = fs.lookup(dir(d), names_[static_cast<size_t>(n)]);
      if (found.ok()) fs.forget(found->attr.mnode, 1);
    }
  // What comes once in many calls (an epoch's step, a refill) shall not come at the same place of
  // each case.
  for (uint64_t i = 0; i < cases_ * 5 % 7; ++i) {
    auto made = fs.mknod(private_dir_[core], name, S_IFIFO | 0600, 0, {});
    SCALEFS_CHECK(made.ok());
    SCALEFS_CHECK(fs.unlink(private_dir_[core], name).ok());
    fs.forget(made->attr.mnode, 1);
  }
  // Everything that a call may change or move has been changed on this core before.
  for (const auto& [label, no] : labels_) {
    auto attr = fs.getattr(no);
    if (!attr.ok()) continue;
    memfs::SetAttr same;
    same.uid = attr->uid;
    SCALEFS_CHECK(fs.setattr(no, same).ok());
  }
  for (const char file : files) {
    const MnodeNo no = labels_.at(file);
    // Its data has been changed, and unless it has no name, one was given to it.
    auto attr = fs.getattr(no);
    if (attr.ok() && S_ISREG(attr->mode)) {
      memfs::SetAttr same;
      same.size = attr->size;
      SCALEFS_CHECK(fs.setattr(no, same).ok());
    }
    if (attr.ok() && attr->nlink > 0 && !S_ISDIR(attr->mode)) {
      SCALEFS_CHECK(fs.link(no, private_dir_[core], name).ok());
      SCALEFS_CHECK(fs.unlink(private_dir_[core], name).ok());
      fs.forget(no, 1);
      // What stands behind a file's data is made once in its life.
      (void)fs.seek(no, 0, memfs::SeekMode::hole);
    }
  }
}

void Rig::warm(const std::string& files, const std::vector<Call>& freshen, const Call& a,
               const Call& b) {
  // The cores know the objects from before the last readings; what the builder did has been folded since, as it is when
  // time passes.
  const int64_t before = clock_ += 1000;
  set_wall_for_test(before);
  content_.clear();
  record::run_on(kBuilder, [&] {
    for (const Call* call : {&a, &b}) keep_content(*call);
    for (const Call& call : freshen) {
      set_wall_for_test(clock_ += 1000);
      (void)run_plain(call, '?');
    }
    (void)volume_->step_maintenance();
  });
  set_wall_for_test(before);
  for (int core = 0; core < 2; ++core)
    record::run_on(core, [&] {
      touch(core, files);
      rehearse(core, core == 0 ? a : b);
    });
  // Each pair's moment is later than all before it: a directory that stays shows no earlier one.
  set_wall_for_test(now_ = clock_ += 1000);
}

void Rig::empty(MnodeNo at) {
  auto& fs = volume_->fs();
  std::vector<std::string> names;
  SCALEFS_CHECK(fs.readdir(at, 0, [&](const memfs::DirectoryEntry& e) {
                    if (e.name != "." && e.name != "..") names.emplace_back(e.name);
                    return true;
                  }).ok());
  for (const std::string& name : names) {
    if (fs.unlink(at, name).ok()) continue;
    auto found = fs.lookup(at, name);
    SCALEFS_CHECK(found.ok());
    empty(found->attr.mnode);
    SCALEFS_CHECK(fs.rmdir(at, name).ok());
    fs.forget(found->attr.mnode, 1);
  }
}

void Rig::clean() {
  record::run_on(kBuilder, [&] {
    set_wall_for_test(clock_ += 1000);
    auto& fs = volume_->fs();
    for (int d = 0; d < 3; ++d) {
      empty(dir(d));
      memfs::SetAttr change;
      change.mode = 0755;
      change.uid = change.gid = 0;
      change.mtime_ns = change.atime_ns = 1;
      SCALEFS_CHECK(fs.setattr(dir(d), change).ok());
      for (const char* name : {"user.0", "user.1"}) (void)fs.removexattr(dir(d), name);
    }
    for (const auto& [mnode, count] : lookups_) fs.forget(MnodeNo(mnode), count);
    lookups_.clear();
    std::erase_if(labels_, [](const auto& item) { return item.first < 'p' || item.first > 's'; });
  });
}

std::string Rig::compare(const World& world) {
  std::string difference;
  record::run_on(kBuilder, [&] {
    auto& fs = volume_->fs();
    const auto differ = [&](const std::string& what, const std::string& got,
                            const std::string& want) {
      if (got != want && difference.empty())
        difference = fmt::format("{}: got '{}', expected '{}'", what, got, want);
    };
    for (const auto& [label, id] : world.labels()) {
      const auto known = labels_.find(label);
      if (known == labels_.end()) {
        differ("objects", "none", std::string(1, label));
        continue;
      }
      const auto attr = fs.getattr(known->second);
      if (!attr.ok()) {
        differ("getattr", fmt::format("{}", attr.code()), world.attr_text(id, false));
        continue;
      }
      differ("attributes", attr_text(*attr), world.attr_text(id, false));
      const auto& node = world.fs().node(id);
      if (node.is_file()) {
        std::string content(node.data.size() + 1, 'x');
        const auto got = fs.read(known->second, 0, std::as_writable_bytes(std::span(content)));
        content.resize(got.ok() ? *got : 0);
        if (content != node.data) differ("content", "other", std::string(1, label));
      }
    }
    for (int d = 0; d < 2; ++d) {
      Call call;
      call.op = Op::readdir;
      call.slot.dir = d;
      World copy = world;
      differ("names", run_plain(call, '?').checked, copy.run(call, '?').checked);
    }
  });
  return difference;
}

}  // namespace scalefs::matrix
