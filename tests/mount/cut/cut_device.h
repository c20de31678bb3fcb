// A device with a volatile cache of its own, for daemons that are killed: what was written and not flushed is in the
// memory of this process alone, and goes with it. So the kill of the daemon is to the image what a
// power cut is to a disk. Killed alone, a daemon leaves all that it wrote in the host's page cache, and a
// flush that it forgot is not missed.
//
// As a cache does, it writes some of the blocks early, by chance, whole or only some of their sectors, and at a
// flush in any order: a kill in the middle of it leaves a part.
//
// Thread safety: as BlockDevice. Locks: cache_mutex_ inside writing_mutex_; the latter is held while the image is
// written, so that no old content comes over a newer one.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/random.h"
#include "diskfs/block_device.h"

namespace scalefs::testing {

struct CutOptions {
  uint64_t seed = 1;
  bool lose_flushes = false;  // a canary: flush() answers ok and does nothing
};

class CutDevice final : public diskfs::BlockDevice {
 public:
  // `inner` outlives it.
  CutDevice(diskfs::BlockDevice& inner, const CutOptions& options)
      : inner_(inner), options_(options), random_(options.seed) {}

  uint64_t block_count() const override { return inner_.block_count(); }
  bool read_only() const override { return inner_.read_only(); }
  Status read(BlockNo first, Bytes to) override;
  Status write(BlockNo first, ConstBytes from) override;
  Status flush() override;
  // What stood there stays, as with a disk that ignores the hint.
  Status discard(BlockNo, uint64_t) override { return {}; }
  Status write_zeroes(BlockNo first, uint64_t count) override;

 private:
  struct Held {
    uint64_t version = 0;
    std::vector<std::byte> bytes;
  };
  void write_early();

  diskfs::BlockDevice& inner_;
  const CutOptions options_;
  Mutex writing_mutex_;
  Mutex cache_mutex_;
  std::map<uint64_t, Held> cache_ GUARDED_BY(cache_mutex_);
  uint64_t versions_ GUARDED_BY(cache_mutex_) = 0;
  Random random_ GUARDED_BY(cache_mutex_);
};

}  // namespace scalefs::testing
