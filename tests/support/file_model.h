// A reference for one file's data, byte by byte and page by page, and a random history that is done to
// it and to a MemFs alike.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "memfs/memfs.h"

namespace scalefs::memfs {

inline SetAttr to_size(uint64_t size) {
  SetAttr change;
  change.size = size;
  return change;
}

struct FileModel {
  enum class Page : uint8_t { hole, unwritten, data };
  std::vector<uint8_t> bytes;
  std::vector<Page> pages;     // may reach beyond the end
  std::set<uint64_t> reserved;  // unwritten pages that this mount has allocated

  static uint64_t pages_for(uint64_t size) { return (size + kBlockBytes - 1) / kBlockBytes; }
  uint64_t size() const { return bytes.size(); }
  Page& page(uint64_t index) {
    if (index >= pages.size()) pages.resize(index + 1, Page::hole);
    return pages[index];
  }
  Page page(uint64_t index) const { return index < pages.size() ? pages[index] : Page::hole; }
  uint64_t mapped() const {
    return pages.size() - static_cast<size_t>(std::count(pages.begin(), pages.end(), Page::hole));
  }

  void write(uint64_t offset, const std::vector<uint8_t>& data) {
    if (data.empty()) return;
    if (offset + data.size() > bytes.size()) bytes.resize(offset + data.size());
    std::copy(data.begin(), data.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
    for (uint64_t p = offset / kBlockBytes; p < pages_for(offset + data.size()); ++p)
      set_page(p, Page::data);
  }
  void set_page(uint64_t index, Page what) {
    page(index) = what;
    if (what == Page::unwritten) {
      reserved.insert(index);
    } else {
      reserved.erase(index);
    }
  }
  void truncate(uint64_t to) {
    bytes.resize(to);
    if (pages.size() > pages_for(to)) pages.resize(pages_for(to));
    reserved.erase(reserved.lower_bound(pages_for(to)), reserved.end());
  }
  void clear(uint64_t offset, uint64_t length, bool unwritten, bool grow) {
    const uint64_t end = offset + length;
    for (uint64_t o = offset; o < std::min(end, size()); ++o) bytes[o] = 0;
    for (uint64_t p = pages_for(offset); p < end / kBlockBytes; ++p)
      set_page(p, unwritten ? Page::unwritten : Page::hole);
    if (unwritten) allocate(offset, length, grow);
  }
  void allocate(uint64_t offset, uint64_t length, bool grow) {
    for (uint64_t p = offset / kBlockBytes; p < pages_for(offset + length); ++p)
      if (page(p) == Page::hole) set_page(p, Page::unwritten);
    if (grow && offset + length > size()) bytes.resize(offset + length);
  }
  // The error or the place.
  std::pair<int, uint64_t> seek(uint64_t offset, SeekMode mode) const {
    if (offset >= size()) return {ENXIO, 0};
    for (uint64_t p = offset / kBlockBytes; p < pages_for(size()); ++p) {
      if ((page(p) == Page::data) == (mode == SeekMode::data))
        return {0, std::min<uint64_t>(size(), std::max<uint64_t>(offset, p * kBlockBytes))};
    }
    if (mode == SeekMode::data) return {ENXIO, 0};
    return {0, size()};
  }
};

inline ConstBytes bytes_of(const std::vector<uint8_t>& v) {
  return {reinterpret_cast<const std::byte*>(v.data()), v.size()};
}
inline Bytes bytes_of(std::vector<uint8_t>& v) {
  return {reinterpret_cast<std::byte*>(v.data()), v.size()};
}
inline std::vector<uint8_t> random_bytes(Random& random, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (auto& b : bytes) b = static_cast<uint8_t>(random.next() | 1);
  return bytes;
}

// One file of a MemFs and its model. Failures are gtest's.
class ModelledFile {
 public:
  ModelledFile(MemFs& fs, MnodeNo file, Random& random, uint64_t size_max)
      : fs_(&fs), file_(file), random_(random), size_max_(size_max) {}

  FileModel& model() { return model_; }
  MnodeNo number() const { return file_; }
  void moved_to(MemFs& fs, MnodeNo file) {
    fs_ = &fs;
    file_ = file;
  }

  void step() {
    switch (random_.below(12)) {
      case 0: case 1: case 2: return write();
      case 3: return append();
      case 4: case 5: return read();
      case 6: return truncate();
      case 7: return clear(AllocateMode::punch_hole);
      case 8:
        return clear(random_.percent(50) ? AllocateMode::zero_range
                                         : AllocateMode::zero_range_keep_size);
      case 9: return allocate();
      case 10: return copy();
      default: return seek();
    }
  }

  void check_all() {
    std::vector<uint8_t> got(model_.size() + 100);
    const auto read = fs_->read(file_, 0, bytes_of(got));
    ASSERT_EQ(read.code(), 0);
    ASSERT_EQ(*read, model_.size());
    got.resize(model_.size());
    if (got != model_.bytes) {
      const auto at = std::mismatch(got.begin(), got.end(), model_.bytes.begin()).first;
      FAIL() << "content differs at byte " << (at - got.begin()) << " of " << got.size();
    }
    check_attributes();
  }
  void check_attributes() {
    const auto attr = fs_->getattr(file_);
    ASSERT_EQ(attr.code(), 0);
    ASSERT_EQ(attr->size, model_.size());
    ASSERT_EQ(attr->blocks, model_.mapped() * 8);
  }

 private:
  // Often at a page's edge, or at the end.
  uint64_t some_offset(uint64_t limit) {
    uint64_t offset = random_.below(limit + 1);
    switch (random_.below(4)) {
      case 0: offset -= offset % kBlockBytes; break;
      case 1: offset = std::min(limit, model_.size()); break;
      case 2: offset = std::min(limit, offset - offset % kBlockBytes + random_.below(3)); break;
      default: break;
    }
    return offset;
  }
  uint64_t some_length(uint64_t limit) {
    const uint64_t longest = random_.percent(70) ? 3 * kBlockBytes : 40 * kBlockBytes;
    uint64_t length = 1 + random_.below(std::min<uint64_t>(longest, limit));
    if (random_.percent(30) && length > kBlockBytes) length -= length % kBlockBytes;
    return length;
  }
  Buffer some_buffer() { return random_.percent(50) ? Buffer::own : Buffer::foreign; }
  void write() {
    const uint64_t offset = some_offset(size_max_ - 1);
    const auto data = random_bytes(random_, some_length(size_max_ - offset));
    const auto got = fs_->write(file_, offset, bytes_of(data), false, WriteTimes::move, some_buffer());
    ASSERT_EQ(got.code(), 0);
    ASSERT_EQ(*got, data.size());
    model_.write(offset, data);
  }
  void append() {
    if (model_.size() >= size_max_) return;
    const auto data = random_bytes(random_, some_length(size_max_ - model_.size()));
    const auto got = fs_->append(file_, bytes_of(data));
    ASSERT_EQ(got.code(), 0);
    ASSERT_EQ(*got, model_.size());
    model_.write(model_.size(), data);
  }
  void read() {
    const uint64_t offset = some_offset(size_max_);
    std::vector<uint8_t> got(some_length(size_max_));
    const auto count = fs_->read(file_, offset, bytes_of(got), Atime::moves, some_buffer());
    ASSERT_EQ(count.code(), 0);
    const uint64_t want = offset >= model_.size()
                              ? 0 : std::min<uint64_t>(got.size(), model_.size() - offset);
    ASSERT_EQ(*count, want);
    for (uint64_t i = 0; i < want; ++i)
      ASSERT_EQ(got[i], model_.bytes[offset + i]) << "byte " << offset + i;
  }
  void truncate() {
    const uint64_t size = random_.percent(10) ? 0 : some_offset(size_max_);
    const auto attr = fs_->setattr(file_, to_size(size));
    ASSERT_EQ(attr.code(), 0);
    ASSERT_EQ(attr->size, size);
    model_.truncate(size);
  }
  void clear(AllocateMode mode) {
    const uint64_t offset = some_offset(size_max_ - 1);
    const uint64_t length = some_length(size_max_ - offset);
    ASSERT_EQ(fs_->allocate(file_, mode, offset, length).code(), 0);
    model_.clear(offset, length, mode != AllocateMode::punch_hole,
                 mode == AllocateMode::zero_range);
  }
  void allocate() {
    const uint64_t offset = some_offset(size_max_ - 1);
    const uint64_t length = some_length(size_max_ - offset);
    const bool grow = random_.percent(50);
    ASSERT_EQ(fs_->allocate(file_, grow ? AllocateMode::allocate : AllocateMode::allocate_keep_size,
                            offset, length).code(), 0);
    model_.allocate(offset, length, grow);
  }
  void copy() {
    const uint64_t source = some_offset(size_max_ - 1);
    const uint64_t target = some_offset(size_max_ - 1);
    uint64_t length = some_length(size_max_ - std::max(source, target));
    const auto got = fs_->copy_range(file_, source, file_, target, length);
    if (source >= model_.size()) {
      ASSERT_EQ(got.code(), 0);
      ASSERT_EQ(*got, 0u);
      return;
    }
    length = std::min(length, model_.size() - source);
    if (std::max(source, target) - std::min(source, target) < length) {
      ASSERT_EQ(got.code(), EINVAL);
      return;
    }
    ASSERT_EQ(got.code(), 0);
    ASSERT_EQ(*got, length);
    const auto from = model_.bytes.begin() + static_cast<ptrdiff_t>(source);
    model_.write(target, std::vector<uint8_t>(from, from + static_cast<ptrdiff_t>(length)));
  }
  void seek() {
    const SeekMode mode = random_.percent(50) ? SeekMode::data : SeekMode::hole;
    const uint64_t offset = some_offset(size_max_);
    const auto [error, place] = model_.seek(offset, mode);
    const auto got = fs_->seek(file_, offset, mode);
    ASSERT_EQ(got.code(), error) << "offset " << offset;
    if (error == 0) {
      ASSERT_EQ(*got, place) << "offset " << offset;
    }
  }

  MemFs* fs_;
  MnodeNo file_;
  Random& random_;
  const uint64_t size_max_;
  FileModel model_;
};

}  // namespace scalefs::memfs
