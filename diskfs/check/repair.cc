#include "diskfs/check/repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "diskfs/batch_scan.h"
#include "diskfs/check/repair_names.h"
#include "diskfs/overlay_device.h"
#include "diskfs/space_map.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

namespace {

// Each kind of edit needs few; a tree that is still not right then is not understood.
constexpr int kRoundsMax = 24;

// What the finished tree references.
class References final : public TreeWalkVisitor {
 public:
  explicit References(const Geometry& geometry)
      : geometry_(geometry), bits_((geometry.block_count + 63) / 64) {}
  bool node(const NodeInfo& info) override {
    complete = complete && info.fault == NodeFault::none;
    add({info.block, 1});
    return info.fault == NodeFault::none;
  }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    if (key.ino != 0 && key.type == static_cast<uint8_t>(ItemType::inode)) ++inodes;
    if (key.ino == 0 && key.type == static_cast<uint8_t>(ItemType::recycled_ino)) ++recycled;
    Mapping mapping;
    if (key.type == static_cast<uint8_t>(ItemType::mapping) &&
        decode_mapping(key.offset, value, &mapping).ok() &&
        mapping.kind == Mapping::Kind::extent) {
      add({mapping.block, mapping.count});
    }
    return true;
  }
  bool has(uint64_t block) const { return (bits_[block / 64] >> (block % 64) & 1) != 0; }

  uint64_t inodes = 0;
  uint64_t recycled = 0;
  bool complete = true;

 private:
  void add(BlockRun run) {
    if (!geometry_.is_data_run(run.first.v, run.count)) return;
    for (uint64_t i = 0; i < run.count; ++i) {
      bits_[(run.first.v + i) / 64] |= uint64_t{1} << ((run.first.v + i) % 64);
    }
  }
  const Geometry& geometry_;
  std::vector<uint64_t> bits_;
};

class Repair {
 public:
  Repair(BlockDevice& device, const RepairOptions& options, std::string* why)
      : device_(device), options_(options), why_(why) {}
  Result<RepairReport> run();

 private:
  Status choose();
  void choose_generation(uint64_t above);
  bool root_is_readable(const Superblock& sb);
  Status correct(TreeWriter& tree);
  Status build();
  Status write_maps();
  Status verify();
  Status commit();
  Status write_superblocks(BlockDevice& device);
  Errno fail(Errno error, const char* doing) {
    *why_ = fmt::format("{}: {}", doing, std::strerror(error.code()));
    return error;
  }

  BlockDevice& device_;
  const RepairOptions& options_;
  std::string* why_;
  SuperblockScan scan_;
  Superblock base_;  // whose tree is taken
  Superblock next_;
  std::unique_ptr<RepairSpace> space_;
  std::unique_ptr<NodeStore> store_;
  RepairReport report_;
};

bool Repair::root_is_readable(const Superblock& sb) {
  if (sb.root.height == 0) return true;
  NodeStore store(device_, sb.uuid.data(), sb.hash_key);
  NodeFault fault = NodeFault::none;
  return store.read_uncached({sb.root.block, sb.root.generation, sb.root.crc}, sb.root.height - 1,
                             KeyRange(), &fault) != nullptr;
}

// The newest superblock, or the newest of those before it whose tree has a root.
Status Repair::choose() {
  scan_ = scan_superblocks(device_);
  if (!scan_.newest) {
    *why_ = scan_.why;
    return Errno(scan_.error);
  }
  const Superblock newest = scan_.copies[*scan_.newest].sb;
  if (must_mount_read_only(newest)) {
    *why_ = "the volume has features that this version can only read";
    return Errno(EROFS);
  }
  std::vector<Superblock> older;
  for (const SuperblockCopy& copy : scan_.copies) {
    if (copy.error == 0) older.push_back(copy.sb);
  }
  std::sort(older.begin(), older.end(),
            [](const auto& a, const auto& b) { return a.generation > b.generation; });
  base_ = newest;
  for (const Superblock& sb : older) {
    if (!root_is_readable(sb)) continue;
    base_ = sb;
    break;
  }
  if (base_.generation != newest.generation) {
    report_.log.lost.add(
        Code::tree_fallback,
        fmt::format("the root of checkpoint {} cannot be read; going back to checkpoint {} and "
                    "what the journal has since",
                    newest.generation, base_.generation));
  }
  next_ = newest;
  next_.root = base_.root;
  return {};
}

// Writing the new superblock must leave a copy of the one that the repair began with.
void Repair::choose_generation(uint64_t above) {
  const auto leaves_base = [&] {
    const auto own = superblock_targets(next_.generation, base_.geometry.block_count);
    return std::any_of(scan_.copies.begin(), scan_.copies.end(), [&](const SuperblockCopy& copy) {
      return copy.error == 0 && copy.sb.generation == base_.generation &&
             std::find(own.begin(), own.end(), copy.block) == own.end();
    });
  };
  next_.generation = std::max(next_.generation, above) + 1;
  for (int i = 0; i < 4 && !leaves_base(); ++i) ++next_.generation;
}

// Rounds of looking and editing.
Status Repair::correct(TreeWriter& tree) {
  for (int round = 0; round < kRoundsMax; ++round) {
    RepairTables tables;
    RepairEdits edits;
    SCALEFS_TRY_VOID(scan_items(tree, base_, device_, *space_, &tables, &edits, report_.log));
    if (edits.empty()) {
      RepairNames names(tree, base_, tables, next_.next_ino, edits, report_.log);
      SCALEFS_TRY(const bool edited, names.run());
      if (!edited) {
        report_.log.lost.name_inodes(
            [&](uint64_t ino) { return path_of(tables, tree, ino); });
        return {};
      }
    }
    SCALEFS_TRY_VOID(edits.apply(tree));
  }
  *why_ = "the corrections do not come to an end";
  return Errno(EUCLEAN);
}

Status Repair::build() {
  space_ = std::make_unique<RepairSpace>(device_, base_.geometry);
  store_ = std::make_unique<NodeStore>(device_, base_.uuid.data(), base_.hash_key);
  std::string ignored;
  auto journal = salvage_journal(device_, base_, &ignored);
  if (!journal.ok()) return fail(journal.error(), "reading the journal");
  if (journal->damaged) report_.log.lost.add(Code::journal_damaged, ignored);
  choose_generation(journal->seen_generation);
  next_.mount_epoch = std::max(next_.mount_epoch, journal->seen_mount_epoch) + 1;
  next_.covered_seq = journal->end.sequence - 1;
  next_.covered_crc = journal->end.previous_crc;
  next_.journal_scan = journal->end.position % base_.geometry.journal_blocks;
  next_.state = kStateClean;

  TreeSurvey survey = survey_tree(*store_, base_.root, *space_);
  for (const auto& batch : journal->batches) {
    (void)visit_extents(batch->payload(), [&](BlockNo first, std::span<const uint32_t> crcs) {
      space_->keep({first, crcs.size()});
      return Status();
    });
  }
  std::vector<SpaceMap::GroupDamage> damage;
  auto map = SpaceMap::load_for_check(device_, next_, &damage, &ignored);
  if (map.ok() && damage.empty()) space_->avoid(**map);

  const bool rebuild = survey.bad_nodes > 0 || survey.root_is_bad;
  TreeWriter tree(*store_, rebuild ? TreeRoot() : base_.root);
  if (rebuild) {
    SCALEFS_TRY_VOID(copy_tree(*store_, base_.root, tree, *space_, next_.generation, report_.log));
  } else {
    for (const Key& key : survey.bad_items) {
      report_.log.lost.add(Code::item_decode,
                           fmt::format("the item of type {} at offset {}", key.type, key.offset),
                           key.ino);
      SCALEFS_TRY_VOID(tree.erase(key));
    }
  }
  SCALEFS_TRY_VOID(apply_batches(journal->batches, tree, *space_, report_.log));
  SCALEFS_TRY_VOID(correct(tree));
  SCALEFS_TRY(const auto out,
              tree.write_out(space_->allocator(), space_->writer(), next_.generation));
  space_->settle(out);
  next_.root = out.root;
  return {};
}

Status Repair::write_maps() {
  References references(base_.geometry);
  SCALEFS_TRY_VOID(walk_tree(*store_, next_.root, references));
  if (!references.complete) return Errno(EIO);
  Superblock in_force = scan_.copies[*scan_.newest].sb;
  const auto map = SpaceMap::load_for_repair(device_, in_force, [&](uint64_t block) {
    return references.has(block);
  });
  SCALEFS_TRY(next_.table, map->write(device_, next_.generation));
  next_.free_blocks = map->free_blocks();
  next_.inode_count = references.inodes;
  next_.free_ino_count = references.recycled;
  return device_.flush();
}

// The new superblock to its places, and to those whose copies are damaged.
Status Repair::write_superblocks(BlockDevice& device) {
  SCALEFS_TRY_VOID(write_superblock(device, next_));
  SCALEFS_TRY_VOID(device.flush());
  const auto own = superblock_targets(next_.generation, next_.geometry.block_count);
  AlignedBuffer block(kBlockBytes);
  for (const SuperblockCopy& copy : scan_.copies) {
    const bool written = std::find(own.begin(), own.end(), copy.block) != own.end();
    if (copy.error == 0 || written) continue;
    encode_superblock(next_, copy.block, block.span().first<kBlockBytes>());
    SCALEFS_TRY_VOID(device.write(BlockNo(copy.block), block.span()));
  }
  return device.flush();
}

Status Repair::verify() {
  OverlayDevice overlay(device_);
  SCALEFS_TRY_VOID(write_superblocks(overlay));
  SCALEFS_TRY(CheckReport check, check_volume(overlay, why_, {options_.workers, {}}));
  report_.left = std::move(check.findings);
  return {};
}

Status Repair::commit() {
  for (const SuperblockCopy& copy : scan_.copies) {
    if (copy.error == 0) continue;
    report_.log.done.add(Code::sb_damaged,
                         fmt::format("wrote the superblock copy in block {} anew", copy.block));
  }
  if (options_.confirm && !options_.confirm(report_.log)) {
    report_.declined = true;
    return {};
  }
  const Status written = write_superblocks(device_);
  if (!written.ok()) return fail(written.error(), "writing the superblock");
  report_.repaired = true;
  report_.generation = next_.generation;
  return {};
}

Result<RepairReport> Repair::run() {
  SCALEFS_TRY_VOID(choose());
  if (device_.read_only()) return fail(Errno(EROFS), "opening the device for writing");
  Status status = build();
  if (status.ok()) status = write_maps();
  if (!status.ok()) {
    if (status.code() == ENOSPC) {
      *why_ = "there is no room for a corrected tree beside the damaged one";
    } else if (why_->empty()) {
      *why_ = fmt::format("building the corrected tree: {}", std::strerror(status.code()));
    }
    return status.error();
  }
  SCALEFS_TRY_VOID(verify());
  report_.blocks_written = space_->blocks_written();
  if (report_.left.clean()) SCALEFS_TRY_VOID(commit());
  return std::move(report_);
}

}  // namespace

Result<RepairReport> repair_volume(BlockDevice& device, const RepairOptions& options,
                                   std::string* why) {
  why->clear();
  return Repair(device, options, why).run();
}

}  // namespace scalefs::diskfs
