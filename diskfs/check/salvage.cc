#include "diskfs/check/salvage.h"

#include <fmt/format.h>

#include "diskfs/apply.h"
#include "diskfs/batch_format.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

namespace {

constexpr uint64_t kDirtyNodesMax = 2048;  // of a tree that is being copied

class Survey final : public TreeWalkVisitor {
 public:
  explicit Survey(RepairSpace& space) : space_(space) {}
  bool node(const NodeInfo& info) override {
    ++found.nodes;
    if (info.fault == NodeFault::none) {
      space_.keep_node(info.block);
      return true;
    }
    space_.keep({info.block, 1});  // it may be a file's by now
    ++found.bad_nodes;
    if (!info.parent) found.root_is_bad = true;
    return false;
  }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    ++found.items;
    if (!item_decodes(key, value)) {
      found.bad_items.push_back(key);
      return true;
    }
    if (key.type != static_cast<uint8_t>(ItemType::mapping)) return true;
    Mapping mapping;
    if (decode_mapping(key.offset, value, &mapping).ok() &&
        mapping.kind == Mapping::Kind::extent) {
      space_.keep({mapping.block, mapping.count});
    }
    return true;
  }
  TreeSurvey found;

 private:
  RepairSpace& space_;
};

class Copy final : public TreeWalkVisitor {
 public:
  Copy(TreeWriter& to, RepairSpace& space, uint64_t generation, RepairLog& log)
      : to_(to), space_(space), generation_(generation), log_(log) {}
  bool node(const NodeInfo& info) override {
    if (info.fault == NodeFault::none) return true;
    const uint64_t last = info.range.high == Key::end() ? kInoMax : info.range.high.ino;
    log_.lost.add(Code::tree_structure,
                  fmt::format("the tree node in block {} (level {}: {}), with items of inodes {} "
                              "to {}",
                              info.block.v, info.level, node_fault_name(info.fault),
                              info.range.low.ino, last));
    return false;
  }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    if (!item_decodes(key, value)) {
      log_.lost.add(Code::item_decode,
                    fmt::format("the item of type {} at offset {}", key.type, key.offset), key.ino);
      return true;
    }
    status = to_.put(key, value);
    if (status.ok() && to_.dirty_nodes() > kDirtyNodesMax) {
      auto out = to_.write_out(space_.allocator(), space_.writer(), generation_);
      if (out.ok()) {
        space_.settle(*out);
      } else {
        status = out.error();
      }
    }
    return status.ok();
  }
  Status status;

 private:
  TreeWriter& to_;
  RepairSpace& space_;
  const uint64_t generation_;
  RepairLog& log_;
};

// Which blocks are in use is computed from the tree in the end.
class IgnoreSpace final : public SpaceSink {
 public:
  Status referenced(BlockRun) override { return {}; }
  Status unreferenced(BlockRun) override { return {}; }
};

// Hands operations on and goes on behind those that contradict the tree.
class TolerantApply final : public BatchVisitor {
 public:
  explicit TolerantApply(ApplyVisitor& apply) : apply_(apply) {}

  Status put_inode(Ino ino, const InodeItem& item) override {
    return pass(apply_.put_inode(ino, item), ino);
  }
  Status delete_inode(Ino ino) override { return pass(apply_.delete_inode(ino), ino); }
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const DirentTarget& target) override {
    return pass(apply_.put_dirent(dir, hash, name, target), dir);
  }
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override {
    return pass(apply_.del_dirent(dir, hash, name), dir);
  }
  Status put_extent(Ino ino, uint64_t page, BlockNo first,
                    std::span<const uint32_t> crcs) override {
    return pass(apply_.put_extent(ino, page, first, crcs), ino);
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    return pass(apply_.put_unwritten(ino, page, count), ino);
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    return pass(apply_.put_inline(ino, page, content), ino);
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    return pass(apply_.punch(ino, from, to), ino);
  }
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override {
    return pass(apply_.put_xattr(ino, name, value), ino);
  }
  Status del_xattr(Ino ino, std::string_view name) override {
    return pass(apply_.del_xattr(ino, name), ino);
  }
  Status put_orphan(Ino ino) override { return pass(apply_.put_orphan(ino), ino); }
  Status del_orphan(Ino ino) override { return pass(apply_.del_orphan(ino), ino); }
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override {
    return pass(apply_.set_mnode_mark(slot, counter), Ino());
  }
  uint64_t left_out() const { return left_out_; }
  Ino first() const { return first_; }

 private:
  Status pass(Status status, Ino ino) {
    if (status.code() != EUCLEAN) return status;
    if (left_out_++ == 0) first_ = ino;
    return {};
  }
  ApplyVisitor& apply_;
  uint64_t left_out_ = 0;
  Ino first_;
};

}  // namespace

bool item_decodes(const Key& key, ConstBytes value) {
  switch (static_cast<ItemType>(key.type)) {
    case ItemType::inode: {
      InodeItem item;
      return key.offset == 0 && key.ino <= kInoMax && decode_inode(value, &item).ok();
    }
    case ItemType::dirent: {
      std::vector<Dirent> entries;
      return decode_dirents(key.offset, value, &entries).ok();
    }
    case ItemType::mapping: {
      Mapping mapping;
      return decode_mapping(key.offset, value, &mapping).ok();
    }
    case ItemType::xattr: {
      std::vector<XattrRecord> records;
      return decode_xattrs(value, &records).ok();
    }
    case ItemType::xattr_chunk: return true;
    case ItemType::orphan:
    case ItemType::recycled_ino:
      return value.empty() && key.offset != 0 && key.offset <= kInoMax;
    case ItemType::mnode_mark: {
      uint64_t counter = 0;
      return key.offset < kMnodeSlotsMax && decode_mnode_mark(value, &counter).ok();
    }
  }
  return false;
}

TreeSurvey survey_tree(NodeStore& store, const TreeRoot& root, RepairSpace& space) {
  Survey survey(space);
  if (!walk_tree(store, root, survey).ok()) survey.found.root_is_bad = true;
  return std::move(survey.found);
}

Status copy_tree(NodeStore& store, const TreeRoot& root, TreeWriter& to, RepairSpace& space,
                 uint64_t generation, RepairLog& log) {
  Copy copy(to, space, generation, log);
  const Status walked = walk_tree(store, root, copy);
  return copy.status.ok() ? walked : copy.status;
}

Status apply_batches(const CommittedBatches& batches, TreeWriter& tree, RepairSpace& space,
                     RepairLog& log) {
  if (batches.empty()) return {};
  IgnoreSpace sink;
  ApplyVisitor apply(tree, sink, {space.allocator(), space.writer()});
  TolerantApply tolerant(apply);
  for (const auto& batch : batches) SCALEFS_TRY_VOID(visit_batch(batch->payload(), tolerant));
  SCALEFS_TRY_VOID(apply.finish());
  log.done.add(Code::journal_damaged,
               fmt::format("applied {} batches of the journal", batches.size()));
  if (tolerant.left_out() > 0) {
    log.lost.add(Code::journal_lost,
                 fmt::format("{} operations of the journal for inodes that are lost (the first "
                             "for inode {})",
                             tolerant.left_out(), tolerant.first().v));
  }
  return {};
}

}  // namespace scalefs::diskfs
