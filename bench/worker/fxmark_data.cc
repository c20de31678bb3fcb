// The data workloads of FxMark (Min, Kashyap, Maass, Kim: Understanding Manycore Scalability of File Systems, ATC 2016),
// which count one system call each.
#include <fcntl.h>

#include <array>

#include "bench/worker/workload.h"

namespace scalefs::bench {
namespace {

constexpr uint64_t kRegionBytes = 8u << 20;  // of each worker's in a file that all have

struct alignas(kPageBytes) Page {
  std::array<char, kPageBytes> bytes{};
};

// Reads or overwrites the same page again and again.
class Block final : public Workload {
 public:
  struct Kind {
    Sharing sharing;
    bool write, sync;
    bool background_writes;
  };
  Block(Context& context, const Kind& kind) : Workload(context), kind_(kind) {}

  void prepare() override {
    if (kind_.sharing == Sharing::low) {
      make_folder(own_folder());
      make_file(path(), kPageBytes);
    } else if (context_.index == 0) {
      make_file(path(), kind_.sharing == Sharing::medium ? region() * context_.foreground : kPageBytes);
      const int fd = open(path(), O_RDWR);
      need(files_.fsync(fd), "fsync", path());
      close(fd);
    }
  }
  void begin() override {
    fd_ = open(path(), O_RDWR | (context_.settings.direct ? O_DIRECT : 0));
    if (kind_.sharing == Sharing::medium) offset_ = region() * context_.index;
  }
  int step() override {
    const bool background = context_.background();
    if (background && kind_.sharing == Sharing::medium) {
      offset_ = region() * context_.random.below(context_.foreground);
    }
    int64_t done = 0;
    if (background ? kind_.background_writes : kind_.write) {
      done = files_.pwrite(fd_, page_.bytes.data(), kPageBytes, offset_);
    } else {
      done = files_.pread(fd_, page_.bytes.data(), kPageBytes, offset_);
    }
    if (done != static_cast<int64_t>(kPageBytes)) need(done < 0 ? done : -EIO, kind_.write ? "pwrite" : "pread", path());
    if (kind_.sync) need(timed(1, [&] { return files_.fsync(fd_); }), "fsync", path());
    context_.bytes(background ? 0 : kPageBytes);
    return background ? 1 : 0;
  }

 private:
  uint64_t region() const { return std::min(kRegionBytes, context_.settings.size); }
  std::string path() const {
    return (kind_.sharing == Sharing::low ? own_folder() : context_.top) + "/block.dat";
  }
  const Kind kind_;
  Page page_;
  int fd_ = -1;
  uint64_t offset_ = 0;
};

class Append final : public Workload {
 public:
  using Workload::Workload;
  void prepare() override { make_folder(own_folder()); }
  void refill(uint64_t) override {
    if (fd_ >= 0) close(fd_);
    fd_ = open(path(), O_CREAT | O_TRUNC | O_RDWR | (context_.settings.direct ? O_DIRECT : 0));
    bytes_ = 0;
  }
  int step() override {
    if (bytes_ + kPageBytes > context_.settings.size) return kExhausted;
    const int64_t done = files_.write(fd_, page_.bytes.data(), kPageBytes);
    if (done != static_cast<int64_t>(kPageBytes)) need(done < 0 ? done : -EIO, "write", path());
    bytes_ += kPageBytes;
    context_.bytes(kPageBytes);
    return 0;
  }

 private:
  std::string path() const { return own_folder() + "/append.dat"; }
  Page page_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

class Truncate final : public Workload {
 public:
  using Workload::Workload;
  void prepare() override { path_ = context_.top + "/truncate-" + std::to_string(context_.index) + ".dat"; }
  void refill(uint64_t steps) override {
    pages_ = std::min(steps, context_.settings.size / kPageBytes) + 1;
    (void)files_.unlink(path_.c_str());
    make_file(path_, pages_ * kPageBytes);
  }
  int step() override {
    if (pages_ <= 1) return kExhausted;
    need(files_.truncate(path_.c_str(), --pages_ * kPageBytes), "truncate", path_);
    return 0;
  }

 private:
  std::string path_;
  uint64_t pages_ = 0;
};

template <Sharing sharing, bool write, bool sync, bool background_writes>
std::unique_ptr<Workload> block(Context& context) {
  return std::make_unique<Block>(context, Block::Kind{sharing, write, sync, background_writes});
}

constexpr const char* kRead = "pread of 4 KiB";
constexpr const char* kWrite = "pwrite of 4 KiB";

constexpr WorkloadInfo kFxmarkData[] = {
    {"DRBL", "fxmark", kLow, kRead, {"pread"}, false, false, true, "reads the page of a file of its own",
     block<kLow, false, false, false>},
    {"DRBM", "fxmark", kMedium, kRead, {"pread"}, false, false, true,
     "reads a page of its own of one file, 8 MiB apart from the others'", block<kMedium, false, false, false>},
    {"DRBH", "fxmark", kHigh, kRead, {"pread"}, false, false, true, "reads the one page that all read",
     block<kHigh, false, false, false>},
    {"DRBL_bg", "fxmark", kLow, kRead, {"pread", "background"}, true, false, true,
     "DRBL, and one more worker overwrites the page of a file of its own", block<kLow, false, false, true>},
    {"DRBM_bg", "fxmark", kMedium, kRead, {"pread", "background"}, true, false, true,
     "DRBM, and one more worker reads the page of any of the others, as FxMark's does", block<kMedium, false, false, false>},
    {"DRBH_bg", "fxmark", kHigh, kRead, {"pread", "background"}, true, false, true,
     "DRBH, and one more worker overwrites that page", block<kHigh, false, false, true>},
    {"DWOL", "fxmark", kLow, kWrite, {"pwrite"}, false, false, true, "overwrites the page of a file of its own",
     block<kLow, true, false, false>},
    {"DWOM", "fxmark", kMedium, kWrite, {"pwrite"}, false, false, true,
     "overwrites a page of its own of one file, 8 MiB apart from the others'", block<kMedium, true, false, false>},
    {"DWSL", "fxmark", kLow, "pwrite of 4 KiB and fsync", {"pwrite+fsync", "fsync"}, false, false, true,
     "overwrites the page of a file of its own and makes it durable", block<kLow, true, true, false>},
    {"DWAL", "fxmark", kLow, "append of 4 KiB", {"write"}, false, false, true,
     "appends to a file of its own, which is emptied, untimed, when it has --size bytes", make_workload<Append>},
    {"DWTL", "fxmark", kLow, "truncate by 4 KiB", {"truncate"}, false, true, true,
     "shortens a file of its own by a page at a time; it is made anew, untimed, with --size bytes (FxMark fills the disk)",
     make_workload<Truncate>},
};

}  // namespace

std::span<const WorkloadInfo> fxmark_data_workloads() { return kFxmarkData; }

}  // namespace scalefs::bench
