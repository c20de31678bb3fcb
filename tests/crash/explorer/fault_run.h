// One life of a volume on a device with faults: a small tree is made and unmounted; then, with the faults set,
// it is mounted and a script (crash_script.h) runs, whose calls may be refused with EIO and, once the volume has failed,
// EROFS; the faults end; and the medium is judged as after a crash.
//
// What must hold (I11, P10), whatever fails: nothing crashes or waits for ever; a refused call has done nothing; no
// fsync is answered ok on a volume that has failed; what was answered can still be read, exactly, when the
// fault has passed; a failed volume answers EIO to every sync and EROFS to every change; and what an fsync
// that was answered ok had promised is there after the next mount, whose image fsck finds clean.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "diskfs/fault_device.h"
#include "diskfs/memory_device.h"
#include "tests/crash/explorer/crash_script.h"

namespace scalefs::testing {

class FaultRun {
 public:
  using Faults = std::function<void(diskfs::FaultDevice&)>;

  // Empty unless something above does not hold.
  std::string run(const std::string& script, const Faults& faults);
  // The same with a device that lies (lost, misdirected and corrupted writes), where what was promised may be gone:
  // what is read afterwards is of a state that the contract allows without a promise, or an error says that it is damaged.
  std::string run_lies(const std::string& script, const Faults& faults);

  // Of what mount, script and the engine's steps allocate the n-th fails, or all from the n-th on: calls may be refused
  // with ENOMEM too. What holds besides: unless it has failed, the volume is as usable when memory is back as if nothing had
  // been, unmounts, and owes no memory and no room. The program must have failing operators (tests/support/memory_faults.h).
  std::string run_without_memory(const std::string& script, uint64_t n, bool later_too);
  uint64_t allocations() const { return allocations_; }

  // The volume is filled by a file that nobody looks at, until `left` blocks are free, and the script's calls may be
  // refused with ENOSPC, but for those that give space back or make durable (I9). Nothing else may be different.
  std::string run_full(const std::string& script, uint64_t left);

  // Of the last run. Calls of the device since the faults were set.
  uint64_t calls(diskfs::FaultDevice::Call call) const { return calls_[static_cast<size_t>(call)]; }
  bool mounted() const { return mounted_; }
  bool volume_failed() const { return failed_; }
  uint64_t refused() const { return refused_; }
  bool damage_told() const { return damage_told_; }

 private:
  struct Life;
  std::string live(Life& life, const std::string& script, const Faults& faults);
  std::string end_of(Life& life);
  std::string use_and_unmount(Life& life);

  uint64_t calls_[diskfs::FaultDevice::kCalls] = {};
  bool mounted_ = false;
  bool failed_ = false;
  bool damage_told_ = false;
  uint64_t refused_ = 0;
  uint64_t allocations_ = 0;
};

}  // namespace scalefs::testing
