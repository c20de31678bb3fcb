// The superblock: what a volume is, where its newest checkpoint's tree begins, and from where the
// journal is to be replayed (FORMAT.md, "Superblock"; P7, P8).
//
// Every superblock that is written has a `generation` higher than all before it, whether it ends a
// checkpoint or begins a mount epoch. Generation g goes to the ring slots 2g and 2g + 1 (modulo the
// ring) and to the end copy g (modulo 2), so that writing one generation touches no copy of the
// three before it in the ring, and not the end copy of the one before. The newest valid copy
// counts.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "diskfs/block_device.h"
#include "diskfs/geometry.h"
#include "diskfs/tree_reader.h"

namespace scalefs::diskfs {

using Uuid = std::array<uint8_t, 16>;

inline constexpr std::string_view kSuperblockMagic{"scalefs\0", 8};
inline constexpr uint16_t kFormatMajor = 1;
inline constexpr uint16_t kFormatMinor = 0;
inline constexpr size_t kLabelBytesMax = 64;

// Features that this version knows. A volume with an unknown incompat bit is refused, one with an
// unknown ro_compat bit is mounted read-only, unknown compat bits are kept.
inline constexpr uint64_t kKnownCompat = 0;
inline constexpr uint64_t kKnownRoCompat = 0;
// A metadata image: stand_in.h. For tools; no mount takes it.
inline constexpr uint64_t kIncompatImage = uint64_t{1} << 63;
inline constexpr uint64_t kKnownIncompat = kIncompatImage;

// Bits of Superblock::state.
inline constexpr uint32_t kStateClean = 1;    // unmounted in order: the journal holds nothing more
inline constexpr uint32_t kStateDamaged = 2;  // corruption was met; fsck is due
inline constexpr uint32_t kStateKnown = kStateClean | kStateDamaged;

// As it stands on the device: one block, little-endian. All that identifies the volume is within
// its first 512 bytes.
struct RawSuperblock {
  char magic[8];
  uint16_t version_major;
  uint16_t version_minor;
  uint32_t block_bytes;  // kBlockBytes
  uint8_t uuid[16];
  char label[kLabelBytesMax];  // UTF-8, padded with NUL
  uint64_t block_count;
  uint64_t own_block;  // where this copy stands
  uint64_t generation;
  uint64_t mount_epoch;
  uint64_t feature_compat;
  uint64_t feature_ro_compat;
  uint64_t feature_incompat;
  int64_t created_ns;
  uint32_t state;
  uint32_t reserved0;
  uint64_t hash_key0;
  uint64_t hash_key1;
  uint64_t group_blocks;
  uint64_t group_count;
  uint64_t journal_first;
  uint64_t journal_blocks;
  uint64_t table_first[2];
  uint64_t table_blocks;
  uint32_t table_copy;
  uint32_t table_crc;
  uint64_t table_generation;
  uint64_t root_block;
  uint32_t root_crc;
  uint32_t root_height;
  uint64_t root_generation;
  uint64_t covered_seq;
  uint32_t covered_crc;
  uint32_t reserved1;
  uint64_t journal_scan;
  uint64_t next_ino;
  uint64_t free_ino_count;
  uint64_t inode_count;
  uint64_t free_blocks;
  std::byte reserved2[3756];
  uint32_t crc;  // CRC32C of all bytes before it
};
static_assert(sizeof(RawSuperblock) == kBlockBytes);
static_assert(offsetof(RawSuperblock, uuid) == 16);
static_assert(offsetof(RawSuperblock, label) == 32);
static_assert(offsetof(RawSuperblock, block_count) == 96);
static_assert(offsetof(RawSuperblock, own_block) == 104);
static_assert(offsetof(RawSuperblock, generation) == 112);
static_assert(offsetof(RawSuperblock, feature_compat) == 128);
static_assert(offsetof(RawSuperblock, created_ns) == 152);
static_assert(offsetof(RawSuperblock, hash_key0) == 168);
static_assert(offsetof(RawSuperblock, group_blocks) == 184);
static_assert(offsetof(RawSuperblock, table_first) == 216);
static_assert(offsetof(RawSuperblock, table_copy) == 240);
static_assert(offsetof(RawSuperblock, root_block) == 256);
static_assert(offsetof(RawSuperblock, covered_seq) == 280);
static_assert(offsetof(RawSuperblock, journal_scan) == 296);
static_assert(offsetof(RawSuperblock, next_ino) == 304);
static_assert(offsetof(RawSuperblock, reserved2) == 336);
static_assert(offsetof(RawSuperblock, crc) == 4092);

// Generations, mount epochs and sequences of batches only grow, and stay far below the end of their type: a
// superblock in which one does not was made up.
inline constexpr uint64_t kCounterMax = (uint64_t{1} << 62) - 1;

// Which copy of the group table is valid, and what it must hold.
struct TableRef {
  uint32_t copy = 0;  // 0 or 1
  uint32_t crc = 0;   // CRC32C over all its blocks
  uint64_t generation = 0;
  friend bool operator==(const TableRef&, const TableRef&) = default;
};

struct Superblock {
  uint16_t version_minor = kFormatMinor;
  Uuid uuid = {};
  std::string label;
  Geometry geometry;
  uint64_t generation = 0;
  uint64_t mount_epoch = 0;  // raised by every mount that writes; 0 as made by mkfs
  uint64_t feature_compat = 0;
  uint64_t feature_ro_compat = 0;
  uint64_t feature_incompat = 0;
  int64_t created_ns = 0;
  uint32_t state = 0;
  HashKey hash_key;
  TableRef table;
  TreeRoot root;
  // Batches with a sequence up to covered_seq are in the tree; covered_crc is the CRC that batch
  // covered_seq + 1 must name as its predecessor's (0 before the first batch). That one and all
  // after it must carry mount_epoch: a mount that writes covers what it replayed before it raises
  // the epoch.
  uint64_t covered_seq = 0;
  uint32_t covered_crc = 0;
  // Block offset in the journal at which batch covered_seq + 1 begins, below journal_blocks.
  uint64_t journal_scan = 0;
  uint64_t next_ino = 2;        // numbers from here on were never given out
  uint64_t free_ino_count = 0;  // recycled numbers in the tree
  uint64_t inode_count = 0;
  uint64_t free_blocks = 0;
};

// What decoders answer for damage: EUCLEAN, with the sentence in `*why`.
inline Errno damaged(std::string* why, std::string text) {
  *why = std::move(text);
  return Errno(EUCLEAN);
}

// The block as it is to stand at `own_block`.
void encode_superblock(const Superblock& sb, uint64_t own_block,
                       std::span<std::byte, kBlockBytes> to);

// Decodes and checks one copy read from block `own_block`: magic, CRC, own address, version,
// features, geometry, and every field's bounds. `*why` says what is wrong. Errors: EINVAL (no
// magic), ENOTSUP (newer major version or unknown incompat feature), EUCLEAN.
Result<Superblock> decode_superblock(std::span<const std::byte, kBlockBytes> from,
                                     uint64_t own_block, std::string* why);

// Blocks that hold copies: the ring, then the copies at the end of a volume of `block_count`
// blocks.
std::vector<uint64_t> superblock_places(uint64_t block_count);
// The places among them that generation `generation` is written to.
std::vector<uint64_t> superblock_targets(uint64_t generation, uint64_t block_count);

// The newest valid copy on the device. Copies that are damaged, or belong to another volume, are
// passed over. `*why` is a sentence for the operator. Errors: EINVAL (no copy at all: not scalefs),
// ENOTSUP, EUCLEAN (copies, but none valid; or the device is smaller than the volume), EIO.
Result<Superblock> read_newest_superblock(BlockDevice& device, std::string* why);

// Writes `sb` to the places of its generation. Not durable before the caller's flush.
Status write_superblock(BlockDevice& device, const Superblock& sb);
// Writes `sb` to every place (mkfs, repair).
Status write_all_superblocks(BlockDevice& device, const Superblock& sb);

// Whether this version may only read the volume (unknown ro_compat features).
inline bool must_mount_read_only(const Superblock& sb) {
  return (sb.feature_ro_compat & ~kKnownRoCompat) != 0;
}

}  // namespace scalefs::diskfs
