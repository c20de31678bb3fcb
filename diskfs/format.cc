#include "diskfs/format.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/clock.h"
#include "base/random.h"
#include "diskfs/items.h"
#include "diskfs/space_map.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

namespace {

constexpr uint64_t kZeroBlocks = 256;
// Other formats keep copies of their signatures near the end of a device.
constexpr uint64_t kTailBlocks = 160;
constexpr uint64_t kFirstGeneration = 1;

Errno refuse(std::string* why, int error, std::string text) {
  *why = std::move(text);
  return Errno(error);
}

// Writes zeros, so that the host allocates the blocks now and not when the journal comes to them.
Status zero(BlockDevice& device, uint64_t first, uint64_t count) {
  AlignedBuffer zeros(std::min(count, kZeroBlocks) * kBlockBytes);
  for (uint64_t done = 0; done < count;) {
    uint64_t part = std::min(count - done, kZeroBlocks);
    SCALEFS_TRY_VOID(device.write(BlockNo(first + done), zeros.span().first(part * kBlockBytes)));
    done += part;
  }
  return {};
}

// Zeroes the blocks that hold something, so that a sparse file stays sparse.
Status zero_used(BlockDevice& device, uint64_t first, uint64_t end) {
  AlignedBuffer block(kBlockBytes);
  for (uint64_t at = first; at < end; ++at) {
    Status read = device.read(BlockNo(at), block.span());
    bool used = !read.ok() || std::any_of(block.data(), block.data() + kBlockBytes,
                                          [](std::byte b) { return b != std::byte{0}; });
    if (used) SCALEFS_TRY_VOID(zero(device, at, 1));
  }
  return {};
}

// From here on the device is no volume of any kind.
Status wipe(BlockDevice& device, const Geometry& g, bool discard) {
  uint64_t tail = g.block_count - std::min(kTailBlocks, g.block_count - g.data_first);
  SCALEFS_TRY_VOID(zero(device, 0, kSuperblockAreaBlocks));
  SCALEFS_TRY_VOID(zero_used(device, tail, g.block_count));
  SCALEFS_TRY_VOID(device.flush());
  if (discard) {
    SCALEFS_TRY_VOID(
        device.discard(BlockNo(kSuperblockAreaBlocks), g.data_end - kSuperblockAreaBlocks));
    // A device may answer a discarded block with its old content.
    SCALEFS_TRY_VOID(zero_used(device, tail, g.block_count));
  }
  return {};
}

InodeItem root_directory(int64_t now_ns) {
  InodeItem item;
  item.mnode = kRootMnode;
  item.mode = S_IFDIR | 0755;
  item.nlink = 2;
  item.atime_ns = item.mtime_ns = item.ctime_ns = item.btime_ns = now_ns;
  item.parent_mnode = kRootMnode;
  item.parent_ino = kRootIno;
  return item;
}

// The first checkpoint: a tree that holds the root directory, and the maps that go with it.
Status write_content(BlockDevice& device, Superblock* sb) {
  const Geometry& g = sb->geometry;
  NodeStore store(device, sb->uuid.data(), sb->hash_key);
  TreeWriter tree(store, TreeRoot());
  ByteVector value;
  encode_inode(root_directory(sb->created_ns), &value);
  SCALEFS_TRY_VOID(tree.put(Key(kRootIno, ItemType::inode, 0), value));
  uint64_t next = g.data_first;
  auto allocate = [&](uint64_t want) -> Result<BlockRun> {
    if (want > g.data_end - next) return Errno(ENOSPC);
    BlockRun run{BlockNo(next), want};
    next += want;
    return run;
  };
  auto write = [&](BlockNo first, ConstBytes from) { return device.write(first, from); };
  SCALEFS_TRY(TreeWriter::WriteOut written, tree.write_out(allocate, write, sb->generation));
  sb->root = written.root;
  auto map = SpaceMap::make_empty(g, sb->uuid);
  for (BlockRun run : written.used) SCALEFS_TRY_VOID(map->set(run));
  SCALEFS_TRY(sb->table, map->write(device, sb->generation));
  sb->free_blocks = map->free_blocks();
  sb->inode_count = 1;
  return {};
}

Status write_volume(BlockDevice& device, const FormatOptions& options, Superblock* sb) {
  const Geometry& g = sb->geometry;
  SCALEFS_TRY_VOID(wipe(device, g, options.discard && !options.preallocate));
  if (options.preallocate) {
    SCALEFS_TRY_VOID(device.write_zeroes(BlockNo(g.maps_first), g.data_end - g.maps_first));
  }
  SCALEFS_TRY_VOID(zero(device, g.journal_first, g.journal_blocks));
  SCALEFS_TRY_VOID(write_content(device, sb));
  SCALEFS_TRY_VOID(device.flush());
  SCALEFS_TRY_VOID(write_all_superblocks(device, *sb));
  return device.flush();
}

}  // namespace

Uuid random_uuid() {
  Uuid uuid;
  system_random(uuid.data(), uuid.size());
  uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

Result<FormatSummary> format(BlockDevice& device, const FormatOptions& options, std::string* why) {
  if (options.label.size() > kLabelBytesMax) {
    return refuse(why, EINVAL, fmt::format("a label has at most {} bytes", kLabelBytesMax));
  }
  auto geometry = choose_geometry(device.block_count(), options.geometry);
  if (!geometry) {
    return refuse(
        why, EINVAL,
        fmt::format("a volume has from {} MiB to {} TiB, this has {} KiB", kVolumeBytesMin >> 20,
                    kVolumeBytesMax >> 40, device.block_count() * (kBlockBytes / 1024)));
  }
  if (device.read_only() && !options.dry_run) return refuse(why, EROFS, "it is not writable");
  Superblock sb;
  sb.uuid = options.uuid ? *options.uuid : random_uuid();
  sb.label = options.label;
  sb.geometry = *geometry;
  sb.generation = kFirstGeneration;
  sb.state = kStateClean;
  sb.created_ns = options.time_ns ? *options.time_ns : wall_ns();
  if (options.hash_key) {
    sb.hash_key = *options.hash_key;
  } else {
    system_random(&sb.hash_key, sizeof sb.hash_key);
  }
  if (!options.dry_run) {
    Status written = write_volume(device, options, &sb);
    if (!written.ok()) {
      return refuse(why, written.code(),
                    fmt::format("writing failed: {}", std::strerror(written.code())));
    }
  }
  return FormatSummary{sb.uuid, sb.label, sb.geometry, sb.free_blocks};
}

}  // namespace scalefs::diskfs
