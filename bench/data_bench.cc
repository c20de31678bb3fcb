// Reads and writes of 4 KiB in memory: one thread and two, each on a file of its own or all on one.
// items_per_second is calls, over all threads.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "memfs/memfs.h"

namespace scalefs::memfs {
namespace {

constexpr uint64_t kPages = 1024;

// One file system for all runs, made when the first benchmark needs it.
class Files {
 public:
  static Files& shared() {
    static Files files;
    return files;
  }
  MemFs& fs() { return fs_; }
  // File 0 is everybody's, file 1 + n the n-th thread's.
  MnodeNo file(int index) const { return files_[static_cast<size_t>(index)]; }

 private:
  Files() : fs_({.hash_key = {1, 2}}, nullptr, nullptr) {
    LoadedObject root;
    root.attr.mnode = kRootMnode;
    root.attr.mode = 040755;
    root.parent = kRootMnode;
    fs_.install_root(root);
    const std::vector<std::byte> content(kPages * kBlockBytes, std::byte{1});
    for (int i = 0; i < 5; ++i) {
      const auto made = fs_.create(kRootMnode, std::to_string(i), 0644, true, Caller{});
      files_.push_back(made->attr.mnode);
      if (!fs_.write(files_.back(), 0, content).ok()) std::abort();
    }
  }
  MemFs fs_;
  std::vector<MnodeNo> files_;
};

// Threads on one file keep to pages of their own: their calls commute.
template <class Call>
void run(benchmark::State& state, bool shared, Call call) {
  MemFs& fs = Files::shared().fs();
  const MnodeNo file = Files::shared().file(shared ? 0 : 1 + state.thread_index());
  const uint64_t threads = static_cast<uint64_t>(state.threads());
  uint64_t page = static_cast<uint64_t>(state.thread_index());
  std::vector<std::byte> buffer(kBlockBytes, std::byte{2});
  for (auto _ : state) {
    benchmark::DoNotOptimize(call(fs, file, page * kBlockBytes, Bytes(buffer)).ok());
    page += threads;
    if (page >= kPages) page -= kPages;
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_Read4K(benchmark::State& state) {
  run(state, state.range(0) != 0, [](MemFs& fs, MnodeNo file, uint64_t offset, Bytes buffer) {
    return fs.read(file, offset, buffer);
  });
}
void BM_Write4K(benchmark::State& state) {
  run(state, state.range(0) != 0, [](MemFs& fs, MnodeNo file, uint64_t offset, Bytes buffer) {
    return fs.write(file, offset, buffer);
  });
}
void BM_Append4K(benchmark::State& state) {
  MemFs& fs = Files::shared().fs();
  const MnodeNo file = Files::shared().file(4);
  const std::vector<std::byte> buffer(kBlockBytes, std::byte{3});
  SetAttr empty;
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

BENCHMARK(BM_Read4K)->ArgName("shared")->Arg(0)->Arg(1)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(BM_Write4K)->ArgName("shared")->Arg(0)->Arg(1)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(BM_Append4K)->UseRealTime();

}  // namespace
}  // namespace scalefs::memfs
