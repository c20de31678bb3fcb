#include "volume/loader.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "diskfs/batch_format.h"
#include "volume/record_visitor.h"

namespace scalefs::volume {

namespace {

using diskfs::InodeItem;
using diskfs::Mapping;
using diskfs::TreeReader;
using memfs::LoadedObject;
using memfs::LoadedPage;

LoadedObject object_of(const InodeItem& item) {
  LoadedObject object;
  memfs::Attr& attr = object.attr;
  attr.mnode = item.mnode;
  attr.mode = item.mode;
  attr.flags = item.flags;
  attr.uid = item.uid;
  attr.gid = item.gid;
  attr.nlink = item.nlink;
  attr.generation = item.generation;
  attr.rdev = item.rdev;
  attr.size = item.size;
  attr.blocks = item.blocks * (kBlockBytes / 512);
  attr.atime_ns = item.atime_ns;
  attr.mtime_ns = item.mtime_ns;
  attr.ctime_ns = item.ctime_ns;
  attr.btime_ns = item.btime_ns;
  if (S_ISDIR(item.mode)) {
    object.parent = item.parent_mnode;
    object.entries = item.entries;
  }
  return object;
}

// A mode without a type that POSIX knows cannot be served.
bool has_type(const InodeItem& item) {
  return S_ISREG(item.mode) || S_ISDIR(item.mode) || S_ISLNK(item.mode) || S_ISCHR(item.mode) ||
         S_ISBLK(item.mode) || S_ISFIFO(item.mode) || S_ISSOCK(item.mode);
}

void place(const Mapping& mapping, uint64_t page, std::vector<LoadedPage>* pages) {
  for (uint64_t i = 0; i < mapping.count; ++i) {
    const uint64_t at = mapping.page + i;
    if (at < page || at - page >= pages->size()) continue;
    LoadedPage& loaded = (*pages)[at - page];
    switch (mapping.kind) {
      case Mapping::Kind::extent:
        loaded.kind = LoadedPage::Kind::block;
        loaded.block = BlockNo(mapping.block.v + i);
        loaded.crc = mapping.crcs[i];
        break;
      case Mapping::Kind::unwritten:
        loaded.kind = LoadedPage::Kind::unwritten;
        break;
      case Mapping::Kind::inline_data:
        loaded.kind = LoadedPage::Kind::bytes;
        loaded.bytes = mapping.bytes;
        break;
    }
  }
}

}  // namespace

Result<Ino> Loader::find(const TreeReader& reader, MnodeNo mnode) {
  const InodeMap::Found found = map_.find(mnode);
  if (!found.ino || found.in_checkpoint) return found.ino;
  const auto item = reader.inode(found.ino);
  if (!item.ok()) {
    if (item.code() == ENOENT) return Ino{};
    return item.error();
  }
  if (item->mnode != mnode) return Ino{};
  map_.seen_in_checkpoint(mnode);
  return found.ino;
}

Result<LoadedObject> Loader::load(const TreeReader& reader, Ino ino, MnodeNo mnode) {
  auto item = reader.inode(ino);
  if (!item.ok()) {
    if (item.code() != ENOENT) return item.error();
    log_error("object {} has no inode {}", mnode.v, ino.v);
    return Errno(EUCLEAN);
  }
  if (item->mnode != mnode || !has_type(*item)) {
    log_error("inode {} is not that of object {}", ino.v, mnode.v);
    return Errno(EUCLEAN);
  }
  return object_of(*item);
}

Result<LoadedObject> Loader::load_root() {
  const diskfs::CheckpointPin pin = disk_.pin();
  SCALEFS_TRY(LoadedObject root, load(pin.reader(), kRootIno, kRootMnode));
  if (!S_ISDIR(root.attr.mode)) return Errno(EUCLEAN);
  map_.loaded(kRootMnode, kRootIno);
  return root;
}

Result<LoadedObject> Loader::load_child(MnodeNo dir, uint64_t hash, std::string_view name) {
  const diskfs::CheckpointPin pin = disk_.pin();
  SCALEFS_TRY(const Ino dir_ino, find(pin.reader(), dir));
  if (!dir_ino) return Errno(ENOENT);
  SCALEFS_TRY(const auto entries, pin.reader().dirents(dir_ino, hash));
  for (const diskfs::Dirent& entry : entries) {
    if (entry.name != name) continue;
    SCALEFS_TRY(LoadedObject object,
                load(pin.reader(), entry.target.ino, entry.target.mnode));
    if (type_of_mode(object.attr.mode) != entry.target.type) {
      log_error("object {} is not of the type that its name says", object.attr.mnode.v);
      return Errno(EUCLEAN);
    }
    map_.loaded(entry.target.mnode, entry.target.ino);
    return object;
  }
  return Errno(ENOENT);
}

Result<memfs::LoadedEntries> Loader::load_entries(MnodeNo dir, uint64_t from_hash, size_t count) {
  memfs::LoadedEntries loaded;
  const diskfs::CheckpointPin pin = disk_.pin();
  SCALEFS_TRY(const Ino ino, find(pin.reader(), dir));
  if (!ino) return loaded;
  SCALEFS_TRY(auto range, pin.reader().list(ino, from_hash, count));
  loaded.next_hash = range.next;
  loaded.entries.reserve(range.entries.size());
  for (diskfs::Dirent& entry : range.entries) {
    loaded.entries.push_back(
        {entry.hash, std::move(entry.name), entry.target.mnode, entry.target.type});
  }
  return loaded;
}

Result<std::vector<LoadedPage>> Loader::load_mapping(MnodeNo file, uint64_t page, size_t count) {
  std::vector<LoadedPage> pages(count);
  const diskfs::CheckpointPin pin = disk_.pin();
  SCALEFS_TRY(const Ino ino, find(pin.reader(), file));
  if (!ino) return pages;
  SCALEFS_TRY(const auto mappings, pin.reader().map(ino, page, pages.size()));
  for (const Mapping& mapping : mappings) place(mapping, page, &pages);
  return pages;
}

Result<uint64_t> Loader::next_mapped(MnodeNo file, uint64_t page) {
  const diskfs::CheckpointPin pin = disk_.pin();
  SCALEFS_TRY(const Ino ino, find(pin.reader(), file));
  if (!ino) return UINT64_MAX;
  SCALEFS_TRY(const auto mappings, pin.reader().map(ino, page, UINT64_MAX, 1));
  return mappings.empty() ? UINT64_MAX : std::max(page, mappings.front().page);
}

Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> Loader::load_xattrs(
    MnodeNo object) {
  std::vector<std::pair<std::string, std::vector<std::byte>>> xattrs;
  const diskfs::CheckpointPin pin = disk_.pin();
  SCALEFS_TRY(const Ino ino, find(pin.reader(), object));
  if (!ino) return xattrs;
  SCALEFS_TRY(auto entries, pin.reader().xattrs(ino));
  for (diskfs::XattrEntry& entry : entries) {
    xattrs.emplace_back(std::move(entry.name), std::move(entry.value));
  }
  return xattrs;
}

}  // namespace scalefs::volume
