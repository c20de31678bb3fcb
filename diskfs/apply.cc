#include "diskfs/apply.h"

#include <algorithm>

#include "base/log.h"
#include "diskfs/batch_format.h"
#include "diskfs/inline_pages.h"
#include "diskfs/xattr_map.h"

namespace scalefs::diskfs {

namespace {

constexpr size_t kInodeSlots = 64;

Errno contradiction(Ino ino, const char* what) {
  log_error("inode {}: a committed operation contradicts the tree: {}", ino.v, what);
  return Errno(EUCLEAN);
}

bool ino_is_storable(Ino ino) { return ino.v != 0 && ino.v <= kInoMax; }

// Attributes of inodes that recent operations used, so that counting pages and entries does not
// store the item once an operation.
struct CachedInode {
  Ino ino;
  bool exists = false;
  bool changed = false;
  InodeItem item;
};

}  // namespace

struct ApplyVisitor::State {
  State(TreeWriter& writer, SpaceSink& space) : tree(writer), map(writer, space), xattrs(writer) {}

  Status store(CachedInode* inode);
  Result<CachedInode*> load(Ino ino);
  Result<CachedInode*> existing(Ino ino, const char* what);

  TreeWriter& tree;
  FileMap map;
  XattrMap xattrs;
  InlinePages inline_pages;
  CachedInode inodes[kInodeSlots];
};

Status ApplyVisitor::State::store(CachedInode* inode) {
  if (!inode->changed) return {};
  ByteVector value;
  encode_inode(inode->item, &value);
  SCALEFS_TRY_VOID(tree.put(Key(inode->ino, ItemType::inode, 0), value));
  inode->changed = false;
  return {};
}

Result<CachedInode*> ApplyVisitor::State::load(Ino ino) {
  if (!ino_is_storable(ino)) return contradiction(ino, "no such number");
  CachedInode* inode = &inodes[ino.v % kInodeSlots];
  if (inode->ino == ino) return inode;
  SCALEFS_TRY_VOID(store(inode));
  inode->ino = Ino();
  ByteVector value;
  SCALEFS_TRY(inode->exists, tree.find(Key(ino, ItemType::inode, 0), &value));
  inode->item = InodeItem();
  if (inode->exists && !decode_inode(value, &inode->item).ok()) {
    log_error("inode {}: its attributes do not decode", ino.v);
    return Errno(EUCLEAN);
  }
  inode->ino = ino;
  return inode;
}

Result<CachedInode*> ApplyVisitor::State::existing(Ino ino, const char* what) {
  SCALEFS_TRY(CachedInode* const inode, load(ino));
  if (!inode->exists) return contradiction(ino, what);
  return inode;
}

namespace {

// Counts pages that were mapped and unmapped.
Status count_pages(CachedInode* inode, uint64_t added, uint64_t removed) {
  if (inode->item.blocks + added < removed) {
    return contradiction(inode->ino, "more pages are unmapped than were mapped");
  }
  if (added == removed) return {};
  inode->item.blocks += added - removed;
  inode->changed = true;
  return {};
}

}  // namespace

ApplyVisitor::ApplyVisitor(TreeWriter& tree, SpaceSink& sink, Callbacks callbacks)
    : tree_(tree),
      sink_(sink),
      callbacks_(std::move(callbacks)),
      state_(std::make_unique<State>(tree, sink)) {}

ApplyVisitor::~ApplyVisitor() = default;

Status ApplyVisitor::finish() {
  SCALEFS_TRY(const uint64_t placed,
              state_->inline_pages.place(state_->map, sink_, callbacks_.allocate,
                                         callbacks_.write));
  statistics_.inline_pages_written += placed;
  for (CachedInode& inode : state_->inodes) SCALEFS_TRY_VOID(state_->store(&inode));
  return {};
}

Status ApplyVisitor::put_inode(Ino ino, const InodeItem& item) {
  ++statistics_.operations;
  if (!inode_is_storable(item)) return contradiction(ino, "impossible attributes");
  put_inodes_.push_back(ino);
  SCALEFS_TRY(CachedInode* const inode, state_->load(ino));
  InodeItem next = item;
  next.blocks = inode->item.blocks;
  next.entries = inode->item.entries;
  if (!inode->exists) {
    next.blocks = 0;
    next.entries = 0;
    SCALEFS_TRY(const bool reused, tree_.erase(Key(Ino(), ItemType::recycled_ino, ino.v)));
    ++statistics_.inodes_created;
    if (reused) ++statistics_.inos_reused;
  } else if (next == inode->item) {
    return {};
  }
  inode->item = next;
  inode->exists = true;
  inode->changed = true;
  return {};
}

Status ApplyVisitor::delete_inode(Ino ino) {
  ++statistics_.operations;
  SCALEFS_TRY(CachedInode* const inode, state_->load(ino));
  SCALEFS_TRY_VOID(tree_.erase(Key(Ino(), ItemType::orphan, ino.v)));
  if (!inode->exists) return {};
  statistics_.inline_pages_superseded +=
      state_->inline_pages.remove(ino, 0, kFilePagesMax);
  const auto release = [&](const Key& key, ConstBytes value) -> Status {
    if (key.type != static_cast<uint8_t>(ItemType::mapping)) return {};
    return state_->map.release_item(key, value);
  };
  SCALEFS_TRY_VOID(tree_.erase_range(Key(ino.v, 0, 0), Key(ino.v + 1, 0, 0), release));
  inode->exists = false;
  inode->changed = false;
  inode->item = InodeItem();
  ++statistics_.inodes_deleted;
  return tree_.put(Key(Ino(), ItemType::recycled_ino, ino.v), {});
}

Status ApplyVisitor::put_dirent(Ino dir, uint64_t hash, std::string_view name,
                                const DirentTarget& target) {
  ++statistics_.operations;
  if (!valid_dirent_name(name) || !ino_is_storable(target.ino) ||
      target.mnode.v >= kMnodeNoLimit || target.type > kDirentTypeMax) {
    return contradiction(dir, "impossible entry");
  }
  SCALEFS_TRY(CachedInode* const inode, state_->existing(dir, "an entry in no directory"));
  const Key key(dir, ItemType::dirent, hash);
  std::vector<Dirent> entries;
  ByteVector value;
  SCALEFS_TRY(const bool found, tree_.find(key, &value));
  if (found && !decode_dirents(hash, value, &entries).ok()) {
    log_error("inode {}: a directory entry does not decode", dir.v);
    return Errno(EUCLEAN);
  }
  auto place = std::find_if(entries.begin(), entries.end(),
                            [&](const Dirent& entry) { return entry.name >= name; });
  if (place == entries.end() || place->name != name) {
    place = entries.insert(place, Dirent{hash, std::string(name), target});
    ++inode->item.entries;
    inode->changed = true;
  }
  place->target = target;
  value.clear();
  encode_dirents(entries, &value);
  if (value.size() > kItemValueMax) return Errno(EOVERFLOW);
  return tree_.put(key, value);
}

Status ApplyVisitor::del_dirent(Ino dir, uint64_t hash, std::string_view name) {
  ++statistics_.operations;
  const Key key(dir, ItemType::dirent, hash);
  ByteVector value;
  SCALEFS_TRY(const bool found, tree_.find(key, &value));
  if (!found) return {};
  std::vector<Dirent> entries;
  if (!decode_dirents(hash, value, &entries).ok()) {
    log_error("inode {}: a directory entry does not decode", dir.v);
    return Errno(EUCLEAN);
  }
  if (std::erase_if(entries, [&](const Dirent& entry) { return entry.name == name; }) == 0) {
    return {};
  }
  SCALEFS_TRY(CachedInode* const inode, state_->existing(dir, "an entry in no directory"));
  if (inode->item.entries == 0) return contradiction(dir, "more entries than it counts");
  --inode->item.entries;
  inode->changed = true;
  if (entries.empty()) {
    SCALEFS_TRY_VOID(tree_.erase(key));
    return {};
  }
  value.clear();
  encode_dirents(entries, &value);
  return tree_.put(key, value);
}

Status ApplyVisitor::put_extent(Ino ino, uint64_t page, BlockNo first,
                                std::span<const uint32_t> crcs) {
  ++statistics_.operations;
  const uint64_t count = crcs.size();
  if (count == 0 || count > kExtentItemBlocksMax || page >= kFilePagesMax ||
      count > kFilePagesMax - page || first.v == 0 || first.v > kVolumeBlocksMax - count) {
    return contradiction(ino, "impossible extent");
  }
  SCALEFS_TRY(CachedInode* const inode, state_->existing(ino, "an extent of no file"));
  FileMap::Incoming incoming{page, first, {}};
  SCALEFS_TRY(uint64_t removed, state_->map.remove(ino, page, page + count, &incoming));
  const uint64_t superseded = state_->inline_pages.remove(ino, page, page + count);
  statistics_.inline_pages_superseded += superseded;
  removed += superseded;
  for (uint64_t from = 0; from < count;) {
    uint64_t to = from;
    while (to < count && incoming.mapped[to] == incoming.mapped[from]) ++to;
    if (!incoming.mapped[from]) {
      SCALEFS_TRY_VOID(sink_.referenced({BlockNo(first.v + from), to - from}));
    }
    from = to;
  }
  Mapping mapping;
  mapping.page = page;
  mapping.count = count;
  mapping.block = first;
  mapping.crcs.assign(crcs.begin(), crcs.end());
  SCALEFS_TRY_VOID(state_->map.insert(ino, std::move(mapping)));
  return count_pages(inode, count, removed);
}

Status ApplyVisitor::put_unwritten(Ino ino, uint64_t page, uint64_t count) {
  ++statistics_.operations;
  if (count == 0 || page >= kFilePagesMax || count > kFilePagesMax - page) {
    return contradiction(ino, "impossible range");
  }
  SCALEFS_TRY(CachedInode* const inode, state_->existing(ino, "a range of no file"));
  const uint64_t end = page + count;
  uint64_t added = 0;
  for (uint64_t at = page; at < end;) {
    Mapping mapped;
    SCALEFS_TRY(const bool found, state_->map.next(ino, at, &mapped));
    const uint64_t in_memory = state_->inline_pages.next(ino, at).value_or(end);
    const uint64_t gap_end = std::min({end, in_memory, found ? mapped.page : end});
    if (gap_end > at) {
      Mapping gap;
      gap.kind = Mapping::Kind::unwritten;
      gap.page = at;
      gap.count = gap_end - at;
      added += gap.count;
      SCALEFS_TRY_VOID(state_->map.insert(ino, std::move(gap)));
      at = gap_end;
    } else if (found && mapped.page <= at) {
      at = mapped.page + mapped.count;
    } else {
      ++at;
    }
  }
  return count_pages(inode, added, 0);
}

Status ApplyVisitor::put_inline(Ino ino, uint64_t page, ConstBytes content) {
  ++statistics_.operations;
  if (page >= kFilePagesMax || content.size() > kBlockBytes) {
    return contradiction(ino, "impossible page");
  }
  SCALEFS_TRY(CachedInode* const inode, state_->existing(ino, "a page of no file"));
  SCALEFS_TRY(uint64_t removed, state_->map.remove(ino, page, page + 1, nullptr));
  const uint64_t superseded = state_->inline_pages.remove(ino, page, page + 1);
  statistics_.inline_pages_superseded += superseded;
  removed += superseded;
  const ConstBytes kept = without_trailing_zeros(content);
  if (page == 0 && kept.size() <= kInlineItemBytesMax) {
    Mapping mapping;
    mapping.kind = Mapping::Kind::inline_data;
    mapping.count = 1;
    mapping.bytes.assign(kept.begin(), kept.end());
    SCALEFS_TRY_VOID(state_->map.insert(ino, std::move(mapping)));
  } else {
    state_->inline_pages.put(ino, page, kept);
  }
  return count_pages(inode, 1, removed);
}

Status ApplyVisitor::punch(Ino ino, uint64_t from, uint64_t to) {
  ++statistics_.operations;
  to = std::min(to, kFilePagesMax);
  SCALEFS_TRY(CachedInode* const inode, state_->load(ino));
  if (!inode->exists || from >= to) return {};
  SCALEFS_TRY(uint64_t removed, state_->map.remove(ino, from, to, nullptr));
  const uint64_t superseded = state_->inline_pages.remove(ino, from, to);
  statistics_.inline_pages_superseded += superseded;
  return count_pages(inode, 0, removed + superseded);
}

Status ApplyVisitor::put_xattr(Ino ino, std::string_view name, ConstBytes value) {
  ++statistics_.operations;
  if (!valid_xattr_name(name)) return contradiction(ino, "impossible attribute name");
  SCALEFS_TRY_VOID(state_->existing(ino, "an attribute of no inode"));
  return state_->xattrs.put(ino, name, value);
}

Status ApplyVisitor::del_xattr(Ino ino, std::string_view name) {
  ++statistics_.operations;
  if (!valid_xattr_name(name)) return contradiction(ino, "impossible attribute name");
  return state_->xattrs.remove(ino, name);
}

Status ApplyVisitor::put_orphan(Ino ino) {
  ++statistics_.operations;
  if (!ino_is_storable(ino)) return contradiction(ino, "no such number");
  return tree_.put(Key(Ino(), ItemType::orphan, ino.v), {});
}

Status ApplyVisitor::del_orphan(Ino ino) {
  ++statistics_.operations;
  SCALEFS_TRY_VOID(tree_.erase(Key(Ino(), ItemType::orphan, ino.v)));
  return {};
}

Status ApplyVisitor::set_mnode_mark(uint32_t slot, uint64_t counter) {
  ++statistics_.operations;
  if (slot >= kMnodeSlotsMax || counter > kMnodeCounterMax) {
    return contradiction(Ino(), "impossible mnode mark");
  }
  const Key key(Ino(), ItemType::mnode_mark, slot);
  ByteVector value;
  uint64_t old = 0;
  SCALEFS_TRY(const bool found, tree_.find(key, &value));
  if (found && !decode_mnode_mark(value, &old).ok()) return contradiction(Ino(), "damaged mark");
  if (found && old >= counter) return {};
  value.clear();
  encode_mnode_mark(counter, &value);
  return tree_.put(key, value);
}

}  // namespace scalefs::diskfs
