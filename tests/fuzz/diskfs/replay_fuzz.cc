// Any bytes as the payload of a batch in the journal of a sound volume: the mount is refused, or the
// volume is sound afterwards.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "diskfs/journal_writer.h"
#include "diskfs/memory_device.h"
#include "diskfs/recovery.h"
#include "tests/support/disk_history.h"

using namespace scalefs;
using namespace scalefs::diskfs;

namespace {

constexpr uint64_t kBlocks = 512;

void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

// A volume with a file, formatted once.
const MemoryDevice& sound_volume() {
  static const auto device = [] {
    auto made = std::make_unique<MemoryDevice>(kBlocks);
    format_tiny(*made, 64);
    auto fs = mount_or_fail(*made);
    DiskHistory history(1);
    history.adopt(*fs);
    for (int i = 0; i < 5; ++i) require(history.step(*fs, 20).ok(), "commit");
    require(fs->unmount().ok(), "unmount");
    return made;
  }();
  return *device;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_log_level(LogLevel::error);
  const auto device = sound_volume().clone();
  std::string why;
  auto sb = read_newest_superblock(*device, &why);
  require(sb.ok(), why);
  sb->state = 0;
  sb->generation += 1;
  sb->mount_epoch += 1;
  require(write_superblock(*device, *sb).ok(), "superblock");
  const JournalArea area = journal_area(*sb);
  JournalWriter writer(*device, area, sb->mount_epoch, journal_start(*sb));
  const size_t used = std::min(size, batch_payload_bytes_max(area.blocks));
  BatchBytes bytes;
  std::ranges::copy(ConstBytes(reinterpret_cast<const std::byte*>(data), used), bytes.extend(used).begin());
  require(writer.append(bytes, 1, sb->generation).ok(), "append");
  // A batch behind it that calls it durable: then its data are not looked at.
  writer.note_flushed();
  Batch batch;
  batch.set_mnode_mark(0, 5);
  bytes = batch.take_bytes();
  require(writer.append(bytes, 1, sb->generation).ok(), "append");
  auto fs = DiskFs::mount(*device, {}, &why);
  if (!fs.ok()) {
    require(fs.code() == EUCLEAN || fs.code() == ENOSPC, why);
    return 0;
  }
  fs->reset();
  const std::string fault = check_volume(*device);
  require(fault.empty(), fault);
  return 0;
}
