// What one call costs in MemFS without a backend, from one thread and from two: names and attributes.
// Threads work on names of their own in one directory, which is what has to scale. Each file system has the names of
// two threads, however many work on it, so that all directories have as many names in a bucket; and directories have
// grown before, but for BM_CreateGrowing.
#include <benchmark/benchmark.h>

#include <charconv>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "bench/bench_fs.h"

namespace scalefs::bench {
namespace {

using memfs::Caller;
using memfs::MemFs;

constexpr int64_t kFiles = 1 << 18;  // names a thread works with
constexpr int kThreadsMax = 2;
constexpr int64_t kLookedUp = 1024;  // names that are looked up over and over, as in tmpfs_bench.cc
const Caller kCaller{1000, 1000, 022};

// "<thread>-<number>", in place.
class Name {
 public:
  explicit Name(int thread) {
    text_[0] = static_cast<char>('a' + thread);
    text_[1] = '-';
  }
  std::string_view of(int64_t number) {
    const auto end = std::to_chars(text_ + 2, text_ + sizeof text_, number);
    return {text_, static_cast<size_t>(end.ptr - text_)};
  }

 private:
  char text_[32];
};

void start_threads(const benchmark::State& state) {
  start(state.range(0) != 0 ? state.threads() : 1);
}

void create_names(MemFs& fs, int thread, int64_t count) {
  Name name(thread);
  for (int64_t i = 0; i < count; ++i)
    benchmark::DoNotOptimize(fs.create(kRootMnode, name.of(i), 0644, true, kCaller).ok());
}

void start_full(const benchmark::State& state) {
  start_threads(state);
  for (auto& fs : file_systems)
    for (int thread = 0; thread < kThreadsMax; ++thread) create_names(*fs, thread, kFiles);
}

// Where one thread creates names, half as many others: on the average as many as there are where two do.
void start_some(const benchmark::State& state) {
  start_threads(state);
  if (state.threads() > 1 && file_systems.size() == 1) return;
  for (auto& fs : file_systems) create_names(*fs, kThreadsMax, kFiles / 2);
}

void BM_CreateGrowing(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs.create(kRootMnode, name.of(i++), 0644, true, kCaller).code());
}

// The thread's names have been there before: its tables have their sizes, and its allocator the memory.
void BM_Create(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  Name name(state.thread_index());
  std::vector<MnodeNo> made;
  for (int64_t i = 0; i < kFiles; ++i)
    made.push_back(fs.create(kRootMnode, name.of(i), 0644, true, kCaller)->attr.mnode);
  for (int64_t i = 0; i < kFiles; ++i) {
    benchmark::DoNotOptimize(fs.unlink(kRootMnode, name.of(i)).ok());
    fs.forget(made[static_cast<size_t>(i)], 1);
  }
  {
    static Mutex maintenance;  // one at a time
    MutexLock lock(maintenance);
    while (fs.maintain()) continue;
  }
  BM_CreateGrowing(state);
}

void BM_Unlink(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs.unlink(kRootMnode, name.of(i++)).code());
}

void BM_Lookup(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) {
    const auto entry = fs.lookup(kRootMnode, name.of(i++ % kLookedUp));
    fail(state, entry.code());
    fs.forget(entry->attr.mnode, 1);
  }
}

void BM_LookupSameName(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  const std::string_view name = state.range(0) != 0 && state.thread_index() == 1 ? "b-7" : "a-7";
  for (auto _ : state) {
    const auto entry = fs.lookup(kRootMnode, name);
    fail(state, entry.code());
    fs.forget(entry->attr.mnode, 1);
  }
}

void BM_Stat(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  const MnodeNo file = fs.lookup(kRootMnode, Name(state.thread_index()).of(7))->attr.mnode;
  for (auto _ : state) benchmark::DoNotOptimize(fs.getattr(file).ok());
}

void BM_Rename(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  Name from(state.thread_index());
  Name to(state.thread_index() + kThreadsMax);
  int64_t i = 0;
  for (auto _ : state) {
    fail(state, fs.rename(kRootMnode, from.of(i), kRootMnode, to.of(i), memfs::RenameMode::replace,
                          kCaller)
                    .code());
    ++i;
  }
}

void changing(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("private")->Arg(0)->Arg(1)->Iterations(kFiles)->ThreadRange(1, kThreadsMax)
      ->Teardown(stop)->UseRealTime();
}
void reading(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("private")->Arg(0)->Arg(1)->ThreadRange(1, kThreadsMax)->Setup(start_full)->Teardown(stop)
      ->UseRealTime();
}

BENCHMARK(BM_Create)->Setup(start_some)->Apply(changing);
BENCHMARK(BM_CreateGrowing)->Setup(start_threads)->Apply(changing);
BENCHMARK(BM_Unlink)->Setup(start_full)->Apply(changing);
BENCHMARK(BM_Rename)->Setup(start_full)->Apply(changing);
BENCHMARK(BM_Lookup)->Apply(reading);
BENCHMARK(BM_LookupSameName)->Apply(reading);
BENCHMARK(BM_Stat)->Apply(reading);

}  // namespace
}  // namespace scalefs::bench
