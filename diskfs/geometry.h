// Where things stand in a volume. Everything follows from three numbers, which the superblock
// keeps: the volume's size, the size of an allocation group and the size of the journal (FORMAT.md,
// "Geometry"). Blocks are numbered from the start of the device.
//
//   superblock area | journal | group table 0 | group table 1 | group maps | data ... | 2
//   superblocks
//
// Allocation group g is blocks [g * group_blocks, (g + 1) * group_blocks) of the device; the last
// may be short. Groups tile the whole device, so the blocks outside the data area are part of some
// group too: they are marked as taken for ever.
#pragma once

#include <cstdint>
#include <optional>

#include "base/units.h"

namespace scalefs::diskfs {

inline constexpr uint64_t kSuperblockAreaBlocks = 16;  // 64 KiB; block 0 is left to boot code
inline constexpr uint64_t kSuperblockRingFirst = 1;
inline constexpr uint64_t kSuperblockRingSlots = 8;
inline constexpr uint64_t kSuperblockEndCopies = 2;

inline constexpr uint64_t kGroupBlocksDefault = 32768;  // as many as one map block has bits
inline constexpr uint64_t kGroupBlocksMin = 64;
inline constexpr uint64_t kGroupBlocksMax = uint64_t{1} << 24;
inline constexpr uint64_t kGroupsMax = 8192;
inline constexpr uint64_t kJournalBlocksMin = 256;    // of a volume of the regular minimum size
inline constexpr uint64_t kJournalBlocksMax = 32768;  // 128 MiB
inline constexpr uint64_t kTinyVolumeBlocks = 256;    // least that a test may ask for
inline constexpr uint64_t kTinyJournalBlocks = 16;
inline constexpr uint64_t kDataBlocksMin = 32;

inline constexpr uint64_t kTableHeaderBytes = 64;
inline constexpr uint64_t kTableEntryBytes = 16;
inline constexpr uint64_t kTableEntriesPerBlock =
    (kBlockBytes - kTableHeaderBytes) / kTableEntryBytes;
static_assert(kTableEntriesPerBlock == 252);

struct Geometry {
  uint64_t block_count = 0;
  uint64_t group_blocks = 0;  // power of two
  uint64_t group_count = 0;
  uint64_t journal_first = 0;
  uint64_t journal_blocks = 0;
  uint64_t table_first[2] = {};  // the two copies of the group table
  uint64_t table_blocks = 0;     // of one copy
  uint64_t maps_first = 0;       // group 0 copy 0, group 0 copy 1, group 1 copy 0, ...
  uint64_t map_blocks = 0;       // of one copy of one group's map
  uint64_t data_first = 0;
  uint64_t data_end = 0;  // the two superblocks at the end follow

  uint64_t map_first(uint64_t group, uint32_t copy) const {
    return maps_first + (group * 2 + copy) * map_blocks;
  }
  uint64_t group_of(uint64_t block) const { return block / group_blocks; }
  // Blocks of `group` that exist.
  uint64_t blocks_in_group(uint64_t group) const;
  // Neither superblock, journal, table nor map: may hold tree nodes and file data.
  bool is_data(uint64_t block) const { return block >= data_first && block < data_end; }
  bool is_data_run(uint64_t first, uint64_t count) const {
    return count > 0 && first >= data_first && first < data_end && count <= data_end - first;
  }
  uint64_t data_blocks() const { return data_end - data_first; }
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

// The geometry of a volume with these three numbers; empty when they are not legal: a block count
// outside [kTinyVolumeBlocks, kVolumeBytesMax / kBlockBytes], a group size that is no power of two
// in its bounds, more than kGroupsMax groups, a journal outside [kTinyJournalBlocks,
// kJournalBlocksMax], or fewer than kDataBlocksMin blocks left for data.
std::optional<Geometry> make_geometry(uint64_t block_count, uint64_t group_blocks,
                                      uint64_t journal_blocks);

struct GeometryChoice {
  uint64_t group_blocks = 0;    // 0: kGroupBlocksDefault, or what keeps within kGroupsMax groups
  uint64_t journal_blocks = 0;  // 0: 1/16 of the volume up to 64 MiB, 1/64 beyond that (tiny: 1/64), within the journal's bounds
  bool tiny = false;  // allows volumes under kVolumeBytesMin, with a smaller journal (tests)
};

// What mkfs chooses for a device of `block_count` blocks. Empty when that is too small or too
// large, or when the choice is not legal.
std::optional<Geometry> choose_geometry(uint64_t block_count, const GeometryChoice& choice = {});

}  // namespace scalefs::diskfs
