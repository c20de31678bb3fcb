// What one call costs in MemFS without a backend, from one thread and from two: names and attributes.
// Threads work on names of their own, in one directory, or each in a directory of its own, or in a file system of its own
// (`private`: 0, 2, 1). In one directory they meet: a bucket has names of both. Each directory has the names of
// two threads, however many work on it, so that all have as many names in a bucket; and directories have
// grown before, but for BM_CreateGrowing.
#include <benchmark/benchmark.h>

#include <barrier>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "bench/bench_fs.h"

namespace scalefs::bench {
namespace {

using memfs::Caller;
using memfs::MemFs;

constexpr int64_t kFiles = 1 << 15;  // names a thread works with
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

// A directory that one thread works in, or all do.
struct Folder {
  MemFs& fs;
  MnodeNo number;
};
std::vector<Folder> folders;
std::optional<std::barrier<>> threads_meet;

const Folder& folder_of(const benchmark::State& state) {
  return folders[static_cast<size_t>(state.thread_index()) % folders.size()];
}

void start_threads(const benchmark::State& state) {
  const bool own_directories = state.range(0) == 2;
  start(state.range(0) == 1 ? state.threads() : 1);
  threads_meet.emplace(state.threads());
  folders.clear();
  for (auto& fs : file_systems)
    if (!own_directories) folders.push_back({*fs, kRootMnode});
  for (int thread = 0; own_directories && thread < state.threads(); ++thread) {
    const auto made = file_systems[0]->mkdir(kRootMnode, Name(thread).of(0), 0755, kCaller);
    folders.push_back({*file_systems[0], made->attr.mnode});
  }
}

void create_names(const Folder& folder, int thread, int64_t count) {
  Name name(thread);
  for (int64_t i = 0; i < count; ++i)
    benchmark::DoNotOptimize(folder.fs.create(folder.number, name.of(i), 0644, true, kCaller).ok());
}

// Of the folder, by the threads that work in it: what cores keep apart lies where it will be used.
void fill(const benchmark::State& state) {
  const bool alone = state.threads() == 1 || folders.size() > 1;
  for (int thread = 0; thread < kThreadsMax; ++thread)
    if (alone || thread == state.thread_index()) create_names(folder_of(state), thread, kFiles);
}

// Where one thread creates names, half as many others: on the average as many as there are where two do.
void fill_some(const benchmark::State& state) {
  if (state.threads() > 1 && folders.size() == 1) return;
  create_names(folder_of(state), kThreadsMax, kFiles / 2);
}

void create_more(benchmark::State& state) {
  const auto& [fs, parent] = folder_of(state);
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs.create(parent, name.of(i++), 0644, true, kCaller).code());
}

void BM_CreateGrowing(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  create_more(state);
}

// The thread's names have been there before: its tables have their sizes, and its allocator the memory.
void BM_Create(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  fill_some(state);
  const auto& [fs, parent] = folder_of(state);
  Name name(state.thread_index());
  std::vector<MnodeNo> made;
  for (int64_t i = 0; i < kFiles; ++i)
    made.push_back(fs.create(parent, name.of(i), 0644, true, kCaller)->attr.mnode);
  for (int64_t i = 0; i < kFiles; ++i) {
    benchmark::DoNotOptimize(fs.unlink(parent, name.of(i)).ok());
    fs.forget(made[static_cast<size_t>(i)], 1);
  }
  // One thread frees what all have left, of one file system or of many, so that memory has the same way behind it.
  threads_meet->arrive_and_wait();
  if (state.thread_index() == 0)
    for (auto& each : file_systems)
      while (each->maintain()) continue;
  threads_meet->arrive_and_wait();
  create_more(state);
}

void BM_Unlink(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  fill(state);
  const auto& [fs, parent] = folder_of(state);
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) fail(state, fs.unlink(parent, name.of(i++)).code());
}

void BM_Lookup(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  fill(state);
  const auto& [fs, parent] = folder_of(state);
  Name name(state.thread_index());
  int64_t i = 0;
  for (auto _ : state) {
    const auto entry = fs.lookup(parent, name.of(i++ % kLookedUp));
    fail(state, entry.code());
    fs.forget(entry->attr.mnode, 1);
  }
}

void BM_LookupSameName(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  fill(state);
  const auto& [fs, parent] = folder_of(state);
  const std::string_view name = folders.size() > 1 && state.thread_index() == 1 ? "b-7" : "a-7";
  for (auto _ : state) {
    const auto entry = fs.lookup(parent, name);
    fail(state, entry.code());
    fs.forget(entry->attr.mnode, 1);
  }
}

void BM_Stat(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  fill(state);
  const auto& [fs, parent] = folder_of(state);
  const MnodeNo file = fs.lookup(parent, Name(state.thread_index()).of(7))->attr.mnode;
  for (auto _ : state) benchmark::DoNotOptimize(fs.getattr(file).ok());
}

void BM_Rename(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  fill(state);
  const auto& [fs, parent] = folder_of(state);
  Name from(state.thread_index());
  Name to(state.thread_index() + kThreadsMax);
  int64_t i = 0;
  for (auto _ : state) {
    fail(state, fs.rename(parent, from.of(i), parent, to.of(i), memfs::RenameMode::replace,
                          kCaller)
                    .code());
    ++i;
  }
}

void changing(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("private")->DenseRange(0, 2)->Iterations(kFiles)->ThreadRange(1, kThreadsMax)
      ->Setup(start_threads)->Teardown(stop)->UseRealTime();
}
void reading(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("private")->DenseRange(0, 2)->ThreadRange(1, kThreadsMax)->Setup(start_threads)
      ->Teardown(stop)->UseRealTime();
}

BENCHMARK(BM_Create)->Apply(changing);
BENCHMARK(BM_CreateGrowing)->Apply(changing);
BENCHMARK(BM_Unlink)->Apply(changing);
BENCHMARK(BM_Rename)->Apply(changing);
BENCHMARK(BM_Lookup)->Apply(reading);
BENCHMARK(BM_LookupSameName)->Apply(reading);
BENCHMARK(BM_Stat)->Apply(reading);

}  // namespace
}  // namespace scalefs::bench
