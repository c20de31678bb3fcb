// Reads and writes of 4 KiB in memory, from one thread and from two: each on a file of its own, or all on
// one file, where threads keep to parts of their own. items_per_second is calls, over all threads.
#include <benchmark/benchmark.h>

#include <vector>

#include "bench/bench_fs.h"

namespace scalefs::bench {
namespace {

using memfs::Caller;
using memfs::MemFs;

constexpr uint64_t kPagesAThread = 512;
constexpr uint64_t kPages = 2 * kPagesAThread;

// Of each file system: file 0 is everybody's, file 1 + n the n-th thread's.
std::vector<std::vector<MnodeNo>> files;

MnodeNo file_of(int thread, size_t index) {
  return files[static_cast<size_t>(thread) % files.size()][index];
}

void start_files(const benchmark::State& state) {
  start(state.range(0) != 0 ? state.threads() : 1);
  const std::vector<std::byte> content(kPages * kBlockBytes, std::byte{1});
  files.clear();
  for (auto& fs : file_systems) {
    std::vector<MnodeNo> made;
    for (int i = 0; i <= state.threads(); ++i) {
      made.push_back(fs->create(kRootMnode, std::to_string(i), 0644, true, Caller{})->attr.mnode);
      if (!fs->write(made.back(), 0, content).ok()) std::abort();
      // A reading that comes a tick of the clock after the writing sets the access time; later ones find it fresh.
      std::byte first[1];
      for (auto now = fs->getattr(made.back()); now->atime_ns <= now->ctime_ns; now = fs->getattr(made.back()))
        if (!fs->read(made.back(), 0, first).ok()) std::abort();
    }
    while (fs->maintain()) continue;
    files.push_back(std::move(made));
  }
}

template <class Call>
void run(benchmark::State& state, Call call) {
  const int thread = state.thread_index();
  const Pinned pinned(thread);
  MemFs& fs = fs_of(thread);
  const bool shared = state.range(1) != 0;
  const MnodeNo file = file_of(thread, shared ? 0 : static_cast<size_t>(1 + thread));
  const uint64_t first = shared ? static_cast<uint64_t>(thread) * kPagesAThread : 0;
  uint64_t page = 0;
  std::vector<std::byte> buffer(kBlockBytes, std::byte{2});
  for (auto _ : state) {
    benchmark::DoNotOptimize(call(fs, file, (first + page) * kBlockBytes, Bytes(buffer)).ok());
    page = (page + 1) % kPagesAThread;
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_Read4K(benchmark::State& state) {
  run(state, [](MemFs& fs, MnodeNo file, uint64_t offset, Bytes buffer) {
    return fs.read(file, offset, buffer);
  });
}
void BM_Write4K(benchmark::State& state) {
  run(state, [](MemFs& fs, MnodeNo file, uint64_t offset, Bytes buffer) {
    return fs.write(file, offset, buffer);
  });
}
void BM_Append4K(benchmark::State& state) {
  const Pinned pinned(state.thread_index());
  MemFs& fs = fs_of(state.thread_index());
  const MnodeNo file =
      file_of(state.thread_index(), static_cast<size_t>(1 + state.thread_index()));
  const std::vector<std::byte> buffer(kBlockBytes, std::byte{3});
  memfs::SetAttr empty;
  empty.size = 0;
  uint64_t appended = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(fs.append(file, buffer).ok());
    if (++appended % kPages == 0) {
      state.PauseTiming();
      if (!fs.setattr(file, empty).ok()) std::abort();
      state.ResumeTiming();
    }
  }
  state.SetItemsProcessed(state.iterations());
}

void transfers(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"private", "shared"})->ArgsProduct({{0, 1}, {0, 1}})->ThreadRange(1, 2)
      ->Setup(start_files)->Teardown(stop)->UseRealTime();
}

BENCHMARK(BM_Read4K)->Apply(transfers);
BENCHMARK(BM_Write4K)->Apply(transfers);
BENCHMARK(BM_Append4K)->ArgName("private")->Arg(0)->Arg(1)->ThreadRange(1, 2)->Setup(start_files)
    ->Teardown(stop)->UseRealTime();

}  // namespace
}  // namespace scalefs::bench
