#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "fuse/operations.h"

namespace scalefs::fuse {
namespace {

// What one copy_file_range request copies at the most: it holds a worker meanwhile. The caller asks
// again for the rest.
constexpr uint64_t kCopyBytesMax = uint64_t{64} << 20;

std::optional<memfs::AllocateMode> allocate_mode(int mode) {
  switch (mode) {
    case 0:
      return memfs::AllocateMode::allocate;
    case FALLOC_FL_KEEP_SIZE:
      return memfs::AllocateMode::allocate_keep_size;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      return memfs::AllocateMode::punch_hole;
    case FALLOC_FL_ZERO_RANGE:
      return memfs::AllocateMode::zero_range;
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      return memfs::AllocateMode::zero_range_keep_size;
    default:
      return std::nullopt;
  }
}

// Behind a copy the kernel drops the target's pages that it touched, and with them what a mapping has meanwhile written
// into the rest of the first or the last one. True when there is such a rest, in a file of `size` bytes.
bool shares_pages(uint64_t offset, uint64_t length, uint64_t size) {
  static const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t end = offset + length;
  return (offset % page != 0 && offset - offset % page < size) || (end % page != 0 && end < size);
}

}  // namespace

void Operations::open(MnodeNo mnode, uint32_t open_flags, bool kill_set_id, Responder reply) {
  if ((open_flags & O_TRUNC) != 0) {
    memfs::SetAttr empty;
    empty.size = 0;
    empty.kill_suid_sgid = kill_set_id;
    auto truncated = fs().setattr(mnode, empty);
    if (!truncated.ok()) return reply.error(truncated.code());
  }
  reply.opened(OpenMode{});
}

void Operations::read(MnodeNo file, uint64_t offset, size_t bytes, memfs::Atime atime,
                      Responder reply) {
  auto filled = fs().read(file, offset, reply.buffer(bytes), atime, memfs::Buffer::own);
  if (!filled.ok()) return reply.error(filled.code());
  reply.filled(*filled);
}

void Operations::write(MnodeNo file, uint64_t offset, ConstBytes from, WriteMode mode,
                       Responder reply) {
  const bool timed = settings_.writeback_cache && mode.from_cache;
  auto written = fs().write(file, offset, from, mode.kill_set_id,
                            timed ? memfs::WriteTimes::stay : memfs::WriteTimes::move, memfs::Buffer::own);
  if (!written.ok()) return reply.error(written.code());
  reply.written(*written);
}

void Operations::fsync(MnodeNo mnode, bool data_only, Responder reply) {
  if (mnode == kRootMnode) return syncs_.request(std::move(reply));
  auto parked = std::make_shared<Responder>(std::move(reply));
  volume_.fsync_async(mnode, data_only, [parked](Status status) { parked->status(status); });
}

Status Operations::kill_set_id(const Context& context, MnodeNo file) {
  if (context.uid == 0) return {};
  memfs::SetAttr change;
  change.kill_suid_sgid = true;
  const auto attr = fs().setattr(file, change);
  return attr.ok() ? Status() : Status(attr.error());
}

void Operations::fallocate(const Context& context, MnodeNo file, int mode, uint64_t offset,
                           uint64_t length, Responder reply) {
  const auto known = allocate_mode(mode);
  if (!known) return reply.error(EOPNOTSUPP);
  const Status killed = kill_set_id(context, file);
  if (!killed.ok()) return reply.status(killed);
  reply.status(fs().allocate(file, *known, offset, length));
}

void Operations::lseek(MnodeNo file, uint64_t offset, int whence, Responder reply) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return reply.error(EINVAL);
  const auto mode = whence == SEEK_DATA ? memfs::SeekMode::data : memfs::SeekMode::hole;
  auto found = fs().seek(file, offset, mode);
  if (!found.ok()) return reply.error(found.code());
  reply.offset(*found);
}

void Operations::copy_file_range(const Context& context, MnodeNo source, uint64_t source_offset,
                                 MnodeNo target, uint64_t target_offset, uint64_t length, int flags,
                                 Responder reply) {
  if (flags != 0) return reply.error(EINVAL);
  const auto before = fs().getattr(source);
  const auto over = fs().getattr(target);
  if (before.ok() && over.ok()) {
    const uint64_t there = before->size - std::min(before->size, source_offset);
    length = std::min({length, there, kCopyBytesMax});
    // The kernel then copies by reading and writing.
    if (shares_pages(target_offset, length, over->size)) return reply.error(EXDEV);
  }
  const Status killed = kill_set_id(context, target);
  if (!killed.ok()) return reply.status(killed);
  auto copied = fs().copy_range(source, source_offset, target, target_offset,
                                std::min(length, kCopyBytesMax));
  if (!copied.ok()) return reply.error(copied.code());
  const auto after = fs().getattr(source);
  if (before.ok() && after.ok() && before->atime_ns != after->atime_ns) {
    reply.forget_attributes(source);  // the kernel takes nothing of it to change
  }
  reply.written(*copied);
}

}  // namespace scalefs::fuse
