#include "diskfs/recording_device.h"

#include <utility>

namespace scalefs::diskfs {

void RecordingDevice::record(RecordedEvent event) {
  MutexLock lock(mutex_);
  events_.push_back(std::move(event));
}

Status RecordingDevice::write(BlockNo first, ConstBytes from) {
  SCALEFS_TRY_VOID(inner_.write(first, from));
  RecordedEvent event;
  event.kind = RecordedEvent::Kind::write;
  event.first = first;
  event.count = from.size() / kBlockBytes;
  event.bytes.assign(from.begin(), from.end());
  record(std::move(event));
  return {};
}

Status RecordingDevice::flush() {
  RecordedEvent event;
  event.kind = RecordedEvent::Kind::flush;
  event.covers = event_count();
  SCALEFS_TRY_VOID(inner_.flush());
  record(std::move(event));
  return {};
}

Status RecordingDevice::discard(BlockNo first, uint64_t count) {
  SCALEFS_TRY_VOID(inner_.discard(first, count));
  RecordedEvent event;
  event.kind = RecordedEvent::Kind::discard;
  event.first = first;
  event.count = count;
  record(std::move(event));
  return {};
}

Status RecordingDevice::write_zeroes(BlockNo first, uint64_t count) {
  SCALEFS_TRY_VOID(inner_.write_zeroes(first, count));
  RecordedEvent event;
  event.kind = RecordedEvent::Kind::zeroes;
  event.first = first;
  event.count = count;
  record(std::move(event));
  return {};
}

uint64_t RecordingDevice::event_count() const {
  MutexLock lock(mutex_);
  return events_.size();
}

RecordedEvent RecordingDevice::event(uint64_t index) const {
  MutexLock lock(mutex_);
  SCALEFS_CHECK(index < events_.size());
  return events_[index];
}

void RecordingDevice::forget() {
  MutexLock lock(mutex_);
  events_.clear();
}

}  // namespace scalefs::diskfs
