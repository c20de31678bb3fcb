// The metadata workloads of FxMark. One operation is one system call on a name, or one entry of a listing.
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "bench/worker/workload.h"

namespace scalefs::bench {
namespace {

constexpr unsigned kDepth = 5;
constexpr uint64_t kUsedUpTimes = 10;   // so many times Settings::files are made for what uses files up
constexpr uint64_t kCreatedTimes = 100;
constexpr uint64_t kSupplyLeast = 100;  // files are made for a round, however long that takes,
constexpr double kSupplyPatience = 1.5;  // and more for so many times what the run shall measure
constexpr uint64_t kEntriesOfAStep = 64;

// stat of a path of five names: the worker's own, a random one of a tree, or the same for all.
class Resolve final : public Workload {
 public:
  Resolve(Context& context, Sharing sharing) : Workload(context), sharing_(sharing) {}

  void prepare() override {
    if (sharing_ == Sharing::low) {
      path_ = own_folder();
      for (unsigned i = 1; i < kDepth; ++i) {
        make_folder(path_);
        path_ += "/0";
      }
      make_file(path_);
    } else {
      path_ = context_.top;
      if (context_.index == 0) make_tree(kDepth);
      path_ = context_.top + "/0/0/0/0/0";
    }
    prefix_ = context_.top.size();
  }
  int step() override {
    if (context_.background()) return change();
    if (sharing_ == Sharing::medium) {
      for (unsigned i = 0; i < kDepth; ++i) path_[prefix_ + 1 + 2 * i] = digit();
    }
    FileStatus status;
    need(files_.stat(path_.c_str(), &status), "stat", path_);
    return 0;
  }

 private:
  char digit() { return static_cast<char>('0' + context_.random.below(context_.settings.branch)); }
  void make_tree(unsigned levels) {
    const size_t length = path_.size();
    for (unsigned i = 0; i < context_.settings.branch; ++i) {
      path_ += '/';
      path_ += static_cast<char>('0' + i);
      if (levels == 1) make_file(path_);
      if (levels > 1) {
        make_folder(path_);
        make_tree(levels - 1);
      }
      path_.resize(length);
    }
  }
  // Removes a file that is there, or makes one that is not, somewhere in the tree.
  int change() {
    const uint64_t depth = 1 + context_.random.below(kDepth);
    std::string path = context_.top;
    for (uint64_t i = 1; i <= depth; ++i) {
      path += i == depth ? "/100" : "/";
      path += digit();
    }
    FileStatus status;
    if (files_.stat(path.c_str(), &status) != 0) {
      make_file(path);
    } else {
      need(files_.unlink(path.c_str()), "unlink", path);
    }
    return 1;
  }
  const Sharing sharing_;
  std::string path_;
  size_t prefix_ = 0;
};

// Reads a directory's entries. Its name is one that scalefs-null knows as that of a directory with as many.
class List final : public Workload {
 public:
  List(Context& context, Sharing sharing) : Workload(context), sharing_(sharing) {}
  ~List() override { files_.close_listing(); }

  void prepare() override {
    if (context_.background()) return;
    if (sharing_ == Sharing::low || context_.index == 0) make_folder(folder(context_.index));
    if (sharing_ == Sharing::low) fill();
  }
  void begin() override {
    if (sharing_ != Sharing::low && !context_.background()) fill();
    path_ = folder(context_.index);
  }
  int step() override {
    if (context_.background()) return change();
    const uint64_t count = std::min(kEntriesOfAStep, context_.wanted);
    for (uint64_t i = 0; i < count; ++i) {
      while (!open_ || files_.next_entry() == nullptr) {
        need(files_.open_listing(path_.c_str()), "opendir", path_);
        open_ = true;
      }
    }
    context_.made = count;
    return 0;
  }

 private:
  std::string folder(unsigned worker) const {
    uint64_t digits = 0, files = context_.settings.files;
    for (; files >= 10 && files % 10 == 0; files /= 10) ++digits;
    std::string name = context_.top + (files == 1 && digits > 0 ? "/list-" + std::to_string(digits) : std::string("/files")) + "-w";
    return name + std::to_string(sharing_ == Sharing::low ? worker : 0);
  }
  // The names n0, n1, ... are parted among the workers of one directory.
  void fill() {
    const unsigned step = sharing_ == Sharing::low ? 1 : context_.foreground;
    Name name(folder(context_.index) + "/n");
    for (uint64_t i = sharing_ == Sharing::low ? 0 : context_.index; i < context_.settings.files; i += step) {
      name.with(i);
      make_file(name.text());
    }
  }
  // Removes a random file of each worker's directory, and makes it again.
  int change() {
    const unsigned worker = turn_ % context_.foreground;
    if (turn_ < context_.foreground) chosen_.push_back(context_.random.below(context_.settings.files));
    const std::string path = folder(worker) + "/n" + std::to_string(chosen_[worker]);
    if (turn_ < context_.foreground) {
      const int result = files_.unlink(path.c_str());
      if (result != -ENOENT) need(result, "unlink", path);
    } else {
      make_file(path);
    }
    if (++turn_ == 2 * context_.foreground) {
      turn_ = 0;
      chosen_.clear();
    }
    return 1;
  }
  const Sharing sharing_;
  std::string path_;
  bool open_ = false;
  unsigned turn_ = 0;
  std::vector<uint64_t> chosen_;
};

// In the worker's folder, or in the one that all have.
class Named : public Workload {
 public:
  Named(Context& context, Sharing sharing)
      : Workload(context), own_(own_folder() + "/n"),
        shared_(context.top + "/n" + std::to_string(context.index) + "-"),
        sharing_(sharing) {}
  void prepare() override { make_folder(own_folder()); }

 protected:
  Name& name() { return sharing_ == Sharing::low ? own_ : shared_; }
  void remove(Name& names, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; ++i) (void)files_.unlink(names.with(i));
  }
  void create(Name& names, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; ++i) {
      names.with(i);
      make_file(names.text());
    }
  }
  // Makes what the steps of a round use up, and answers how many: fewer where making them is slow.
  uint64_t supply(Name& names, uint64_t steps) {
    const uint64_t most = std::min(steps, context_.settings.files * kUsedUpTimes);
    const uint64_t until = now_ns() + static_cast<uint64_t>(context_.settings.seconds * kSupplyPatience * 1e9);
    uint64_t made = 0;
    while (made < most && (made < kSupplyLeast || context_.settings.count != 0 || now_ns() < until)) {
      create(names, made, made + 1);
      ++made;
    }
    return made;
  }
  Name own_, shared_;

 private:
  const Sharing sharing_;
};

class Create final : public Named {
 public:
  Create(Context& context, Sharing sharing) : Named(context, sharing), bytes_(sharing == Sharing::low ? 0 : kPageBytes) {}
  void refill(uint64_t) override {
    remove(name(), 0, next_);
    next_ = 0;
    most_ = context_.settings.files * kCreatedTimes;
    if (bytes_ != 0) most_ = std::min(most_, std::max<uint64_t>(1, context_.settings.size / bytes_));
  }
  int step() override {
    if (next_ == most_) return kExhausted;
    static const char page[kPageBytes] = {};
    const char* const path = name().with(next_);
    const int64_t opened = files_.open(path, O_CREAT | O_RDWR, 0644);
    // As many as there is room for, also where other workers were quicker and have it all; but not for ever.
    if (opened == -ENOSPC && (next_ > 0 || ++turned_away_ < kTurnedAwayMax)) return kExhausted;
    turned_away_ = 0;
    const auto fd = static_cast<int>(need(opened, "open", path));
    ++next_;
    if (bytes_ != 0) need(files_.write(fd, page, bytes_), "write", path);
    need(files_.close(fd), "close", path);
    context_.bytes(bytes_);
    return 0;
  }

 private:
  const size_t bytes_;
  uint64_t next_ = 0, most_ = 0;
  // Rounds in a row in which there was no room for any.
  static constexpr int kTurnedAwayMax = 100;
  int turned_away_ = 0;
};

class Unlink final : public Named {
 public:
  using Named::Named;
  void refill(uint64_t steps) override {
    remove(name(), next_, made_);
    next_ = 0;
    made_ = supply(name(), steps);
  }
  int step() override {
    if (next_ == made_) return kExhausted;
    const char* const path = name().with(next_++);
    need(files_.unlink(path), "unlink", path);
    return 0;
  }

 private:
  uint64_t next_ = 0, made_ = 0;
};

// Renames one file on and on.
class Rename final : public Named {
 public:
  explicit Rename(Context& context) : Named(context, Sharing::low), target_(own_folder() + "/n") {}
  void begin() override { create(own_, 0, 1); }
  int step() override {
    const char* const from = own_.with(next_);
    need(files_.rename(from, target_.with(++next_)), "rename", from);
    return 0;
  }

 private:
  Name target_;
  uint64_t next_ = 0;
};

// Moves files of the worker's folder into the shared one.
class Move final : public Named {
 public:
  explicit Move(Context& context) : Named(context, Sharing::medium) {}
  void refill(uint64_t steps) override {
    remove(shared_, 0, next_);
    remove(own_, next_, made_);
    next_ = 0;
    made_ = supply(own_, steps);
  }
  int step() override {
    if (next_ == made_) return kExhausted;
    const char* const from = own_.with(next_);
    need(files_.rename(from, shared_.with(next_)), "rename", from);
    ++next_;
    return 0;
  }

 private:
  uint64_t next_ = 0, made_ = 0;
};

constexpr const char* kStat = "stat of a path of five names";
constexpr const char* kEntry = "entry of a listing";
constexpr const char* kListing = "64 entries";

constexpr WorkloadInfo kFxmarkNames[] = {
    {"MRPL", "fxmark", kLow, kStat, {"stat"}, false, false, true, "looks a path of its own up", make_shared_workload<Resolve, kLow>},
    {"MRPM", "fxmark", kMedium, kStat, {"stat"}, false, false, true,
     "looks up a random path of a tree five deep, --branch wide (8)", make_shared_workload<Resolve, kMedium>},
    {"MRPH", "fxmark", kHigh, kStat, {"stat"}, false, false, true, "looks up the same path of that tree as all others",
     make_shared_workload<Resolve, kHigh>},
    {"MRPM_bg", "fxmark", kMedium, kStat, {"stat", "background"}, true, false, true,
     "MRPM, and one more worker creates and removes files in the tree", make_shared_workload<Resolve, kMedium>},
    {"MRDL", "fxmark", kLow, kEntry, {kListing}, false, false, true,
     "lists a directory of its own with --files files, again and again (FxMark: of as many files as can be made in the time)",
     make_shared_workload<List, kLow>},
    {"MRDM", "fxmark", kMedium, kEntry, {kListing}, false, false, true, "lists one directory with --files files that all list",
     make_shared_workload<List, kMedium>},
    {"MRDL_bg", "fxmark", kLow, kEntry, {kListing, "background"}, true, false, false,
     "MRDL, and one more worker removes and creates files of those directories", make_shared_workload<List, kLow>},
    {"MRDM_bg", "fxmark", kMedium, kEntry, {kListing, "background"}, true, false, false,
     "MRDM, and one more worker removes and creates files of that directory", make_shared_workload<List, kMedium>},
    {"MWCL", "fxmark", kLow, "create of an empty file (open and close)", {"create"}, false, false, true,
     "creates files in a directory of its own, which is emptied, untimed, at 100 times --files or where no more have room", make_shared_workload<Create, kLow>},
    {"MWCM", "fxmark", kMedium, "create of a file of 4 KiB (open, write, close)", {"create"}, false, false, true,
     "creates files with a page each in the directory that all use, emptied, untimed, at --size bytes of each worker",
     make_shared_workload<Create, kMedium>},
    {"MWUL", "fxmark", kLow, "unlink of an empty file", {"unlink"}, false, true, true,
     "removes files of a directory of its own; they are made anew, untimed, up to 10 times --files (FxMark fills the disk)",
     make_shared_workload<Unlink, kLow>},
    {"MWUM", "fxmark", kMedium, "unlink of an empty file", {"unlink"}, false, true, true,
     "removes files of its own from the directory that all use", make_shared_workload<Unlink, kMedium>},
    {"MWRL", "fxmark", kLow, "rename within a directory", {"rename"}, false, false, true,
     "renames a file in a directory of its own", make_workload<Rename>},
    {"MWRM", "fxmark", kMedium, "rename into another directory", {"rename"}, false, true, true,
     "moves files of a directory of its own, up to 10 times --files, made untimed, into the one that all use", make_workload<Move>},
};

}  // namespace

std::span<const WorkloadInfo> fxmark_name_workloads() { return kFxmarkNames; }

}  // namespace scalefs::bench
