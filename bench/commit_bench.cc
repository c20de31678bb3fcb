// What a commit costs above the device: n creates, then one sync on a memory device. The creates are
// not timed. Counters: operations a second that a commit makes durable, journal bytes an operation.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "volume/volume.h"

namespace {

using scalefs::kRootMnode;

void commit(benchmark::State& state) {
  scalefs::diskfs::MemoryDevice device((uint64_t{4} << 30) / scalefs::kBlockBytes);
  std::string why;
  if (!scalefs::diskfs::format(device, {}, &why).ok()) return state.SkipWithError(why.c_str());
  scalefs::volume::VolumeOptions options;
  options.threads = false;
  auto volume = scalefs::volume::Volume::mount(device, options, &why);
  if (!volume.ok()) return state.SkipWithError(why.c_str());
  uint64_t next = 0;
  uint64_t bytes_before = (*volume)->statistics().disk.batch_bytes;
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < state.range(0); i++) {
      auto made = (*volume)->fs().create(kRootMnode, fmt::format("file{}", next++), 0100644, true, {});
      if (!made.ok()) return state.SkipWithError("create failed");
      (*volume)->fs().forget(made->attr.mnode, 1);
    }
    state.ResumeTiming();
    if (!(*volume)->sync().ok()) return state.SkipWithError("sync failed");
  }
  uint64_t bytes = (*volume)->statistics().disk.batch_bytes - bytes_before;
  state.SetItemsProcessed(static_cast<int64_t>(next));
  state.counters["journal_bytes_per_op"] = static_cast<double>(bytes) / static_cast<double>(next);
}

BENCHMARK(commit)->Arg(1)->Arg(100)->Arg(10'000)->UseRealTime();

}  // namespace
