// Which blocks are in use, as a checkpoint makes it durable: a bitmap an allocation group, two
// copies of each, and a table that tells which copy counts (FORMAT.md, "Group table and maps"; P7).
//
// It holds the state of the checkpoint in the making: what the durable one says, plus the set() and
// clear() calls since. It is never fed from the live allocator.
//
// Cycle: load or make_empty; then again and again { set/clear ...; write; superblock durable;
// committed }. write() touches neither a map copy nor a table copy that the durable superblock
// names, so a crash at any point before the new superblock leaves the old state whole.
//
// Memory: block_count / 8 bytes. Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/result.h"
#include "diskfs/block_device.h"
#include "diskfs/superblock.h"
#include "diskfs/types.h"

namespace scalefs::diskfs {

inline constexpr uint32_t kTableMagic = 0x47544653;  // "SFTG"
inline constexpr uint32_t kGroupCopyBit = 1u << 31;  // of RawTableEntry::copy_and_free

// Begin of every block of the group table; kTableEntriesPerBlock entries follow, the unused ones 0.
struct RawTableHeader {
  uint32_t magic;
  uint32_t index;  // of this block in the table
  uint8_t uuid[16];
  uint64_t own_block;
  uint64_t generation;  // of the superblock that names the table
  uint64_t group_count;
  uint64_t reserved[2];
};
static_assert(sizeof(RawTableHeader) == kTableHeaderBytes);

struct RawTableEntry {
  uint64_t generation;     // of the superblock that the map was written for; 0: blank, no map yet
  uint32_t crc;            // CRC32C of the map's blocks
  uint32_t copy_and_free;  // valid copy in bit 31, free blocks of the group below
};
static_assert(sizeof(RawTableEntry) == kTableEntryBytes);

class SpaceMap {
 public:
  // The maps that `sb` names. EUCLEAN when a table block or a map is damaged or contradicts the
  // superblock, EIO; `*why` is a sentence for the operator.
  static Result<std::unique_ptr<SpaceMap>> load(BlockDevice& device, const Superblock& sb,
                                                std::string* why) {
    return load(device, sb, nullptr, why);
  }
  // For the checker: groups whose maps cannot be used are listed (all their blocks read as used), and
  // so is a sum that the superblock denies, instead of ending it all.
  struct GroupDamage {
    std::optional<uint64_t> group;  // empty: the sum of all
    std::string why;
  };
  static Result<std::unique_ptr<SpaceMap>> load_for_check(BlockDevice& device, const Superblock& sb,
                                                          std::vector<GroupDamage>* damage,
                                                          std::string* why) {
    return load(device, sb, damage, why);
  }
  // For repairs: the maps as they must be, given which blocks are used. What the table and the maps
  // that `sb` names say is kept where it is right, so that write() writes beside it; where it cannot
  // be read, it counts as changed.
  static std::unique_ptr<SpaceMap> load_for_repair(BlockDevice& device, const Superblock& sb,
                                                   const std::function<bool(uint64_t)>& used);
  ~SpaceMap();
  // A volume with nothing in its data area: every group is blank, and only the table gets written.
  static std::unique_ptr<SpaceMap> make_empty(const Geometry& geometry, const Uuid& uuid);

  // Marks every block of the run used, or free. EUCLEAN when the run leaves the data area or one of
  // its blocks is that already; what stands before that block has been changed then, and the map
  // must not be written any more.
  Status set(BlockRun run);
  Status clear(BlockRun run);

  bool test(BlockNo block) const;  // block < block_count
  // 64 blocks from `first` on, a multiple of 64, below block_count: bit i is test(first + i), 1 beyond the end.
  uint64_t test_64(BlockNo first) const;
  uint64_t free_blocks() const { return free_blocks_; }
  uint64_t free_blocks(uint64_t group) const { return groups_[group].free; }
  // Groups that differ from the durable checkpoint.
  size_t changed_groups() const;
  const Geometry& geometry() const { return geometry_; }

  // Writes the changed maps and the table for the superblock of `generation`, and tells what that
  // is to name; with no group changed nothing is written and the durable table goes on. Not durable
  // before the caller's flush. May be repeated after an error, or when the superblock failed.
  Result<TableRef> write(BlockDevice& device, uint64_t generation);
  // The superblock that names what write() answered is durable.
  void committed();
  // Blocks that the next write() writes.
  uint64_t write_blocks_bound() const;

 private:
  struct Group {
    uint64_t generation = 0;
    uint32_t crc = 0;
    uint32_t copy = 0;  // the copy that the durable superblock names
    uint32_t free = 0;
    bool changed = false;
    bool pending = false;  // written to the other copy since
    uint64_t pending_generation = 0;
    uint32_t pending_crc = 0;
  };
  SpaceMap(const Geometry& geometry, const Uuid& uuid);
  SpaceMap(const SpaceMap&) = delete;
  SpaceMap& operator=(const SpaceMap&) = delete;
  static Result<std::unique_ptr<SpaceMap>> load(BlockDevice& device, const Superblock& sb,
                                                std::vector<GroupDamage>* damage,
                                                std::string* why);
  Status change(BlockRun run, bool to);
  Status load_table(BlockDevice& device, const TableRef& ref, std::string* why);
  Status load_group(BlockDevice& device, uint64_t group, uint64_t generation_max, std::string* why);
  void make_blank(uint64_t group);
  Status write_group(BlockDevice& device, uint64_t group, uint64_t generation);
  Bytes bits_of(uint64_t group);
  uint64_t count_free(uint64_t group) const;

  Geometry geometry_;
  Uuid uuid_;
  size_t group_bytes_;  // of one group's map in bits_, whole blocks
  AlignedBuffer bits_;  // all maps; a set bit is a used block
  std::vector<Group> groups_;
  uint64_t free_blocks_ = 0;
  TableRef durable_;
  TableRef pending_;
};

}  // namespace scalefs::diskfs
