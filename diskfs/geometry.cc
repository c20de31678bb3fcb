#include "diskfs/geometry.h"

#include <algorithm>
#include <bit>

namespace scalefs::diskfs {

namespace {

constexpr uint64_t kMapBitsPerBlock = kBlockBytes * 8;

uint64_t divide_up(uint64_t value, uint64_t by) { return (value + by - 1) / by; }

}  // namespace

uint64_t Geometry::blocks_in_group(uint64_t group) const {
  uint64_t first = group * group_blocks;
  return first >= block_count ? 0 : std::min(group_blocks, block_count - first);
}

std::optional<Geometry> make_geometry(uint64_t block_count, uint64_t group_blocks,
                                      uint64_t journal_blocks) {
  if (block_count < kTinyVolumeBlocks || block_count > kVolumeBytesMax / kBlockBytes) return {};
  if (!std::has_single_bit(group_blocks)) return {};
  if (group_blocks < kGroupBlocksMin || group_blocks > kGroupBlocksMax) return {};
  if (journal_blocks < kTinyJournalBlocks || journal_blocks > kJournalBlocksMax) return {};
  Geometry g;
  g.block_count = block_count;
  g.group_blocks = group_blocks;
  g.group_count = divide_up(block_count, group_blocks);
  if (g.group_count > kGroupsMax) return {};
  g.journal_first = kSuperblockAreaBlocks;
  g.journal_blocks = journal_blocks;
  g.table_blocks = divide_up(g.group_count, kTableEntriesPerBlock);
  g.table_first[0] = g.journal_first + journal_blocks;
  g.table_first[1] = g.table_first[0] + g.table_blocks;
  g.maps_first = g.table_first[1] + g.table_blocks;
  g.map_blocks = divide_up(group_blocks, kMapBitsPerBlock);
  g.data_first = g.maps_first + g.group_count * 2 * g.map_blocks;
  g.data_end = block_count - kSuperblockEndCopies;
  if (g.data_first + kDataBlocksMin > g.data_end) return {};
  return g;
}

std::optional<Geometry> choose_geometry(uint64_t block_count, const GeometryChoice& choice) {
  uint64_t least = choice.tiny ? kTinyVolumeBlocks : kVolumeBytesMin / kBlockBytes;
  if (block_count < least || block_count > kVolumeBytesMax / kBlockBytes) return {};
  uint64_t group_blocks = choice.group_blocks;
  if (group_blocks == 0) {
    group_blocks = kGroupBlocksDefault;
    while (divide_up(block_count, group_blocks) > kGroupsMax) group_blocks *= 2;
  }
  uint64_t journal_blocks = choice.journal_blocks;
  if (journal_blocks == 0) {
    const uint64_t low = choice.tiny ? kTinyJournalBlocks * 2 : kJournalBlocksMin;
    const uint64_t of_small = choice.tiny ? 0 : std::min(block_count / 16, kJournalBlocksMax / 2);
    journal_blocks = std::clamp(std::max(of_small, block_count / 64), low, kJournalBlocksMax);
  }
  return make_geometry(block_count, group_blocks, journal_blocks);
}

}  // namespace scalefs::diskfs
