// What checking a volume costs: all of its metadata (BM_Check), or all of its data (BM_ReadData), by the
// number of threads, on a memory device. Items are files, or blocks.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "diskfs/check/check.h"
#include "diskfs/check/scrub.h"
#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "volume/volume.h"

namespace {

using namespace scalefs;

constexpr int kDirectories = 40;
constexpr int kFilesEach = 2500;

// Filled once: files of a block, in directories.
diskfs::MemoryDevice* device_with_files(std::string* why) {
  static std::string reason;
  static const auto device = [] {
    auto made = std::make_unique<diskfs::MemoryDevice>((uint64_t{2} << 30) / kBlockBytes);
    if (!diskfs::format(*made, {}, &reason).ok()) return std::unique_ptr<diskfs::MemoryDevice>();
    auto volume = volume::Volume::mount(*made, {}, &reason);
    if (!volume.ok()) return std::unique_ptr<diskfs::MemoryDevice>();
    auto& fs = (*volume)->fs();
    std::vector<std::byte> page(kBlockBytes, std::byte{7});
    for (int d = 0; d < kDirectories; ++d) {
      const auto dir = fs.mkdir(kRootMnode, fmt::format("directory{}", d), 0755, {});
      for (int f = 0; dir.ok() && f < kFilesEach; ++f) {
        const auto file = fs.create(dir->attr.mnode, fmt::format("file{}", f), 0100644, true, {});
        if (!file.ok() || !fs.write(file->attr.mnode, 0, page).ok()) reason = "filling failed";
        if (file.ok()) fs.forget(file->attr.mnode, 1);
      }
    }
    if (!(*volume)->unmount().ok()) reason = "unmount failed";
    return reason.empty() ? std::move(made) : nullptr;
  }();
  *why = reason;
  return device.get();
}

void BM_Check(benchmark::State& state) {
  std::string why;
  diskfs::MemoryDevice* device = device_with_files(&why);
  if (device == nullptr) return state.SkipWithError(why.c_str());
  uint64_t inodes = 0;
  for (auto _ : state) {
    const auto report =
        diskfs::check_volume(*device, &why, {static_cast<size_t>(state.range(0)), {}});
    if (!report.ok() || !report->findings.clean()) return state.SkipWithError("not clean");
    inodes += report->inodes;
  }
  state.SetItemsProcessed(static_cast<int64_t>(inodes));
}
BENCHMARK(BM_Check)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_ReadData(benchmark::State& state) {
  std::string why;
  diskfs::MemoryDevice* device = device_with_files(&why);
  if (device == nullptr) return state.SkipWithError(why.c_str());
  uint64_t blocks = 0;
  for (auto _ : state) {
    const auto report =
        diskfs::scrub_volume(*device, {static_cast<size_t>(state.range(0)), {}}, &why);
    if (!report.ok() || report->bad_blocks != 0) return state.SkipWithError("damaged");
    blocks += report->blocks;
  }
  state.SetItemsProcessed(static_cast<int64_t>(blocks));
  state.SetBytesProcessed(static_cast<int64_t>(blocks * kBlockBytes));
}
BENCHMARK(BM_ReadData)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->UseRealTime()->Unit(
    benchmark::kMillisecond);

}  // namespace
