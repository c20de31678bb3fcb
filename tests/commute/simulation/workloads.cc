#include "tests/commute/simulation/workloads.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/epoch.h"

namespace scalefs::simulation {
namespace {

using memfs::Caller;

const Caller kCaller{1000, 1000, 022};

// A directory and names of the core's own.
class Own : public Work {
 public:
  using Work::Work;
  void prepare() override { own_ = directory(kRootMnode, fmt::format("core{}", core_)); }
  // The same, with buckets for more names than the calls make.
  void prepare_for_names() {
    Own::prepare();
    grow_directory(fs(), own_, 2 * shared_.calls);
  }
  void ready(int i) override { name_ = fmt::format("{}-{}", core_, i); }

 protected:
  MnodeNo directory(MnodeNo parent, const std::string& name) {
    auto made = fs().mkdir(parent, name, 0755, kCaller);
    SCALEFS_CHECK(made.ok());
    return made->attr.mnode;  // its lookup stays
  }
  MnodeNo file(MnodeNo parent, const std::string& name) {
    auto made = fs().create(parent, name, 0644, true, kCaller);
    SCALEFS_CHECK(made.ok());
    return made->attr.mnode;
  }
  // A file that nobody has looked up.
  void leave_file(MnodeNo parent, const std::string& name) { fs().forget(file(parent, name), 1); }
  void write(MnodeNo to, uint64_t page) {
    SCALEFS_CHECK(fs().write(to, page * kBlockBytes, page_).ok());
  }
  MnodeNo file_of_pages() {
    const MnodeNo made = file(own_, "data");
    for (uint64_t page = 0; page < kPagesACore; ++page) write(made, page);
    return made;
  }

  MnodeNo own_;
  std::string name_;
  const std::vector<std::byte> page_ = std::vector<std::byte>(kBlockBytes, std::byte{1});
  std::vector<std::byte> back_ = std::vector<std::byte>(kBlockBytes);
};

template <bool kShared>
class Create : public Own {
 public:
  using Own::Own;
  void prepare() override { kShared ? Own::prepare() : prepare_for_names(); }
  void call() override {
    auto made = fs().create(kShared ? shared_.dir : own_, name_, 0644, true, kCaller);
    SCALEFS_CHECK(made.ok());
    fs().forget(made->attr.mnode, 1);
  }
};

template <bool kShared>
class Unlink : public Own {
 public:
  using Own::Own;
  void prepare() override {
    kShared ? Own::prepare() : prepare_for_names();
    for (int i = 0; i < shared_.calls; ++i) leave_file(dir(), fmt::format("{}-{}", core_, i));
  }
  void call() override { SCALEFS_CHECK(fs().unlink(dir(), name_).ok()); }

 private:
  MnodeNo dir() const { return kShared ? shared_.dir : own_; }
};

template <bool kShared>
class Rename : public Own {
 public:
  using Own::Own;
  void prepare() override {
    prepare_for_names();
    for (int i = 0; i < shared_.calls; ++i) leave_file(own_, fmt::format("{}-{}", core_, i));
  }
  void ready(int i) override {
    Own::ready(i);
    to_ = "to-" + name_;
  }
  void call() override {
    SCALEFS_CHECK(fs().rename(own_, name_, kShared ? shared_.dir : own_, to_,
                              memfs::RenameMode::replace, kCaller)
                      .ok());
  }

 private:
  std::string to_;
};

// Resolves a path of five names and looks at what it means, as open and stat do.
class Resolve : public Own {
 public:
  using Own::Own;
  void call() override {
    MnodeNo at = kRootMnode;
    for (const std::string& name : path_) {
      auto entry = fs().lookup(at, name);
      SCALEFS_CHECK(entry.ok());
      at = entry->attr.mnode;
      seen_.push_back(at);
    }
    SCALEFS_CHECK(fs().getattr(at).ok());
    for (const MnodeNo mnode : seen_) fs().forget(mnode, 1);
    seen_.clear();
  }

 protected:
  // Makes the missing directories and the file of path_, and gives back nothing but their names.
  void make_path() {
    seen_.reserve(path_.size());
    MnodeNo at = kRootMnode;
    for (size_t i = 0; i < path_.size(); ++i) {
      auto entry = fs().lookup(at, path_[i]);
      if (entry.ok()) {
        at = entry->attr.mnode;
      } else {
        at = i + 1 < path_.size() ? directory(at, path_[i]) : file(at, path_[i]);
      }
    }
  }
  std::vector<std::string> path_;

 private:
  std::vector<MnodeNo> seen_;
};

class ResolveOwn : public Resolve {
 public:
  using Resolve::Resolve;
  void prepare() override {
    path_ = {fmt::format("core{}", core_), "a", "b", "c", "file"};
    make_path();
  }
};

// Which of the shared files is the core's choice of the moment (MRPM), or the one file (MRPH).
template <bool kOne>
class ResolveShared : public Resolve {
 public:
  using Resolve::Resolve;
  void prepare() override {
    path_ = {"shared-tree", "a", "b", "c", ""};
    for (int i = 0; i < kFiles; ++i) {
      path_.back() = fmt::format("file{}", i);
      make_path();
    }
  }
  void ready(int i) override {
    path_.back() = fmt::format("file{}", kOne ? 0 : (core_ + i) % kFiles);
  }

 private:
  // As many as there are calls to warm up, so that each core has seen all of them.
  static constexpr int kFiles = 4;
};

template <bool kShared>
class List : public Own {
 public:
  using Own::Own;
  void prepare() override {
    dir_ = own_ = kShared ? shared_.dir : directory(kRootMnode, fmt::format("core{}", core_));
    // One core's names are there for all.
    if (kShared && core_ != 0) return;
    for (int i = 0; i < 32; ++i) leave_file(dir_, fmt::format("listed{}", i));
  }
  void call() override {
    size_t count = 0;
    SCALEFS_CHECK(fs().readdir(dir_, 0, [&count](const memfs::DirectoryEntry&) {
                        ++count;
                        return count < 40;
                      })
                      .ok());
  }

 private:
  MnodeNo dir_;
};

enum class Data { own, part, same };

template <Data kData, bool kWrite>
class Transfer : public Own {
 public:
  using Own::Own;
  void prepare() override {
    Own::prepare();
    if (kData == Data::own) {
      file_ = file_of_pages();
      return;
    }
    file_ = shared_.file;
    for (uint64_t page = 0; page < kPagesACore; ++page) write(file_, first_page() + page);
  }
  void ready(int i) override {
    offset_ = (first_page() + (kData == Data::same ? 0 : static_cast<uint64_t>(i) % kPagesACore)) *
              kBlockBytes;
  }
  void call() override {
    const auto count =
        kWrite ? fs().write(file_, offset_, page_) : fs().read(file_, offset_, back_);
    SCALEFS_CHECK(count.ok() && *count == kBlockBytes);
  }

 protected:
  uint64_t first_page() const {
    return kData == Data::part ? static_cast<uint64_t>(core_) * kPagesACore : 0;
  }
  MnodeNo file_;
  uint64_t offset_ = 0;
};

class Append : public Own {
 public:
  using Own::Own;
  void prepare() override {
    Own::prepare();
    file_ = file_of_pages();
  }
  void call() override { SCALEFS_CHECK(fs().append(file_, page_).ok()); }

 private:
  MnodeNo file_;
};

class Truncate : public Own {
 public:
  using Own::Own;
  void prepare() override {
    Own::prepare();
    file_ = file(own_, "data");
    pages_ = static_cast<uint64_t>(shared_.calls) + 1;
    for (uint64_t page = 0; page < pages_; ++page) write(file_, page);
  }
  void ready(int) override { change_.size = --pages_ * kBlockBytes; }
  void call() override { SCALEFS_CHECK(fs().setattr(file_, change_).ok()); }

 private:
  MnodeNo file_;
  uint64_t pages_ = 0;
  memfs::SetAttr change_;
};

class Synced : public Transfer<Data::own, true> {
 public:
  using Transfer::Transfer;
  void call() override {
    Transfer::call();
    SCALEFS_CHECK(shared_.volume->fsync(file_, false).ok());
  }
};

// What a client of dbench does with one file, in its own directory.
class Client : public Own {
 public:
  using Own::Own;
  void ready(int i) override {
    Own::ready(i);
    to_ = name_ + ".new";
  }
  void call() override {
    auto made = fs().create(own_, name_, 0644, true, kCaller);
    SCALEFS_CHECK(made.ok());
    const MnodeNo file = made->attr.mnode;
    for (uint64_t page = 0; page < 4; ++page) write(file, page);
    SCALEFS_CHECK(fs().getattr(file).ok());
    for (uint64_t page = 0; page < 4; ++page)
      SCALEFS_CHECK(fs().read(file, page * kBlockBytes, back_).ok());
    fs().forget(file, 1);
    SCALEFS_CHECK(
        fs().rename(own_, name_, own_, to_, memfs::RenameMode::replace, kCaller).ok());
    auto found = fs().lookup(own_, to_);
    SCALEFS_CHECK(found.ok());
    fs().forget(found->attr.mnode, 1);
    SCALEFS_CHECK(fs().unlink(own_, to_).ok());
  }

 private:
  std::string to_;
};

// A message is written into a shared spool, moved into the core's mailbox, read and removed.
class Mail : public Own {
 public:
  using Own::Own;
  void call() override {
    auto made = fs().create(shared_.dir, name_, 0600, true, kCaller);
    SCALEFS_CHECK(made.ok());
    write(made->attr.mnode, 0);
    SCALEFS_CHECK(
        fs().rename(shared_.dir, name_, own_, name_, memfs::RenameMode::replace, kCaller).ok());
    SCALEFS_CHECK(fs().read(made->attr.mnode, 0, back_).ok());
    fs().forget(made->attr.mnode, 1);
    SCALEFS_CHECK(fs().unlink(own_, name_).ok());
  }
};

template <class W>
std::unique_ptr<Work> make(const Shared& shared, int core) {
  return std::make_unique<W>(shared, core);
}

// Counted calls a core. The more serve what comes once in many calls: a call that frees one object makes the
// epoch take a step among them.
constexpr int kFew = 16;
constexpr int kMany = int{epoch::kRetiresAStep};

}  // namespace

void grow_directory(memfs::MemFs& fs, MnodeNo dir, int names) {
  for (int i = 0; i < names; ++i) {
    auto made = fs.mknod(dir, fmt::format("grow{}", i), S_IFIFO | 0600, 0, {});
    SCALEFS_CHECK(made.ok());
    fs.forget(made->attr.mnode, 1);
  }
  for (int i = 0; i < names; ++i) SCALEFS_CHECK(fs.unlink(dir, fmt::format("grow{}", i)).ok());
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"MWCL", make<Create<false>>, kFew, false},
      {"MWCM", make<Create<true>>, kMany, true},
      {"MWUL", make<Unlink<false>>, kMany, false},
      {"MWUM", make<Unlink<true>>, kMany, true},
      {"MWRL", make<Rename<false>>, kMany, false},
      {"MWRM", make<Rename<true>>, kMany, true},
      {"MRPL", make<ResolveOwn>, kFew, false},
      {"MRPM", make<ResolveShared<false>>, kFew, false},
      {"MRPH", make<ResolveShared<true>>, kFew, false},
      {"MRDL", make<List<false>>, kFew, false},
      {"MRDM", make<List<true>>, kFew, false},
      {"DRBL", make<Transfer<Data::own, false>>, kFew, false},
      {"DRBM", make<Transfer<Data::part, false>>, kFew, false},
      {"DRBH", make<Transfer<Data::same, false>>, kFew, false},
      {"DWOL", make<Transfer<Data::own, true>>, kFew, false},
      {"DWOM", make<Transfer<Data::part, true>>, kFew, false},
      {"DWAL", make<Append>, kMany, false},
      {"DWTL", make<Truncate>, kMany, false},
      {"DWSL", make<Synced>, kFew, false},
      {"dbench", make<Client>, kFew, false},
      {"mail", make<Mail>, kFew, true},
  };
  return all;
}

}  // namespace scalefs::simulation
