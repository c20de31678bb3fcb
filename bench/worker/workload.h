// What is measured. A Workload is what one worker (a thread or a process) does: it prepares, and then makes one step
// after another, each of which is timed and counted as one operation of a kind. The table of them says what each does.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/worker/clock.h"
#include "bench/worker/files.h"
#include "bench/worker/histogram.h"

namespace scalefs::bench {

inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kKindsMax = 24;
inline constexpr char kZeros[1u << 18] = {};  // what is written

struct DbenchLoad;

struct Settings {
  std::string workload;
  std::string target = "dir";  // dir, memory, image
  std::string path;            // the directory, or the image
  unsigned threads = 1;
  bool processes = false;
  bool pin = true;
  double seconds = 0;  // what is measured; or
  uint64_t count = 0;  // so many of every worker
  double warmup = 0;   // seconds
  uint64_t seed = 1;
  uint64_t files = 1000;          // of a directory, a tree, a mailbox
  unsigned branch = 8;            // of the tree whose paths are looked up
  uint64_t size = 64u << 20;      // bytes, at the most, that a worker has in files
  bool sync_open = false, sync_dir = false, fsync = false;
  bool direct = false;
  bool xattr = false, no_resolve = false;
  std::string load_file;
  std::vector<pid_t> servers;  // whose processor time is told, too
};

// The end of a run that did not work; the text names the call.
struct Failure {
  std::string text;
};

// What one worker has counted. Lies in memory that all processes share; written by the worker alone.
struct Record {
  uint64_t items = 0, bytes = 0, unexpected = 0, cpu_ns = 0, last_ns = 0;
  Histogram kinds[kKindsMax];
};

struct Context {
  const Settings& settings;
  Files& files;
  Record& record;
  const DbenchLoad* load;
  unsigned index;       // of the worker
  unsigned foreground;  // workers, without those in the background
  std::string top;      // the directory of this run
  bool recording = false;
  uint64_t wanted = UINT64_MAX;  // operations that this worker is still to make
  uint64_t made = 1;             // operations that this step made
  Random random;

  bool background() const { return index >= foreground; }
  // Part of a step, by its kind, in nanoseconds.
  void part(size_t kind, uint64_t ns) {
    if (recording) record.kinds[kind].add(ns);
  }
  void bytes(uint64_t bytes) {
    if (recording) record.bytes += bytes;
  }
};

// Ends the run unless `result` is 0 or more; answers it.
int64_t need(int64_t result, const char* call, const std::string& path);

class Workload {
 public:
  static constexpr int kExhausted = -1;

  explicit Workload(Context& context) : context_(context), files_(context.files) {}
  virtual ~Workload() = default;
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // Before everything else; what all use is made by worker 0.
  virtual void prepare() {}
  // After all have prepared.
  virtual void begin() {}
  // Before each round of steps: what steps use up is made anew. `steps`: how many will be made, at the most.
  virtual void refill(uint64_t) {}
  // The kind of the operation that was made; kExhausted: none, until refilled.
  virtual int step() = 0;
  // How many steps one of Settings::count is.
  virtual uint64_t steps_of_one() const { return 1; }

 protected:
  // A path below the directory of the run: parts and numbers in a row. Valid until the next call.
  std::string folder_of(unsigned worker) const { return context_.top + "/w" + std::to_string(worker); }
  std::string own_folder() const { return folder_of(context_.index); }
  void make_folder(const std::string& path);  // which may be there
  void make_file(const std::string& path, uint64_t bytes = 0);
  int open(const std::string& path, int flags);
  void close(int fd);
  // Times one call, as a part of a step.
  template <class Call>
  int64_t timed(size_t kind, Call call) {
    const uint64_t before = now_ns();
    const int64_t result = call();
    context_.part(kind, now_ns() - before);
    return result;
  }

  Context& context_;
  Files& files_;
};

// How many workers share what.
enum class Sharing : uint8_t { low, medium, high };
inline constexpr auto kLow = Sharing::low, kMedium = Sharing::medium, kHigh = Sharing::high;

struct WorkloadInfo {
  const char* name;
  const char* family;
  Sharing sharing;
  const char* unit;       // what one operation is
  const char* kinds[kKindsMax];  // names of the kinds that step() answers and part() takes; null ends
  bool background;        // one worker more, whose operations are not counted
  bool uses_up;           // steps use up what refill made: there is no warm-up
  bool on_null;           // works where nothing is stored
  const char* what;
  std::unique_ptr<Workload> (*make)(Context&);
};

std::span<const WorkloadInfo> fxmark_data_workloads();
std::span<const WorkloadInfo> fxmark_name_workloads();
std::span<const WorkloadInfo> application_workloads();
std::span<const WorkloadInfo> tree_workloads();
std::span<const WorkloadInfo> dbench_workloads();
std::vector<const WorkloadInfo*> all_workloads();

template <class W>
std::unique_ptr<Workload> make_workload(Context& context) {
  return std::make_unique<W>(context);
}
template <class W, Sharing sharing>
std::unique_ptr<Workload> make_shared_workload(Context& context) {
  return std::make_unique<W>(context, sharing);
}

// A name made of a stem and a number, without allocating: for the loops that are timed.
class Name {
 public:
  explicit Name(std::string stem) : text_(std::move(stem)), stem_(text_.size()) {}
  const char* with(uint64_t number) {
    text_.resize(stem_);
    char digits[20];
    int n = 0;
    do digits[n++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    while (n > 0) text_ += digits[--n];
    return text_.c_str();
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  size_t stem_;
};

}  // namespace scalefs::bench
