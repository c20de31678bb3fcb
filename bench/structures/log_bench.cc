// The operation log: append, with a cut each 4096 operations, beside one list under a mutex; and the merge that a cut makes of
// the cores' slots, beside sorting.
#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "base/core.h"
#include "bench/structures/threads.h"
#include "oplog/op_log.h"

namespace scalefs::bench {
namespace {

using oplog::LogEntry;
using oplog::OpLog;
using oplog::Stamp;

constexpr int64_t kACut = 4096;

struct OurLog {
  void append() {
    auto entry = std::make_unique<LogEntry>();
    OpLog::Slot slot(log);
    slot.stamp(0);
    slot.append(std::move(entry));
  }
  size_t cut() { return log.cut().entries.size(); }
  OpLog log;
};
struct LockedLog {
  void append() {
    auto entry = std::make_unique<LogEntry>();
    MutexLock lock(mutex);
    entry->stamp = ++stamp;
    entries.push_back(std::move(entry));
  }
  size_t cut() {
    std::vector<std::unique_ptr<LogEntry>> taken;
    {
      MutexLock lock(mutex);
      taken.swap(entries);
    }
    return taken.size();
  }
  Mutex mutex;
  Stamp stamp GUARDED_BY(mutex) = 0;
  std::vector<std::unique_ptr<LogEntry>> entries GUARDED_BY(mutex);
};

template <class Log>
void append(benchmark::State& state) {
  int64_t appended = 0;
  for (auto _ : state) {
    shared<Log>->append();
    // One thread cuts, as the committer does.
    if (state.thread_index() == 0 && ++appended % kACut == 0) benchmark::DoNotOptimize(shared<Log>->cut());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(append<OurLog>)->Name("oplog_append/scalefs")->Apply(with_shared<OurLog>);
BENCHMARK(append<LockedLog>)->Name("oplog_append/mutex_vector")->Apply(with_shared<LockedLog>);

// An argument: how many cores' slots; items are entries.
class Cores {
 public:
  explicit Cores(uint32_t count) : before_(core_count()) { set_core_count_for_test(count); }
  ~Cores() {
    set_thread_core(-1);
    set_core_count_for_test(before_);
  }

 private:
  const uint32_t before_;
};

void merge(benchmark::State& state) {
  const auto cores = static_cast<uint32_t>(state.range(0));
  Cores fake(cores);
  OurLog log;
  size_t taken = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < kACut; ++i) {
      set_thread_core(static_cast<int32_t>(i % cores));
      log.append();
    }
    state.ResumeTiming();
    OpLog::Cut cut = log.log.cut();
    taken += cut.entries.size();
    state.PauseTiming();
    cut.entries.clear();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(taken));
}
BENCHMARK(merge)->Name("oplog_merge/scalefs")->ArgName("cores")->Arg(1)->Arg(8)->Arg(64);

void sort(benchmark::State& state) {
  const auto cores = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::unique_ptr<LogEntry>> entries;
    // As they stand in the slots, one behind the other.
    for (int64_t core = 0; core < cores; ++core) {
      for (int64_t i = core; i < kACut; i += cores) {
        entries.push_back(std::make_unique<LogEntry>());
        entries.back()->stamp = static_cast<Stamp>(i);
      }
    }
    state.ResumeTiming();
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a->stamp < b->stamp; });
    benchmark::DoNotOptimize(entries.data());
    state.PauseTiming();
    entries.clear();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kACut);
}
BENCHMARK(sort)->Name("oplog_merge/sort")->ArgName("cores")->Arg(1)->Arg(8)->Arg(64);

}  // namespace
}  // namespace scalefs::bench
