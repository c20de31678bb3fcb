// MemFs' calls on file data: they find the object and hand on to FileAccess.
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

// A regular file, kept in memory. EISDIR for a directory, EINVAL for other types.
Result<Pin> pin_file(MemFs::Impl& impl, MnodeNo number) {
  SCALEFS_TRY(Pin pin, Pin::of(impl, number));
  if (pin->is_directory()) return Errno(EISDIR);
  if (!pin->is_file()) return Errno(EINVAL);
  return pin;
}

}  // namespace

Result<size_t> MemFs::read(MnodeNo file, uint64_t offset, Bytes to, Atime atime, Buffer buffer) {
  if (const auto got = FileAccess::read_in_page(*impl_, file, offset, to, atime, buffer)) return *got;
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  SCALEFS_TRY(const size_t got, FileAccess(*impl_, *pin).read(offset, to, buffer));
  if (!to.empty() && atime == Atime::moves) impl_->touch_atime(*pin);
  return got;
}

Result<size_t> MemFs::write(MnodeNo file, uint64_t offset, ConstBytes from, bool kill_suid_sgid,
                            WriteTimes times, Buffer buffer) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  if (kill_suid_sgid && !from.empty()) SCALEFS_TRY_VOID(impl_->kill_set_id(*pin));
  return FileAccess(*impl_, *pin).write(offset, from, times, buffer);
}

Result<uint64_t> MemFs::append(MnodeNo file, ConstBytes from) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  return FileAccess(*impl_, *pin).append(from);
}

Status MemFs::allocate(MnodeNo file, AllocateMode mode, uint64_t offset, uint64_t length) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  return FileAccess(*impl_, *pin).allocate(mode, offset, length);
}

Result<uint64_t> MemFs::seek(MnodeNo file, uint64_t offset, SeekMode mode) {
  SCALEFS_TRY(Pin pin, pin_file(*impl_, file));
  return FileAccess(*impl_, *pin).seek(offset, mode);
}

// A copy of the bytes, step by step: neither a snapshot of the source nor atomic, as in Linux.
Result<size_t> MemFs::copy_range(MnodeNo source, uint64_t source_offset, MnodeNo target,
                                 uint64_t target_offset, uint64_t length) {
  SCALEFS_TRY(Pin from, pin_file(*impl_, source));
  SCALEFS_TRY(Pin to, pin_file(*impl_, target));
  if (length == 0) return size_t{0};
  if (from.get() == to.get() || target_offset >= kFileBytesMax) {
    // Elsewhere the reads find the end, so that nobody is met who extends the source behind the range.
    const uint64_t size = from->file->size();
    if (source_offset >= size) return size_t{0};
    length = std::min(length, size - source_offset);
    const uint64_t apart = source_offset < target_offset ? target_offset - source_offset
                                                         : source_offset - target_offset;
    if (from.get() == to.get() && apart < length) return Errno(EINVAL);
    if (target_offset >= kFileBytesMax) return Errno(EFBIG);
  }
  length = std::min(length, kFileBytesMax - target_offset);
  constexpr size_t kStepBytes = 32 * kBlockBytes;
  std::vector<std::byte> buffer(std::min<uint64_t>(length, kStepBytes));
  size_t done = 0;
  while (done < length) {
    const size_t step = std::min<uint64_t>(buffer.size(), length - done);
    const auto got = or_no_memory([&] {
      return FileAccess(*impl_, *from).read(source_offset + done, Bytes(buffer.data(), step), Buffer::own);
    });
    if (got.ok() && *got == 0) {
      if (done == 0) return size_t{0};
      break;
    }
    const auto put = got.ok() ? FileAccess(*impl_, *to).write(target_offset + done,
                                                              ConstBytes(buffer.data(), *got), WriteTimes::move,
                                                              Buffer::own)
                              : got;
    if (!put.ok()) {
      if (done > 0) break;
      return put.error();
    }
    done += *put;
    if (*put < *got) break;
  }
  impl_->touch_atime(*from);
  return done;
}

std::vector<SampledPage> MemFs::begin_writeback(MnodeNo file, uint64_t from_page, size_t count,
                                                bool* busy) {
  *busy = false;
  auto pin = pin_file(*impl_, file);
  if (!pin.ok() || impl_->backend == nullptr) return {};
  return FileAccess(*impl_, **pin).begin_writeback(from_page, count, busy);
}

std::vector<BlockNo> MemFs::finish_writeback(MnodeNo file, std::span<const SampledPage> pages,
                                             const ExtentsOp& runs) {
  auto pin = pin_file(*impl_, file);
  if (pin.ok()) return FileAccess(*impl_, **pin).finish_writeback(pages, runs);
  // The file is gone: every block goes back.
  Room room(*impl_);
  room.adopt(Need{.log_bytes = extents_log_bytes(pages.size())});
  std::vector<BlockNo> stale;
  for (const ExtentsOp::Run& run : runs.runs) {
    for (size_t i = 0; i < run.crcs.size(); ++i) stale.push_back(BlockNo(run.block.v + i));
  }
  return stale;
}

void MemFs::finish_inline(MnodeNo file, std::span<const SampledPage> pages) {
  auto pin = pin_file(*impl_, file);
  if (pin.ok()) return FileAccess(*impl_, **pin).finish_inline(pages);
  Room room(*impl_);
  room.adopt(Need{.log_bytes = inline_log_bytes(pages.size())});
}

void MemFs::abort_writeback(MnodeNo file, std::span<const SampledPage> pages) {
  auto pin = pin_file(*impl_, file);
  if (pin.ok()) return FileAccess(*impl_, **pin).abort_writeback(pages);
  Room room(*impl_);
  room.adopt(Need{.blocks = pages.size()});
}

bool MemFs::is_logged(MnodeNo file) const {
  auto pin = pin_file(*impl_, file);
  if (!pin.ok()) return true;
  return (*pin)->file.peek() == nullptr || FileAccess(*impl_, **pin).all_logged();
}

void MemFs::wait_writeback(MnodeNo file) {
  auto pin = pin_file(*impl_, file);
  if (pin.ok()) FileAccess(*impl_, **pin).wait_writeback();
}

}  // namespace scalefs::memfs
