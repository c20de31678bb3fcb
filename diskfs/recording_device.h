// A device that remembers, in order, every write and flush that went through it, so that a test can
// build what a power cut at any moment might have left (crash_image.h).
//
// Thread safety: as BlockDevice. An event is recorded when the call returns; a flush remembers how
// many events were recorded when it began: those, and only those, it made durable.
#pragma once

#include <cstdint>
#include <vector>

#include "base/mutex.h"
#include "diskfs/block_device.h"

namespace scalefs::diskfs {

struct RecordedEvent {
  enum class Kind : uint8_t { write, zeroes, discard, flush };
  Kind kind = Kind::write;
  BlockNo first;
  uint64_t count = 0;            // blocks; 0 for a flush
  uint64_t covers = 0;           // flush: events [0, covers) are durable
  std::vector<std::byte> bytes;  // write: the content
};

class RecordingDevice : public BlockDevice {
 public:
  // `inner` must outlive the device.
  explicit RecordingDevice(BlockDevice& inner) : inner_(inner) {}

  uint64_t block_count() const override { return inner_.block_count(); }
  bool read_only() const override { return inner_.read_only(); }
  Status read(BlockNo first, Bytes to) override { return inner_.read(first, to); }
  Status write(BlockNo first, ConstBytes from) override;
  Status flush() override;
  Status discard(BlockNo first, uint64_t count) override;
  Status write_zeroes(BlockNo first, uint64_t count) override;

  // How many events were recorded so far: sampled after an acknowledged call, it tells at which cut
  // points the effect of the call must be there.
  uint64_t event_count() const;
  // A copy of event `index`; index < event_count().
  RecordedEvent event(uint64_t index) const;
  // Forgets everything; what the device holds now becomes the start.
  void forget();

 private:
  void record(RecordedEvent event);

  BlockDevice& inner_;
  mutable Mutex mutex_;
  std::vector<RecordedEvent> events_ GUARDED_BY(mutex_);
};

}  // namespace scalefs::diskfs
