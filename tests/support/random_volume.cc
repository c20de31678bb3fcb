#include "tests/support/random_volume.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/aligned_buffer.h"
#include "base/core.h"
#include "base/hash.h"
#include "diskfs/format.h"

namespace scalefs::diskfs {

namespace {
constexpr uint32_t kSlot = 3;
constexpr uint64_t kMarkStride = 1000;
}  // namespace

void format_small(BlockDevice& device, uint64_t journal_blocks) {
  FormatOptions options;
  options.label = "sample";
  options.uuid = Uuid{0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  options.hash_key = HashKey{0x0123456789abcdef, 0xfedcba9876543210};
  options.time_ns = 1'600'000'000'000'000'000;
  options.geometry.tiny = true;
  options.geometry.group_blocks = 512;
  options.geometry.journal_blocks = journal_blocks;
  std::string why;
  auto made = format(device, options, &why);
  ASSERT_TRUE(made.ok()) << why;
}

RandomVolume::RandomVolume(DiskFs& fs, uint64_t seed) : random(seed), fs_(&fs) {
  auto root = fs.pin().reader().inode(kRootIno);
  EXPECT_TRUE(root.ok());
  if (root.ok()) objects_[kRootIno.v].item = *root;
}

// --- operations

Ino RandomVolume::new_ino() {
  auto ino = fs_->allocate_ino();
  EXPECT_TRUE(ino.ok());
  return ino.ok() ? *ino : Ino();
}

InodeItem RandomVolume::new_item(uint32_t mode) {
  if (next_counter_ % kMarkStride == 1) {
    batch_.set_mnode_mark(kSlot, next_counter_ - 1 + kMarkStride);
  }
  InodeItem item;
  item.mnode = MnodeNo(next_counter_++ << kCoreBits | kSlot);
  item.mode = mode;
  item.uid = static_cast<uint32_t>(random.below(3) * 1000);
  item.gid = static_cast<uint32_t>(random.below(3) * 100);
  item.generation = static_cast<uint32_t>(random.below(5));
  item.flags = random.percent(10) ? 0x10 : 0;
  item.btime_ns = item.mtime_ns = item.atime_ns = item.ctime_ns = now_ns_ += 1'000'000'007;
  return item;
}

void RandomVolume::put(Ino ino) { batch_.put_inode(ino, objects_[ino.v].item); }

void RandomVolume::add_name(Ino parent, const std::string& name, Ino ino) {
  Object& dir = objects_[parent.v];
  Object& object = objects_[ino.v];
  bool directory = S_ISDIR(object.item.mode);
  dir.entries[name] = ino;
  dir.item.mtime_ns = dir.item.ctime_ns = now_ns_ += 1000;
  if (directory) {
    object.item.parent_ino = parent;
    object.item.parent_mnode = dir.item.mnode;
    ++dir.item.nlink;
  }
  put(ino);
  put(parent);
  DirentTarget target{ino, object.item.mnode, static_cast<uint8_t>(object.item.mode >> 12)};
  batch_.put_dirent(parent, siphash24(fs_->info().hash_key, name), name, target);
}

Ino RandomVolume::make(Ino parent, const std::string& name, uint32_t mode, uint64_t rdev) {
  Ino ino = new_ino();
  Object& object = objects_[ino.v];
  object.item = new_item(mode);
  object.item.rdev = rdev;
  object.item.nlink = S_ISDIR(mode) ? 2 : 1;
  add_name(parent, name, ino);
  return ino;
}

Ino RandomVolume::symlink(Ino parent, const std::string& name, const std::string& target) {
  Ino ino = make(parent, name, S_IFLNK | 0777);
  auto bytes = std::as_bytes(std::span(target));
  write_inline(ino, 0, ByteVector(bytes.begin(), bytes.end()));
  set_size(ino, target.size());
  return ino;
}

void RandomVolume::link(Ino ino, Ino parent, const std::string& name) {
  ++objects_[ino.v].item.nlink;
  add_name(parent, name, ino);
}

void RandomVolume::unlink(Ino parent, const std::string& name, bool open) {
  Object& dir = objects_[parent.v];
  Ino ino = dir.entries.at(name);
  Object& object = objects_[ino.v];
  bool directory = S_ISDIR(object.item.mode);
  dir.entries.erase(name);
  dir.item.nlink -= directory;
  object.item.nlink -= directory ? 2 : 1;
  put(parent);
  batch_.del_dirent(parent, siphash24(fs_->info().hash_key, name), name);
  if (object.item.nlink > 0) {
    put(ino);
  } else if (open) {
    put(ino);
    batch_.put_orphan(ino);
  } else {
    batch_.delete_inode(ino);
    objects_.erase(ino.v);
    commit();  // a number is used again only when its end is committed
  }
}

void RandomVolume::rename(Ino from, const std::string& old_name, Ino to,
                          const std::string& new_name) {
  Ino ino = objects_[from.v].entries.at(old_name);
  objects_[from.v].entries.erase(old_name);
  objects_[from.v].item.nlink -= S_ISDIR(objects_[ino.v].item.mode);
  put(from);
  batch_.del_dirent(from, siphash24(fs_->info().hash_key, old_name), old_name);
  add_name(to, new_name, ino);
}

void RandomVolume::write(Ino ino, uint64_t page, const std::vector<ByteVector>& pages) {
  for (size_t done = 0; done < pages.size();) {
    uint64_t want = std::min<uint64_t>(pages.size() - done, Batch::kExtentBlocksMax);
    auto run = fs_->allocator().allocate(0, want);
    ASSERT_TRUE(run.ok());
    AlignedBuffer data(run->count * kBlockBytes);
    std::vector<uint32_t> crcs;
    for (uint64_t i = 0; i < run->count; ++i) {
      const ByteVector& content = pages[done + i];
      std::copy(content.begin(), content.end(), data.block(i).data());
      crcs.push_back(crc32c(data.block(i).data(), kBlockBytes));
      objects_[ino.v].pages[page + done + i] = content;
    }
    ASSERT_TRUE(fs_->write_data(run->first, data.span()).ok());
    batch_.put_extent(ino, page + done, run->first, crcs);
    done += run->count;
  }
}

void RandomVolume::write_inline(Ino ino, uint64_t page, const ByteVector& content) {
  batch_.put_inline(ino, page, content);
  ByteVector& kept = objects_[ino.v].pages[page];
  kept = content;
  kept.resize(kBlockBytes);
}

void RandomVolume::allocate(Ino ino, uint64_t page, uint64_t count) {
  batch_.put_unwritten(ino, page, count);
  for (uint64_t i = 0; i < count; ++i) {
    objects_[ino.v].pages.emplace(page + i, ByteVector(kBlockBytes));
  }
}

void RandomVolume::punch(Ino ino, uint64_t page, uint64_t count) {
  batch_.punch(ino, page, page + count);
  for (uint64_t i = 0; i < count; ++i) objects_[ino.v].pages.erase(page + i);
}

void RandomVolume::set_size(Ino ino, uint64_t size) {
  objects_[ino.v].item.size = size;
  put(ino);
}

void RandomVolume::set_xattr(Ino ino, const std::string& name, const ByteVector& value) {
  batch_.put_xattr(ino, name, value);
  objects_[ino.v].xattrs[name] = value;
}

void RandomVolume::remove_xattr(Ino ino, const std::string& name) {
  batch_.del_xattr(ino, name);
  objects_[ino.v].xattrs.erase(name);
}

void RandomVolume::commit() {
  ASSERT_TRUE(fs_->commit(batch_).ok());
  batch_.clear();
}

// --- random content

ByteVector RandomVolume::random_bytes(size_t size) {
  ByteVector bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

std::string RandomVolume::random_name() {
  std::string name = fmt::format("n{}", random.below(60));
  if (random.percent(10)) name += "\xc3\xa9 \"quoted\"\\";
  if (random.percent(5)) name += std::string(random.between(1, 240), 'x');
  if (random.percent(5)) name += "\xff\x01";
  return name;
}

// An object with a name; the root if there is no other.
Ino RandomVolume::random_object(bool directory) {
  std::vector<Ino> fitting;
  for (const auto& [number, object] : objects_) {
    bool fits = directory ? S_ISDIR(object.item.mode) : S_ISREG(object.item.mode);
    if (fits && object.item.nlink > 0) fitting.emplace_back(number);
  }
  return fitting.empty() ? kRootIno : fitting[random.below(fitting.size())];
}

bool RandomVolume::is_within(Ino directory, Ino ancestor) const {
  for (;; directory = objects_.at(directory.v).item.parent_ino) {
    if (directory == ancestor) return true;
    if (directory == kRootIno) return false;
  }
}

void RandomVolume::random_name_step() {
  constexpr uint32_t kTypes[] = {S_IFREG, S_IFREG,  S_IFREG, S_IFDIR, S_IFDIR,
                                 S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
  Ino dir = random_object(true);
  auto& entries = objects_[dir.v].entries;
  std::string name = random_name();
  auto found = entries.find(name);
  if (found == entries.end()) {
    uint64_t choice = random.below(10);
    Ino file = random_object(false);
    if (choice < 6) {
      uint32_t type = kTypes[random.below(std::size(kTypes))];
      bool device = type == S_IFCHR || type == S_IFBLK;
      make(dir, name, type | static_cast<uint32_t>(random.below(010000)),
           device ? random.below(1 << 20) : 0);
    } else if (choice < 8) {
      symlink(dir, name, std::string(random.between(1, random.percent(90) ? 60 : 4095), 't'));
    } else if (file != kRootIno) {
      link(file, dir, name);
    }
    return;
  }
  Ino ino = found->second;
  const Object& object = objects_[ino.v];
  Ino to = random_object(true);
  bool directory = S_ISDIR(object.item.mode);
  if (random.percent(50)) {
    std::string new_name = random_name();
    if (objects_[to.v].entries.count(new_name) != 0) return;
    if (!directory || !is_within(to, ino)) rename(dir, name, to, new_name);
  } else if (object.entries.empty()) {
    unlink(dir, name, random.percent(15));
  }
}

void RandomVolume::random_data_step() {
  Ino ino = random_object(false);
  if (ino == kRootIno) return;
  uint64_t page = random.percent(80) ? random.below(12) : random.below(uint64_t{1} << 32) / 2;
  uint64_t choice = random.below(10);
  if (choice < 4) {
    std::vector<ByteVector> pages(random.between(1, 5));
    for (ByteVector& content : pages) content = random_bytes(kBlockBytes);
    write(ino, page, pages);
    // Sparse files stay small enough to be hashed.
    uint64_t end = (page + pages.size()) * kBlockBytes - random.below(kBlockBytes);
    if (page < 100) set_size(ino, std::max(objects_[ino.v].item.size, end));
  } else if (choice < 6) {
    write_inline(ino, page, random_bytes(random.below(random.percent(50) ? 200 : 4097)));
  } else if (choice < 8) {
    allocate(ino, page, random.between(1, 200));
  } else if (choice == 8) {
    punch(ino, page, random.between(1, 4));
  } else {
    set_size(ino, random.below(20 * kBlockBytes));
  }
}

void RandomVolume::random_step() {
  uint64_t choice = random.below(100);
  if (choice < 45) {
    random_name_step();
  } else if (choice < 75) {
    random_data_step();
  } else if (choice < 90) {
    Ino ino = random_object(random.percent(30));
    std::string name = fmt::format("user.a{}", random.below(8));
    if (random.percent(30)) {
      remove_xattr(ino, name);
    } else {
      set_xattr(ino, name, random_bytes(random.below(random.percent(80) ? 100 : 20000)));
    }
  } else {
    commit();
  }
}

void RandomVolume::fill() {
  Ino dir = make(kRootIno, "directory", S_IFDIR | 0755);
  Ino sub = make(dir, "sub", S_IFDIR | 01777);
  Ino file = make(kRootIno, "file", S_IFREG | 0644);
  write(file, 0, {random_bytes(kBlockBytes), random_bytes(kBlockBytes)});
  write(file, 4, {random_bytes(kBlockBytes)});
  allocate(file, 6, 3);
  set_size(file, 5 * kBlockBytes - 17);
  Ino small = make(sub, "small", S_IFREG | 0600);
  write_inline(small, 0, random_bytes(99));
  set_size(small, 99);
  symlink(dir, "link", "../file");
  link(small, kRootIno, "second name");
  set_xattr(file, "user.short", random_bytes(20));
  set_xattr(file, "user.long", random_bytes(5000));
  make(dir, "fifo", S_IFIFO | 0600);
  make(dir, "device", S_IFCHR | 0600, 0x501);
  make(sub, "gone", S_IFREG | 0600);
  make(sub, "open", S_IFREG | 0600);
  commit();
  unlink(sub, "gone");
  unlink(sub, "open", true);
  commit();
}

}  // namespace scalefs::diskfs
