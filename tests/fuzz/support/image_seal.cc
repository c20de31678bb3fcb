#include "tests/fuzz/support/image_seal.h"

#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/journal_format.h"
#include "diskfs/node_edit.h"
#include "diskfs/recovery.h"
#include "diskfs/space_map.h"
#include "tests/fuzz/support/fuzzing.h"

namespace scalefs::fuzz {

using namespace diskfs;

namespace {

class Sealer {
 public:
  Sealer(BlockDevice& device, const Superblock& base, const SealOptions& options)
      : device_(device), base_(base), geometry_(base.geometry), options_(options) {}

  void run() {
    seal_journal();
    for (uint32_t copy = 0; copy < 2; ++copy) seal_table(copy);
    for (const uint64_t place : superblock_places(geometry_.block_count)) seal_superblock(place);
  }

 private:
  void read(uint64_t block, Bytes to) {
    require(device_.read(BlockNo(block), to).ok(), "a block of the image cannot be read");
  }
  void write(uint64_t block, ConstBytes from) {
    require(device_.write(BlockNo(block), from).ok(), "a block of the image cannot be written");
  }

  // --- trees. The address that a node is to be named by; nothing when none can stand there.
  std::optional<NodeAddress> seal_tree(uint64_t block, uint32_t depth) {
    if (!geometry_.is_data(block) || depth > kTreeHeightMax) return std::nullopt;
    AlignedBuffer page(kBlockBytes);
    read(block, page.span());
    // A node that is its own descendant is named as it stood when it was met first.
    const auto [met, is_new] = nodes_.try_emplace(block, NodeView(page.data()).address());
    if (!is_new) return met->second;
    const NodeView view(page.data());
    if (!view.is_leaf() && view.count() <= kChildrenMax) {
      for (uint32_t i = 0; i < view.count(); ++i) {
        const uint64_t child = view.child(i).block.v;
        if (const auto sealed = seal_tree(child, depth + 1)) {
          child_set_address(page.data(), i, *sealed);
        }
      }
    }
    const NodeAddress address =
        seal_node(page.data(), base_.uuid.data(), BlockNo(block), view.address().generation);
    write(block, page.span());
    nodes_[block] = address;
    return address;
  }

  // --- maps
  void seal_table(uint32_t copy) {
    AlignedBuffer table(geometry_.table_blocks * kBlockBytes);
    read(geometry_.table_first[copy], table.span());
    AlignedBuffer map(geometry_.map_blocks * kBlockBytes);
    uint64_t free_sum = 0;
    for (uint64_t group = 0; group < geometry_.group_count; ++group) {
      std::byte* const at = table.block(group / kTableEntriesPerBlock).data() + kTableHeaderBytes +
                            group % kTableEntriesPerBlock * kTableEntryBytes;
      RawTableEntry entry;
      std::memcpy(&entry, at, sizeof entry);
      if (entry.generation != 0) {
        const uint32_t valid = entry.copy_and_free / kGroupCopyBit;
        read(geometry_.map_first(group, valid), map.span());
        entry.crc = crc32c(map.data(), map.size());
        if (options_.count) {
          uint64_t used = 0;
          for (size_t i = 0; i < map.size(); ++i) {
            used += static_cast<uint64_t>(std::popcount(static_cast<uint8_t>(map.data()[i])));
          }
          entry.copy_and_free =
              (entry.copy_and_free & kGroupCopyBit) | static_cast<uint32_t>(map.size() * 8 - used);
        }
        std::memcpy(at, &entry, sizeof entry);
      }
      free_sum += entry.copy_and_free & ~kGroupCopyBit;
    }
    for (uint64_t i = 0; i < geometry_.table_blocks; ++i) {
      RawTableHeader header;
      std::memcpy(&header, table.block(i).data(), sizeof header);
      header.magic = kTableMagic;
      header.own_block = geometry_.table_first[copy] + i;
      std::memcpy(table.block(i).data(), &header, sizeof header);
    }
    write(geometry_.table_first[copy], table.span());
    table_crc_[copy] = crc32c(table.data(), table.size());
    free_sum_[copy] = free_sum;
  }

  // --- journal. The chain from the base image's place on, then headers that it does not reach.
  bool seal_batch(uint64_t position, std::optional<uint32_t> previous_crc, BatchHeader* header) {
    const JournalArea area = journal_area(base_);
    const uint64_t at = position % area.blocks;
    AlignedBuffer first(kBlockBytes);
    read(area.first.v + at, first.span());
    std::byte* const to = first.data();
    if (load_le<uint64_t>(to) != kBatchMagic) return false;
    std::memcpy(to + batch_offset::uuid, area.uuid.data(), area.uuid.size());
    store_le(to + batch_offset::own_block, at);
    if (previous_crc) store_le(to + batch_offset::previous_crc, *previous_crc);
    store_le(to + batch_offset::seal, siphash24(area.key, to, batch_offset::seal));
    if (decode_batch_header(area, first.span(), header)) {
      const uint64_t blocks = batch_blocks(header->payload_bytes);
      AlignedBuffer whole(blocks * kBlockBytes);
      for (uint64_t i = 1; i < blocks; ++i) {
        read(area.first.v + (at + i) % area.blocks, whole.block(i));
      }
      std::memcpy(whole.data(), to, kBlockBytes);
      const uint32_t of_header = crc32c(whole.data(), batch_offset::crc);
      header->crc =
          crc32c(whole.data() + kBatchHeaderBytes, header->payload_bytes, of_header);
      store_le(to + batch_offset::crc, header->crc);
    } else {
      *header = {};
    }
    write(area.first.v + at, first.span());
    sealed_.insert(at);
    return true;
  }

  void seal_journal() {
    const uint64_t blocks = geometry_.journal_blocks;
    uint64_t position = base_.journal_scan;
    std::optional<uint32_t> previous;
    if (options_.chain) previous = base_.covered_crc;
    BatchHeader header;
    while (position < base_.journal_scan + blocks && seal_batch(position, previous, &header)) {
      if (previous) previous = header.crc;
      position += batch_blocks(header.payload_bytes);
    }
    for (uint64_t block = 0; block < blocks; ++block) {
      if (!sealed_.contains(block)) (void)seal_batch(block, std::nullopt, &header);
    }
  }

  // --- superblocks
  void seal_superblock(uint64_t place) {
    AlignedBuffer block(kBlockBytes);
    read(place, block.span());
    RawSuperblock raw;
    std::memcpy(&raw, block.data(), sizeof raw);
    std::memcpy(raw.magic, kSuperblockMagic.data(), sizeof raw.magic);
    raw.own_block = place;
    if (raw.root_height != 0) {
      if (const auto root = seal_tree(raw.root_block, 0)) {
        raw.root_crc = root->crc;
        raw.root_generation = root->generation;
      }
    }
    if (raw.table_copy < 2) {
      raw.table_crc = table_crc_[raw.table_copy];
      if (options_.count) raw.free_blocks = free_sum_[raw.table_copy];
    }
    raw.crc = crc32c(&raw, offsetof(RawSuperblock, crc));
    std::memcpy(block.data(), &raw, sizeof raw);
    write(place, block.span());
  }

  BlockDevice& device_;
  const Superblock& base_;
  const Geometry& geometry_;
  const SealOptions options_;
  std::map<uint64_t, NodeAddress> nodes_;  // sealed, by block
  std::set<uint64_t> sealed_;              // blocks of the journal
  uint32_t table_crc_[2] = {};
  uint64_t free_sum_[2] = {};
};

}  // namespace

void seal_image(BlockDevice& device, const Superblock& base, const SealOptions& options) {
  Sealer(device, base, options).run();
}

}  // namespace scalefs::fuzz
