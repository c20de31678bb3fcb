// What one call costs in MemFS without a backend, from one thread and from two: names and attributes.
// Threads work on names of their own in one directory, which is what has to scale.
#include <benchmark/benchmark.h>

#include <charconv>
#include <string_view>

#include "bench/bench_fs.h"

namespace scalefs::bench {
namespace {

using memfs::Caller;
using memfs::MemFs;

constexpr int64_t kFiles = 1 << 18;  // names a thread works with
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

void start_full(const benchmark::State& state) {
  start(state);
  for (int thread = 0; thread < state.threads(); ++thread) {
    Name name(thread);
    for (int64_t i = 0; i < kFiles; ++i)
      benchmark::DoNotOptimize(
          fs_of(thread).create(kRootMnode, name.of(i), 0644, true, kCaller).ok());
  }
}

void BM_Create(benchmark::State& state) {
  MemFs& fs = fs_of(state.thread_index());
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs.create(kRootMnode, name.of(i++), 0644, true, kCaller).code());
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
  Name to(state.thread_index() + state.threads());
  int64_t i = 0;
  for (auto _ : state) {
    fail(state, fs.rename(kRootMnode, from.of(i), kRootMnode, to.of(i), memfs::RenameMode::replace,
                          kCaller)
                    .code());
    ++i;
  }
}

void changing(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("private")->Arg(0)->Arg(1)->Iterations(kFiles)->ThreadRange(1, 2)->Teardown(stop)
      ->UseRealTime();
}
void reading(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("private")->Arg(0)->Arg(1)->ThreadRange(1, 2)->Setup(start_full)->Teardown(stop)
      ->UseRealTime();
}

BENCHMARK(BM_Create)->Setup(start)->Apply(changing);
BENCHMARK(BM_Unlink)->Setup(start_full)->Apply(changing);
BENCHMARK(BM_Rename)->Setup(start_full)->Apply(changing);
BENCHMARK(BM_Lookup)->Apply(reading);
BENCHMARK(BM_LookupSameName)->Apply(reading);
BENCHMARK(BM_Stat)->Apply(reading);

}  // namespace
}  // namespace scalefs::bench
