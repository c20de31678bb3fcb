// A device that misbehaves on demand, for tests. Wraps any device and hands calls through except
// those that a fault was set for.
//
// Fault model. What the file system must survive with a clean error or a detected corruption:
//   failed       a read, write, flush, discard or write_zeroes answers an errno; a failed write has
//                written nothing, or half (set_tear_failed_writes)
//   lost         a write answers ok and nothing is written; all flushes answer ok and do nothing (lose_flushes)
//   misdirected  a write answers ok and lands on other blocks
//   corrupted    a write answers ok and one byte differs on the device
//   shrunk       what lies behind the new end answers EIO, though block_count() stays what it was
// Calls are counted a kind, from 1, over the life of the device; a fault names "the n-th from now".
//
// Thread safety: as BlockDevice; faults may be set while calls run.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "base/mutex.h"
#include "diskfs/block_device.h"

namespace scalefs::diskfs {

class FaultDevice : public BlockDevice {
 public:
  enum class Call : uint8_t { read, write, flush, discard, zeroes };
  static constexpr size_t kCalls = 5;

  // `inner` must outlive the device.
  explicit FaultDevice(BlockDevice& inner) : inner_(inner) {}

  uint64_t block_count() const override { return inner_.block_count(); }
  bool read_only() const override { return inner_.read_only(); }
  Status read(BlockNo first, Bytes to) override;
  Status write(BlockNo first, ConstBytes from) override;
  Status flush() override;
  Status discard(BlockNo first, uint64_t count) override;
  Status write_zeroes(BlockNo first, uint64_t count) override;

  // The `nth` (from 1) call of this kind from now on answers `error`; with `later_too` so do all
  // calls of this kind after it.
  void fail(Call call, uint64_t nth, int error, bool later_too = false);
  // A failing write leaves the first half of its blocks (rounded down) written.
  void set_tear_failed_writes(bool on);
  void lose_write(uint64_t nth);
  void lose_flushes(bool on);
  // The write goes to `to` instead; it must fit there.
  void misdirect_write(uint64_t nth, BlockNo to);
  // Byte `offset` of the write (clamped into it) is xored with `mask`.
  void corrupt_write(uint64_t nth, size_t offset, std::byte mask);
  // Every read that includes `block` answers `error` until clear().
  void fail_block(BlockNo block, int error);
  // Every call that touches a block from `blocks` on answers EIO until clear(); a write has written nothing.
  void shrink(uint64_t blocks);
  // Takes back every fault; counters and hooks stay.
  void clear();
  // Called at the begin of every flush, before the inner one, with no lock held. May block.
  void set_flush_hook(std::function<void()> hook);

  // Calls so far, those with a fault included.
  uint64_t calls(Call call) const;
  // Blocks of read and write calls so far.
  uint64_t blocks(Call call) const;

 private:
  struct Fault {
    enum class Kind : uint8_t { error, lost, misdirected, corrupted };
    Call call = Call::read;
    Kind kind = Kind::error;
    uint64_t at = 0;  // number of the call
    bool later_too = false;
    int error = 0;
    BlockNo to;
    size_t offset = 0;
    std::byte mask{};
  };
  void add(Fault fault, uint64_t nth);
  // Counts the call and returns the fault that applies to it; Fault::at is 0 when none does.
  Fault enter(Call call, uint64_t blocks);
  int broken_block(BlockNo first, uint64_t count) const;
  bool is_beyond(BlockNo first, uint64_t count) const;

  BlockDevice& inner_;
  mutable Mutex mutex_;
  std::vector<Fault> faults_ GUARDED_BY(mutex_);
  std::vector<std::pair<BlockNo, int>> broken_ GUARDED_BY(mutex_);
  std::array<uint64_t, kCalls> calls_ GUARDED_BY(mutex_) = {};
  std::array<uint64_t, kCalls> blocks_ GUARDED_BY(mutex_) = {};
  std::function<void()> flush_hook_ GUARDED_BY(mutex_);
  uint64_t end_ GUARDED_BY(mutex_) = UINT64_MAX;
  bool tear_ GUARDED_BY(mutex_) = false;
  bool lose_flushes_ GUARDED_BY(mutex_) = false;
};

}  // namespace scalefs::diskfs
