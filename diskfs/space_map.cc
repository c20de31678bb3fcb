#include "diskfs/space_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/hash.h"
#include "base/memory.h"

namespace scalefs::diskfs {

SpaceMap::SpaceMap(const Geometry& geometry, const Uuid& uuid)
    : geometry_(geometry),
      uuid_(uuid),
      group_bytes_(geometry.map_blocks * kBlockBytes),
      bits_(geometry.group_count * group_bytes_),
      groups_(geometry.group_count) {
  std::memset(bits_.data(), 0xff, bits_.size());
  memory_count(MemoryClass::space_map, static_cast<int64_t>(bits_.size()));
}

SpaceMap::~SpaceMap() { memory_count(MemoryClass::space_map, -static_cast<int64_t>(bits_.size())); }

Bytes SpaceMap::bits_of(uint64_t group) {
  return bits_.span().subspan(group * group_bytes_, group_bytes_);
}

bool SpaceMap::test(BlockNo block) const {
  uint64_t bit = block.v % geometry_.group_blocks;
  size_t byte = geometry_.group_of(block.v) * group_bytes_ + bit / 8;
  return (static_cast<uint8_t>(bits_.data()[byte]) >> (bit % 8) & 1) != 0;
}

// A group has at least 64 blocks.
uint64_t SpaceMap::test_64(BlockNo first) const {
  SCALEFS_DCHECK(first.v % 64 == 0);
  const uint64_t bit = first.v % geometry_.group_blocks;
  return load_le<uint64_t>(bits_.data() + geometry_.group_of(first.v) * group_bytes_ + bit / 8);
}

// Bits that stand for no block are set, so zeros are free blocks.
uint64_t SpaceMap::count_free(uint64_t group) const {
  uint64_t used = 0;
  const std::byte* from = bits_.data() + group * group_bytes_;
  for (size_t i = 0; i < group_bytes_; i += 8) used += std::popcount(load_le<uint64_t>(from + i));
  return group_bytes_ * 8 - used;
}

// The bits of a group in which no block was ever used.
void SpaceMap::make_blank(uint64_t group) {
  uint64_t low = group * geometry_.group_blocks;
  uint64_t high = low + geometry_.group_blocks;
  uint64_t from = std::clamp(geometry_.data_first, low, high) - low;
  uint64_t to = std::max(from, std::clamp(geometry_.data_end, low, high) - low);
  std::byte* bits = bits_.data() + group * group_bytes_;
  std::memset(bits, 0xff, group_bytes_);
  for (; from < to && from % 8 != 0; ++from) bits[from / 8] &= ~(std::byte{1} << (from % 8));
  if (from < to) std::memset(bits + from / 8, 0, (to - from) / 8);
  for (from = std::max(from, to / 8 * 8); from < to; ++from) {
    bits[from / 8] &= ~(std::byte{1} << (from % 8));
  }
}

std::unique_ptr<SpaceMap> SpaceMap::make_empty(const Geometry& geometry, const Uuid& uuid) {
  std::unique_ptr<SpaceMap> map(new SpaceMap(geometry, uuid));
  map->durable_.copy = 1;  // so that the first table is copy 0
  for (uint64_t g = 0; g < geometry.group_count; ++g) {
    map->make_blank(g);
    map->groups_[g].free = static_cast<uint32_t>(map->count_free(g));
    map->free_blocks_ += map->groups_[g].free;
  }
  return map;
}

Status SpaceMap::change(BlockRun run, bool to) {
  if (!geometry_.is_data_run(run.first.v, run.count)) return Errno(EUCLEAN);
  for (uint64_t block = run.first.v; block < run.first.v + run.count; ++block) {
    if (test(BlockNo(block)) == to) return Errno(EUCLEAN);
    uint64_t group = geometry_.group_of(block);
    uint64_t bit = block % geometry_.group_blocks;
    bits_.data()[group * group_bytes_ + bit / 8] ^= std::byte{1} << (bit % 8);
    groups_[group].changed = true;
    groups_[group].free += to ? -1 : 1;
    free_blocks_ += to ? -1 : 1;
  }
  return {};
}

Status SpaceMap::set(BlockRun run) { return change(run, true); }
Status SpaceMap::clear(BlockRun run) { return change(run, false); }

size_t SpaceMap::changed_groups() const {
  return std::count_if(groups_.begin(), groups_.end(), [](const Group& g) { return g.changed; });
}

uint64_t SpaceMap::write_blocks_bound() const {
  size_t changed = changed_groups();
  if (changed == 0 && durable_.generation != 0) return 0;
  return changed * geometry_.map_blocks + geometry_.table_blocks;
}

// --- loading

Status SpaceMap::load_table(BlockDevice& device, const TableRef& ref, std::string* why) {
  uint64_t first = geometry_.table_first[ref.copy];
  AlignedBuffer table(geometry_.table_blocks * kBlockBytes);
  Status read = device.read(BlockNo(first), table.span());
  if (!read.ok()) {
    *why = fmt::format("the group table at block {} cannot be read", first);
    return read;
  }
  if (crc32c(table.data(), table.size()) != ref.crc) {
    return damaged(why, fmt::format("the group table at block {} is damaged", first));
  }
  for (uint64_t i = 0; i < geometry_.table_blocks; ++i) {
    RawTableHeader header;
    std::memcpy(&header, table.block(i).data(), sizeof header);
    bool right = header.magic == kTableMagic && header.index == i &&
                 std::memcmp(header.uuid, uuid_.data(), uuid_.size()) == 0 &&
                 header.own_block == first + i && header.generation == ref.generation &&
                 header.group_count == geometry_.group_count;
    if (!right) return damaged(why, fmt::format("block {} is not of this group table", first + i));
  }
  for (uint64_t g = 0; g < geometry_.group_count; ++g) {
    RawTableEntry raw;
    std::memcpy(&raw,
                table.block(g / kTableEntriesPerBlock).data() + kTableHeaderBytes +
                    g % kTableEntriesPerBlock * kTableEntryBytes,
                sizeof raw);
    groups_[g].generation = raw.generation;
    groups_[g].crc = raw.crc;
    groups_[g].copy = raw.copy_and_free >> 31;
    groups_[g].free = raw.copy_and_free & ~kGroupCopyBit;
  }
  return {};
}

// The checksum alone does not prove that the map fits the geometry: blocks that are not data must
// be used in it, or the allocator would give them out.
Status SpaceMap::load_group(BlockDevice& device, uint64_t group, uint64_t generation_max,
                            std::string* why) {
  Group& state = groups_[group];
  uint64_t first = geometry_.map_first(group, state.copy);
  Bytes bits = bits_of(group);
  if (state.generation == 0) {
    make_blank(group);
    if (state.crc == 0 && state.copy == 0 && state.free == count_free(group)) return {};
    return damaged(why, fmt::format("group {} has no map, but blocks in use", group));
  }
  Status read = device.read(BlockNo(first), bits);
  if (!read.ok()) {
    *why = fmt::format("the map of group {} at block {} cannot be read", group, first);
    return read;
  }
  if (crc32c(bits.data(), bits.size()) != state.crc) {
    return damaged(why, fmt::format("the map of group {} at block {} is damaged", group, first));
  }
  if (state.generation > generation_max) {
    return damaged(why, fmt::format("the map of group {} is from the future", group));
  }
  uint64_t low = group * geometry_.group_blocks;
  uint64_t bit_count = group_bytes_ * 8;
  auto must_be_used = [&](uint64_t from, uint64_t to) {
    for (uint64_t bit = from; bit < to; ++bit) {
      if (bit % 8 == 0 && to - bit >= 8 && bits[bit / 8] == std::byte{0xff}) {
        bit += 7;
      } else if ((static_cast<uint8_t>(bits[bit / 8]) >> (bit % 8) & 1) == 0) {
        return false;
      }
    }
    return true;
  };
  uint64_t data_from = std::clamp(geometry_.data_first, low, low + geometry_.group_blocks) - low;
  uint64_t data_to = std::clamp(geometry_.data_end, low, low + geometry_.group_blocks) - low;
  if (!must_be_used(0, data_from) || !must_be_used(std::max(data_from, data_to), bit_count)) {
    return damaged(why, fmt::format("the map of group {} calls blocks free that hold no data", group));
  }
  if (count_free(group) != state.free) {
    return damaged(why, fmt::format("the map of group {} has {} free blocks, the table says {}", group,
                                count_free(group), state.free));
  }
  return {};
}

Result<std::unique_ptr<SpaceMap>> SpaceMap::load(BlockDevice& device, const Superblock& sb,
                                                 std::vector<GroupDamage>* damage,
                                                 std::string* why) {
  std::unique_ptr<SpaceMap> map(new SpaceMap(sb.geometry, sb.uuid));
  map->durable_ = sb.table;
  SCALEFS_TRY_VOID(map->load_table(device, sb.table, why));
  for (uint64_t g = 0; g < sb.geometry.group_count; ++g) {
    Status loaded = map->load_group(device, g, sb.table.generation, why);
    if (!loaded.ok()) {
      if (damage == nullptr) return loaded.error();
      damage->push_back({g, *why});
      std::memset(map->bits_of(g).data(), 0xff, map->group_bytes_);
    }
    map->free_blocks_ += map->groups_[g].free;
  }
  if (map->free_blocks_ != sb.free_blocks) {
    *why = fmt::format("the maps have {} free blocks, the superblock says {}", map->free_blocks_,
                       sb.free_blocks);
    if (damage == nullptr) return Errno(EUCLEAN);
    damage->push_back({std::nullopt, *why});
  }
  return map;
}

std::unique_ptr<SpaceMap> SpaceMap::load_for_repair(BlockDevice& device, const Superblock& sb,
                                                    const std::function<bool(uint64_t)>& used) {
  std::unique_ptr<SpaceMap> map(new SpaceMap(sb.geometry, sb.uuid));
  std::string why;
  map->durable_ = sb.table;
  const bool table = map->load_table(device, sb.table, &why).ok();
  if (!table) map->durable_.generation = 0;  // so that a table is written
  for (uint64_t g = 0; g < sb.geometry.group_count; ++g) {
    Group& group = map->groups_[g];
    if (!table || !map->load_group(device, g, sb.table.generation, &why).ok()) {
      map->make_blank(g);
      group.free = static_cast<uint32_t>(map->count_free(g));
      group.changed = true;
    }
    map->free_blocks_ += group.free;
  }
  for (uint64_t block = sb.geometry.data_first; block < sb.geometry.data_end; ++block) {
    const bool is_used = used(block);
    if (map->test(BlockNo(block)) != is_used) {
      SCALEFS_CHECK(map->change({BlockNo(block), 1}, is_used).ok());
    }
  }
  return map;
}

// --- writing

Status SpaceMap::write_group(BlockDevice& device, uint64_t group, uint64_t generation) {
  Group& state = groups_[group];
  Bytes bits = bits_of(group);
  SCALEFS_TRY_VOID(device.write(BlockNo(geometry_.map_first(group, 1 - state.copy)), bits));
  state.pending = true;
  state.pending_generation = generation;
  state.pending_crc = crc32c(bits.data(), bits.size());
  return {};
}

Result<TableRef> SpaceMap::write(BlockDevice& device, uint64_t generation) {
  if (changed_groups() == 0 && durable_.generation != 0) {
    pending_ = durable_;
    return pending_;
  }
  for (uint64_t g = 0; g < geometry_.group_count; ++g) {
    if (groups_[g].changed) SCALEFS_TRY_VOID(write_group(device, g, generation));
  }
  uint32_t copy = 1 - durable_.copy;
  uint64_t first = geometry_.table_first[copy];
  AlignedBuffer table(geometry_.table_blocks * kBlockBytes);
  for (uint64_t i = 0; i < geometry_.table_blocks; ++i) {
    RawTableHeader header = {};
    header.magic = kTableMagic;
    header.index = static_cast<uint32_t>(i);
    std::copy(uuid_.begin(), uuid_.end(), header.uuid);
    header.own_block = first + i;
    header.generation = generation;
    header.group_count = geometry_.group_count;
    std::memcpy(table.block(i).data(), &header, sizeof header);
  }
  for (uint64_t g = 0; g < geometry_.group_count; ++g) {
    const Group& state = groups_[g];
    RawTableEntry raw = {};
    raw.generation = state.pending ? state.pending_generation : state.generation;
    raw.crc = state.pending ? state.pending_crc : state.crc;
    uint32_t valid = state.pending ? 1 - state.copy : state.copy;
    raw.copy_and_free = valid << 31 | state.free;
    std::memcpy(table.block(g / kTableEntriesPerBlock).data() + kTableHeaderBytes +
                    g % kTableEntriesPerBlock * kTableEntryBytes,
                &raw, sizeof raw);
  }
  SCALEFS_TRY_VOID(device.write(BlockNo(first), table.span()));
  pending_ = {copy, crc32c(table.data(), table.size()), generation};
  return pending_;
}

void SpaceMap::committed() {
  durable_ = pending_;
  for (Group& state : groups_) {
    if (!state.pending) continue;
    state.copy = 1 - state.copy;
    state.generation = state.pending_generation;
    state.crc = state.pending_crc;
    state.pending = false;
    state.changed = false;
  }
}

}  // namespace scalefs::diskfs
