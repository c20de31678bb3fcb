// What a commit costs above the device: each thread makes n files in a directory of its own, then calls
// sync, on a memory device. The creates are not timed. Concurrent syncs share batches. Counter:
// journal bytes an operation.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>

#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "volume/volume.h"

namespace {

using scalefs::kRootMnode;
using scalefs::volume::Volume;

std::unique_ptr<scalefs::diskfs::MemoryDevice> device;
std::unique_ptr<Volume> volume;
std::string why;

void start(const benchmark::State&) {
  why.clear();
  device = std::make_unique<scalefs::diskfs::MemoryDevice>((uint64_t{4} << 30) /
                                                           scalefs::kBlockBytes);
  if (!scalefs::diskfs::format(*device, {}, &why).ok()) return;
  scalefs::volume::VolumeOptions options;
  // Only the syncs commit.
  options.commit_interval_ms = uint64_t{1} << 30;
  options.background_commit_ops = uint64_t{1} << 30;
  options.background_commit_bytes = options.log_bytes_max;
  auto mounted = Volume::mount(*device, options, &why);
  if (mounted.ok()) volume = std::move(*mounted);
}

void stop(const benchmark::State&) {
  volume.reset();
  device.reset();
}

void BM_Commit(benchmark::State& state) {
  if (!volume) return state.SkipWithError(why.c_str());
  auto& fs = volume->fs();
  const auto directory =
      fs.mkdir(kRootMnode, fmt::format("thread{}", state.thread_index()), 0755, {});
  if (!directory.ok()) return state.SkipWithError("mkdir failed");
  const uint64_t bytes_before = volume->statistics().disk.batch_bytes;
  uint64_t next = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < state.range(0); i++) {
      auto made =
          fs.create(directory->attr.mnode, fmt::format("file{}", next++), 0100644, true, {});
      if (!made.ok()) return state.SkipWithError("create failed");
      fs.forget(made->attr.mnode, 1);
    }
    state.ResumeTiming();
    if (!volume->sync().ok()) return state.SkipWithError("sync failed");
  }
  state.SetItemsProcessed(static_cast<int64_t>(next));
  if (state.threads() > 1) return;
  const uint64_t bytes = volume->statistics().disk.batch_bytes - bytes_before;
  state.counters["journal_bytes_per_op"] = static_cast<double>(bytes) / static_cast<double>(next);
}

BENCHMARK(BM_Commit)
    ->ArgName("operations")
    ->Arg(1)
    ->Arg(100)
    ->Arg(10'000)
    ->Threads(1)
    ->Threads(2)
    ->Setup(start)
    ->Teardown(stop)
    ->UseRealTime();

}  // namespace
