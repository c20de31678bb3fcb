#include "diskfs/superblock.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/batch_format.h"
#include "diskfs/node_format.h"

namespace scalefs::diskfs {

namespace {

void set_geometry(const Geometry& g, RawSuperblock* raw) {
  raw->block_count = g.block_count;
  raw->group_blocks = g.group_blocks;
  raw->group_count = g.group_count;
  raw->journal_first = g.journal_first;
  raw->journal_blocks = g.journal_blocks;
  raw->table_first[0] = g.table_first[0];
  raw->table_first[1] = g.table_first[1];
  raw->table_blocks = g.table_blocks;
}

// What is stored must be what follows from the three free numbers.
Result<Geometry> get_geometry(const RawSuperblock& raw, std::string* why) {
  auto g = make_geometry(raw.block_count, raw.group_blocks, raw.journal_blocks);
  if (!g) {
    return damaged(why, fmt::format("impossible geometry: {} blocks, groups of {}, a journal of {}",
                                raw.block_count, raw.group_blocks, raw.journal_blocks));
  }
  bool same = raw.group_count == g->group_count && raw.journal_first == g->journal_first &&
              raw.table_first[0] == g->table_first[0] && raw.table_first[1] == g->table_first[1] &&
              raw.table_blocks == g->table_blocks;
  if (!same) return damaged(why, "the places of journal and group tables contradict the geometry");
  return *g;
}

Status check_label(const RawSuperblock& raw, std::string* label, std::string* why) {
  const char* end = std::find(raw.label, raw.label + kLabelBytesMax, '\0');
  if (std::any_of(end, raw.label + kLabelBytesMax, [](char c) { return c != '\0'; })) {
    return damaged(why, "bytes follow the end of the label");
  }
  label->assign(static_cast<const char*>(raw.label), end);
  return {};
}

// Bounds of what a checkpoint says about itself.
Status check_state(const Superblock& sb, std::string* why) {
  const Geometry& g = sb.geometry;
  if (sb.generation == 0) return damaged(why, "generation 0");
  if (sb.generation > kCounterMax || sb.mount_epoch > kCounterMax || sb.covered_seq > kCounterMax) {
    return damaged(why, "impossible counters");
  }
  if ((sb.state & ~kStateKnown) != 0) return damaged(why, "unknown state bits");
  if (sb.table.copy > 1) return damaged(why, "the valid group table is neither 0 nor 1");
  if (sb.table.generation > sb.generation) return damaged(why, "the group table is from the future");
  const TreeRoot& root = sb.root;
  if (root.height > kTreeHeightMax) return damaged(why, "the tree is too high");
  if (root.height == 0 && (root.block.v != 0 || root.crc != 0 || root.generation != 0)) {
    return damaged(why, "an empty tree with a root");
  }
  if (root.height > 0 && !g.is_data(root.block.v)) {
    return damaged(why, fmt::format("the tree's root {} is outside the data area", root.block.v));
  }
  if (root.generation > sb.generation) return damaged(why, "the tree's root is from the future");
  if (sb.journal_scan >= g.journal_blocks) return damaged(why, "the journal position is outside it");
  if (sb.covered_seq == 0 && sb.covered_crc != 0) return damaged(why, "a batch before the first");
  if (sb.next_ino < 2 || sb.next_ino > kInoMax + 1) return damaged(why, "impossible next inode number");
  uint64_t inos = sb.next_ino - 1;
  if (sb.inode_count > inos || sb.free_ino_count > inos - sb.inode_count) {
    return damaged(why, "more inodes than numbers were given out");
  }
  if (sb.free_blocks > g.data_blocks()) return damaged(why, "more free blocks than there are");
  return {};
}

}  // namespace

void encode_superblock(const Superblock& sb, uint64_t own_block,
                       std::span<std::byte, kBlockBytes> to) {
  RawSuperblock raw = {};
  std::memcpy(raw.magic, kSuperblockMagic.data(), sizeof raw.magic);
  raw.version_major = kFormatMajor;
  raw.version_minor = sb.version_minor;
  raw.block_bytes = kBlockBytes;
  std::copy(sb.uuid.begin(), sb.uuid.end(), raw.uuid);
  std::memcpy(raw.label, sb.label.data(), std::min(sb.label.size(), kLabelBytesMax));
  set_geometry(sb.geometry, &raw);
  raw.own_block = own_block;
  raw.generation = sb.generation;
  raw.mount_epoch = sb.mount_epoch;
  raw.feature_compat = sb.feature_compat;
  raw.feature_ro_compat = sb.feature_ro_compat;
  raw.feature_incompat = sb.feature_incompat;
  raw.created_ns = sb.created_ns;
  raw.state = sb.state;
  raw.hash_key0 = sb.hash_key.k0;
  raw.hash_key1 = sb.hash_key.k1;
  raw.table_copy = sb.table.copy;
  raw.table_crc = sb.table.crc;
  raw.table_generation = sb.table.generation;
  raw.root_block = sb.root.block.v;
  raw.root_crc = sb.root.crc;
  raw.root_height = sb.root.height;
  raw.root_generation = sb.root.generation;
  raw.covered_seq = sb.covered_seq;
  raw.covered_crc = sb.covered_crc;
  raw.journal_scan = sb.journal_scan;
  raw.next_ino = sb.next_ino;
  raw.free_ino_count = sb.free_ino_count;
  raw.inode_count = sb.inode_count;
  raw.free_blocks = sb.free_blocks;
  raw.crc = crc32c(&raw, offsetof(RawSuperblock, crc));
  std::memcpy(to.data(), &raw, sizeof raw);
}

Result<Superblock> decode_superblock(std::span<const std::byte, kBlockBytes> from,
                                     uint64_t own_block, std::string* why) {
  RawSuperblock raw;
  std::memcpy(&raw, from.data(), sizeof raw);
  if (std::memcmp(raw.magic, kSuperblockMagic.data(), sizeof raw.magic) != 0) {
    *why = "no scalefs signature";
    return Errno(EINVAL);
  }
  if (raw.crc != crc32c(&raw, offsetof(RawSuperblock, crc))) return damaged(why, "checksum mismatch");
  if (raw.own_block != own_block) {
    return damaged(why, fmt::format("written for block {}", raw.own_block));
  }
  uint64_t unknown = raw.feature_incompat & ~kKnownIncompat;
  if (raw.version_major != kFormatMajor || unknown != 0) {
    *why = unknown != 0 && raw.version_major == kFormatMajor
               ? fmt::format("the volume uses features unknown to this version (0x{:x})", unknown)
               : fmt::format("the volume has format version {}.{}, this program knows {}.x",
                             raw.version_major, raw.version_minor, kFormatMajor);
    return Errno(ENOTSUP);
  }
  if (raw.block_bytes != kBlockBytes) return damaged(why, "another block size");
  Superblock sb;
  sb.version_minor = raw.version_minor;
  std::copy(std::begin(raw.uuid), std::end(raw.uuid), sb.uuid.begin());
  SCALEFS_TRY_VOID(check_label(raw, &sb.label, why));
  SCALEFS_TRY(sb.geometry, get_geometry(raw, why));
  sb.generation = raw.generation;
  sb.mount_epoch = raw.mount_epoch;
  sb.feature_compat = raw.feature_compat;
  sb.feature_ro_compat = raw.feature_ro_compat;
  sb.feature_incompat = raw.feature_incompat;
  sb.created_ns = raw.created_ns;
  sb.state = raw.state;
  sb.hash_key = {raw.hash_key0, raw.hash_key1};
  sb.table = {raw.table_copy, raw.table_crc, raw.table_generation};
  sb.root.block = BlockNo(raw.root_block);
  sb.root.crc = raw.root_crc;
  sb.root.height = raw.root_height;
  sb.root.generation = raw.root_generation;
  sb.covered_seq = raw.covered_seq;
  sb.covered_crc = raw.covered_crc;
  sb.journal_scan = raw.journal_scan;
  sb.next_ino = raw.next_ino;
  sb.free_ino_count = raw.free_ino_count;
  sb.inode_count = raw.inode_count;
  sb.free_blocks = raw.free_blocks;
  SCALEFS_TRY_VOID(check_state(sb, why));
  return sb;
}

std::vector<uint64_t> superblock_places(uint64_t block_count) {
  std::vector<uint64_t> places;
  for (uint64_t slot = 0; slot < kSuperblockRingSlots; ++slot) {
    places.push_back(kSuperblockRingFirst + slot);
  }
  for (uint64_t copy = kSuperblockEndCopies; copy > 0; --copy) places.push_back(block_count - copy);
  return places;
}

std::vector<uint64_t> superblock_targets(uint64_t generation, uint64_t block_count) {
  uint64_t slot = 2 * (generation % (kSuperblockRingSlots / 2));
  return {kSuperblockRingFirst + slot, kSuperblockRingFirst + slot + 1,
          block_count - kSuperblockEndCopies + generation % kSuperblockEndCopies};
}

Status write_superblock(BlockDevice& device, const Superblock& sb) {
  AlignedBuffer block(kBlockBytes);
  for (uint64_t place : superblock_targets(sb.generation, sb.geometry.block_count)) {
    encode_superblock(sb, place, block.span().first<kBlockBytes>());
    SCALEFS_TRY_VOID(device.write(BlockNo(place), block.span()));
  }
  return {};
}

Status write_all_superblocks(BlockDevice& device, const Superblock& sb) {
  AlignedBuffer block(kBlockBytes);
  for (uint64_t place : superblock_places(sb.geometry.block_count)) {
    encode_superblock(sb, place, block.span().first<kBlockBytes>());
    SCALEFS_TRY_VOID(device.write(BlockNo(place), block.span()));
  }
  return {};
}

}  // namespace scalefs::diskfs
