// A device over bytes in memory of which one is damaged, for tests that damage each in turn: what is written
// goes beside the bytes and is forgotten by reset(), so that a turn costs no copy. A caller that does not
// end is answered EIO from operation `operations_max` on.
//
// Thread safety: none; one thread at a time.
#pragma once

#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "diskfs/block_device.h"
#include "diskfs/device_range.h"

namespace scalefs::testing {

class DamagedDevice final : public diskfs::BlockDevice {
 public:
  explicit DamagedDevice(std::vector<std::byte> bytes)
      : bytes_(std::move(bytes)), written_(bytes_.size()), is_written_(bytes_.size() / kBlockBytes) {}

  // The byte differs from now on by `mask`; again takes it back.
  void flip(uint64_t offset, std::byte mask) { bytes_[offset] ^= mask; }
  // Forgets what was written, and counts from 0 again.
  void reset() {
    is_written_.assign(is_written_.size(), false);
    operations_ = 0;
  }
  void set_operations_max(uint64_t operations) { operations_max_ = operations; }
  uint64_t operations() const { return operations_; }
  bool exceeded() const { return operations_ > operations_max_; }

  uint64_t block_count() const override { return is_written_.size(); }
  bool read_only() const override { return false; }
  Status read(BlockNo first, Bytes to) override {
    SCALEFS_TRY_VOID(enter());
    SCALEFS_TRY_VOID(diskfs::check_range(block_count(), first, to.size()));
    for (size_t done = 0; done < to.size(); done += kBlockBytes) {
      const uint64_t block = first.v + done / kBlockBytes;
      const std::byte* from = is_written_[block] ? written_.data() : bytes_.data();
      std::memcpy(to.data() + done, from + block * kBlockBytes, kBlockBytes);
    }
    return {};
  }
  Status write(BlockNo first, ConstBytes from) override {
    SCALEFS_TRY_VOID(enter());
    SCALEFS_TRY_VOID(diskfs::check_range(block_count(), first, from.size()));
    std::memcpy(written_.data() + first.v * kBlockBytes, from.data(), from.size());
    for (uint64_t i = 0; i < from.size() / kBlockBytes; ++i) is_written_[first.v + i] = true;
    return {};
  }
  Status flush() override { return enter(); }
  Status discard(BlockNo, uint64_t) override { return enter(); }
  Status write_zeroes(BlockNo first, uint64_t count) override {
    const std::vector<std::byte> zeros(count * kBlockBytes);
    return write(first, zeros);
  }

 private:
  Status enter() {
    if (++operations_ > operations_max_) return Errno(EIO);
    return {};
  }

  std::vector<std::byte> bytes_, written_;
  std::vector<bool> is_written_;
  uint64_t operations_ = 0;
  uint64_t operations_max_ = UINT64_MAX;
};

}  // namespace scalefs::testing
