#include "diskfs/fault_device.h"

#include <algorithm>

#include "base/aligned_buffer.h"

namespace scalefs::diskfs {

namespace {
size_t index_of(FaultDevice::Call call) { return static_cast<size_t>(call); }
}  // namespace

FaultDevice::Fault FaultDevice::enter(Call call, uint64_t blocks) {
  MutexLock lock(mutex_);
  uint64_t number = ++calls_[index_of(call)];
  blocks_[index_of(call)] += blocks;
  for (const Fault& fault : faults_) {
    if (fault.call != call) continue;
    if (fault.at == number || (fault.later_too && number > fault.at)) return fault;
  }
  return {};
}

int FaultDevice::broken_block(BlockNo first, uint64_t count) const {
  MutexLock lock(mutex_);
  for (const auto& [block, error] : broken_) {
    if (block.v >= first.v && block.v - first.v < count) return error;
  }
  return 0;
}

bool FaultDevice::is_beyond(BlockNo first, uint64_t count) const {
  MutexLock lock(mutex_);
  return first.v + count > end_;
}

Status FaultDevice::read(BlockNo first, Bytes to) {
  uint64_t count = to.size() / kBlockBytes;
  Fault fault = enter(Call::read, count);
  if (fault.at != 0) return Errno(fault.error);
  if (is_beyond(first, count)) return Errno(EIO);
  int error = broken_block(first, count);
  if (error != 0) return Errno(error);
  return inner_.read(first, to);
}

Status FaultDevice::write(BlockNo first, ConstBytes from) {
  uint64_t count = from.size() / kBlockBytes;
  Fault fault = enter(Call::write, count);
  if (is_beyond(first, count)) return Errno(EIO);
  if (fault.at == 0) return inner_.write(first, from);
  switch (fault.kind) {
    case Fault::Kind::error: {
      bool tear = false;
      {
        MutexLock lock(mutex_);
        tear = tear_;
      }
      if (tear && count >= 2) {
        SCALEFS_TRY_VOID(inner_.write(first, from.first(count / 2 * kBlockBytes)));
      }
      return Errno(fault.error);
    }
    case Fault::Kind::lost: return {};
    case Fault::Kind::misdirected: return inner_.write(fault.to, from);
    case Fault::Kind::corrupted: {
      AlignedBuffer changed(from.size());
      std::copy(from.begin(), from.end(), changed.data());
      changed.data()[std::min(fault.offset, from.size() - 1)] ^= fault.mask;
      return inner_.write(first, changed.span());
    }
  }
  return {};
}

Status FaultDevice::flush() {
  Fault fault = enter(Call::flush, 0);
  std::function<void()> hook;
  bool lost = false;
  {
    MutexLock lock(mutex_);
    hook = flush_hook_;
    lost = lose_flushes_;
  }
  if (hook) hook();
  if (fault.at != 0) return Errno(fault.error);
  return lost ? Status() : inner_.flush();
}

Status FaultDevice::discard(BlockNo first, uint64_t count) {
  Fault fault = enter(Call::discard, count);
  if (fault.at != 0) return Errno(fault.error);
  if (is_beyond(first, count)) return Errno(EIO);
  return inner_.discard(first, count);
}

Status FaultDevice::write_zeroes(BlockNo first, uint64_t count) {
  Fault fault = enter(Call::zeroes, count);
  if (fault.at != 0) return Errno(fault.error);
  if (is_beyond(first, count)) return Errno(EIO);
  return inner_.write_zeroes(first, count);
}

void FaultDevice::add(Fault fault, uint64_t nth) {
  SCALEFS_CHECK(nth > 0);
  MutexLock lock(mutex_);
  fault.at = calls_[index_of(fault.call)] + nth;
  faults_.push_back(fault);
}

void FaultDevice::fail(Call call, uint64_t nth, int error, bool later_too) {
  Fault fault;
  fault.call = call;
  fault.error = error;
  fault.later_too = later_too;
  add(fault, nth);
}

void FaultDevice::set_tear_failed_writes(bool on) {
  MutexLock lock(mutex_);
  tear_ = on;
}

void FaultDevice::lose_write(uint64_t nth) {
  Fault fault;
  fault.call = Call::write;
  fault.kind = Fault::Kind::lost;
  add(fault, nth);
}

void FaultDevice::lose_flushes(bool on) {
  MutexLock lock(mutex_);
  lose_flushes_ = on;
}

void FaultDevice::misdirect_write(uint64_t nth, BlockNo to) {
  Fault fault;
  fault.call = Call::write;
  fault.kind = Fault::Kind::misdirected;
  fault.to = to;
  add(fault, nth);
}

void FaultDevice::corrupt_write(uint64_t nth, size_t offset, std::byte mask) {
  Fault fault;
  fault.call = Call::write;
  fault.kind = Fault::Kind::corrupted;
  fault.offset = offset;
  fault.mask = mask;
  add(fault, nth);
}

void FaultDevice::fail_block(BlockNo block, int error) {
  MutexLock lock(mutex_);
  broken_.emplace_back(block, error);
}

void FaultDevice::shrink(uint64_t blocks) {
  MutexLock lock(mutex_);
  end_ = blocks;
}

void FaultDevice::clear() {
  MutexLock lock(mutex_);
  faults_.clear();
  broken_.clear();
  end_ = UINT64_MAX;
  tear_ = false;
  lose_flushes_ = false;
}

void FaultDevice::set_flush_hook(std::function<void()> hook) {
  MutexLock lock(mutex_);
  flush_hook_ = std::move(hook);
}

uint64_t FaultDevice::calls(Call call) const {
  MutexLock lock(mutex_);
  return calls_[index_of(call)];
}

uint64_t FaultDevice::blocks(Call call) const {
  MutexLock lock(mutex_);
  return blocks_[index_of(call)];
}

}  // namespace scalefs::diskfs
