// What a power cut may leave of a recorded run. After n events, everything that a completed flush
// covers is on the medium; of every other write any subset of its 512-byte sectors may be, in any
// combination with the others. CrashImages walks the cut points from first to last and builds, for
// each, as many images as the test asks for, each by a choice of sectors.
//
// Not thread-safe. Cost: one copy of the recorded bytes for the whole walk, plus the undecided
// writes for each image.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "diskfs/memory_device.h"
#include "diskfs/recording_device.h"

namespace scalefs::diskfs {

class CrashImages {
 public:
  // Whether sector `sector` (of 512 bytes, from the start of the event's range) of event `event`
  // reached the medium. Asked only for events that no flush covers, in their order.
  using KeepSector = std::function<bool(uint64_t event, uint64_t sector)>;

  static constexpr size_t kSectorBytes = 512;

  // `start` is the content when recording began. `recording` must not change any more.
  CrashImages(const MemoryDevice& start, const RecordingDevice& recording);

  // Sets the cut after the first `events` events; may only grow.
  void advance(uint64_t events);
  uint64_t cut() const { return cut_; }
  // Event `event` never reaches the medium, flushed or not. Before advance() comes to it.
  void lose(uint64_t event) { lost_ = event; }
  // Events before the cut that no flush covers, in order.
  const std::vector<uint64_t>& undecided() const { return undecided_; }
  // The image with the chosen sectors of undecided events. Discarded ranges that reached the medium
  // hold a pattern (0xdd), since their content is undefined. Readable and writable; independent of
  // this object.
  std::unique_ptr<MemoryDevice> build(const KeepSector& keep) const;

  // Ready-made choices.
  static KeepSector keep_all();
  static KeepSector keep_none();
  // Each event is kept whole, dropped, or torn at random sectors, from the seed.
  static KeepSector keep_random(uint64_t seed);

 private:
  static void apply(const RecordedEvent& event, uint64_t index, const KeepSector& keep,
                    MemoryDevice& to);

  const RecordingDevice& recording_;
  std::unique_ptr<MemoryDevice> durable_;
  uint64_t cut_ = 0;
  uint64_t lost_ = UINT64_MAX;
  std::vector<uint64_t> undecided_;  // events before the cut that are not durable yet
};

}  // namespace scalefs::diskfs
