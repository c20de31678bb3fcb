#include "tests/support/sample_volume.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/hash.h"

namespace scalefs::testing {

using diskfs::BlockRun;
using diskfs::DirentTarget;
using diskfs::InodeItem;

struct SampleVolume::Object {
  Ino ino;
  InodeItem item;
  std::map<uint64_t, std::string> pages;
  std::map<std::string, std::string> xattrs;

  std::string data() const {
    std::string bytes(item.size, '\0');
    for (const auto& [page, content] : pages) {
      const uint64_t start = page * kBlockBytes;
      if (start >= item.size) continue;
      const uint64_t size = std::min<uint64_t>(content.size(), item.size - start);
      bytes.replace(start, size, content, 0, size);
    }
    return bytes;
  }
};

namespace {

ConstBytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// Bytes that compress badly enough to be told apart, well enough to be kept.
std::string pattern(size_t size, char seed) {
  std::string text;
  while (text.size() < size) text += fmt::format("{}{:06}\n", seed, text.size());
  text.resize(size);
  return text;
}

std::pair<std::string, std::string> split(const std::string& path) {
  const size_t slash = path.rfind('/');
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

SampleVolume::SampleVolume(diskfs::DiskFs& fs) : fs_(fs) {
  const auto root = fs.pin().reader().inode(kRootIno);
  EXPECT_TRUE(root.ok());
  Object& object = objects_[0];
  object.ino = kRootIno;
  if (root.ok()) object.item = *root;
  paths_["/"] = 0;
}

SampleVolume::~SampleVolume() = default;

SampleVolume::Object& SampleVolume::at(const std::string& path) {
  return objects_.at(paths_.at(path));
}

void SampleVolume::save(Object& object) { batch_.put_inode(object.ino, object.item); }

void SampleVolume::commit() {
  now_ += 1'000'000'001;
  EXPECT_TRUE(fs_.commit(batch_).ok());
  batch_.clear();
}

SampleVolume::Id SampleVolume::add(uint32_t mode) {
  const auto ino = fs_.allocate_ino();
  EXPECT_TRUE(ino.ok());
  const Id id = objects_.rbegin()->first + 1;
  Object& made = objects_[id];
  made.ino = *ino;
  // Numbers of several cores.
  made.item.mnode = MnodeNo(1024 * next_mnode_ + next_mnode_ % 5);
  next_mnode_++;
  made.item.mode = mode;
  made.item.btime_ns = now_;
  made.item.mtime_ns = now_ + 3;
  made.item.ctime_ns = now_ + 5;
  made.item.atime_ns = now_ - 7;
  made.item.generation = static_cast<uint32_t>(made.ino.v);
  save(made);
  return id;
}

void SampleVolume::add_name(const std::string& path, Id id) {
  const auto [parent, name] = split(path);
  Object& dir = at(parent);
  Object& object = objects_.at(id);
  const auto type = static_cast<uint8_t>((object.item.mode & S_IFMT) >> 12);
  batch_.put_dirent(dir.ino, siphash24(fs_.info().hash_key, name), name,
                    DirentTarget{object.ino, object.item.mnode, type});
  object.item.nlink++;
  if (S_ISDIR(object.item.mode)) {
    object.item.nlink = 2;
    object.item.parent_ino = dir.ino;
    object.item.parent_mnode = dir.item.mnode;
    dir.item.nlink++;
  }
  dir.item.mtime_ns = dir.item.ctime_ns = now_;
  save(object);
  save(dir);
  paths_[path] = id;
}

void SampleVolume::drop_name(const std::string& path) {
  const auto [parent, name] = split(path);
  Object& dir = at(parent);
  Object& object = at(path);
  batch_.del_dirent(dir.ino, siphash24(fs_.info().hash_key, name), name);
  object.item.nlink--;
  if (S_ISDIR(object.item.mode)) {
    object.item.nlink = 0;
    dir.item.nlink--;
  }
  dir.item.mtime_ns = dir.item.ctime_ns = now_;
  save(object);
  save(dir);
  paths_.erase(path);
}

SampleVolume::Object& SampleVolume::make(const std::string& path, uint32_t mode) {
  const Id id = add(mode);
  add_name(path, id);
  return objects_.at(id);
}

void SampleVolume::link(const std::string& from, const std::string& to) {
  add_name(to, paths_.at(from));
}

void SampleVolume::rename(const std::string& from, const std::string& to) {
  const Id id = paths_.at(from);
  drop_name(from);
  add_name(to, id);
}

void SampleVolume::remove(const std::string& path, bool open) {
  const Id id = paths_.at(path);
  drop_name(path);
  Object& object = objects_.at(id);
  if (object.item.nlink) return;
  if (open) {
    batch_.put_orphan(object.ino);
  } else {
    batch_.delete_inode(object.ino);
    objects_.erase(id);
  }
}

void SampleVolume::write(Object& file, uint64_t page, uint64_t count, char seed) {
  while (count) {
    const auto run = fs_.allocator().allocate(0, std::min<uint64_t>(count, 128));
    ASSERT_TRUE(run.ok());
    std::string data;
    std::vector<uint32_t> crcs;
    for (uint64_t i = 0; i < run->count; ++i) {
      // By the page, not by the run: where runs end is the allocator's business.
      std::string& content = file.pages[page + i];
      content = fmt::format("page {}\n", page + i) + pattern(kBlockBytes, seed);
      content.resize(kBlockBytes);
      crcs.push_back(crc32c(content.data(), kBlockBytes));
      data += content;
    }
    ASSERT_TRUE(fs_.write_data(run->first, bytes_of(data)).ok());
    batch_.put_extent(file.ino, page, run->first, crcs);
    page += run->count;
    count -= run->count;
  }
}

void SampleVolume::write_inline(Object& file, uint64_t page, const std::string& content) {
  batch_.put_inline(file.ino, page, bytes_of(content));
  file.pages[page] = content;
  file.pages[page].resize(kBlockBytes);
}

void SampleVolume::allocate(Object& file, uint64_t page, uint64_t count) {
  batch_.put_unwritten(file.ino, page, count);
}

void SampleVolume::punch(Object& file, uint64_t page, uint64_t count) {
  const uint64_t end = count ? page + count : UINT64_MAX;
  batch_.punch(file.ino, page, end);
  file.pages.erase(file.pages.lower_bound(page), file.pages.lower_bound(end));
}

void SampleVolume::resize(Object& file, uint64_t size) {
  file.item.size = size;
  file.item.mtime_ns = file.item.ctime_ns = now_;
  save(file);
}

void SampleVolume::set_xattr(Object& object, const std::string& name, const std::string& value) {
  batch_.put_xattr(object.ino, name, bytes_of(value));
  object.xattrs[name] = value;
}

void SampleVolume::make_symlink(const std::string& path, const std::string& target) {
  Object& link = make(path, S_IFLNK | 0777);
  write_inline(link, 0, target);
  resize(link, target.size());
}

void SampleVolume::make_directories() {
  for (uint32_t slot = 0; slot < 5; ++slot) batch_.set_mnode_mark(slot, 4096 + slot);
  std::string deep = "/deep";
  for (int i = 0; i < 20; ++i) {
    make(deep, S_IFDIR | 0755);
    deep += fmt::format("/level{}", i);
  }
  make_symlink(deep, "../nowhere");
  make("/many", S_IFDIR | 01777);
  for (int i = 0; i < 300; ++i) make(fmt::format("/many/entry{:03}", i), S_IFREG | 0644);
  commit();
  make("/" + std::string(255, 'n'), S_IFREG | 0600);
  make("/bytes \xff\x01\"\\", S_IFREG | 0600);
  make("/na\xc3\xafve", S_IFDIR | S_ISGID | 0750);
  make("/fifo", S_IFIFO | 0644);
  make("/socket", S_IFSOCK | 0644);
  make("/null", S_IFCHR | 0666).item.rdev = 0x103;
  make("/disk", S_IFBLK | 0660).item.rdev = uint64_t{1} << 40 | 0x800;
  save(at("/null"));
  save(at("/disk"));
  make_symlink("/short link", "deep/level0");
  make_symlink("/long link", pattern(3000, 'l'));
  commit();
}

void SampleVolume::make_files() {
  resize(make("/empty", S_IFREG | 0644), 0);
  Object& tiny = make("/tiny", S_IFREG | 0640);
  write_inline(tiny, 0, "tiny\n");
  resize(tiny, 5);
  Object& part = make("/part of a page", S_IFREG | S_ISUID | 0755);
  write_inline(part, 0, pattern(3000, 'p'));
  resize(part, 3000);
  Object& blocks = make("/blocks", S_IFREG | 0644);
  write(blocks, 0, 200, 'b');
  resize(blocks, 200 * kBlockBytes - 11);
  Object& holes = make("/holes", S_IFREG | 0644);
  for (uint64_t page = 1; page < 40; page += 4) write(holes, page, 1 + page % 3, 'h');
  write_inline(holes, 100, pattern(700, 'i'));
  resize(holes, 150 * kBlockBytes + 1);
  Object& reserved = make("/reserved", S_IFREG | 0644);
  write(reserved, 4, 2, 'r');
  allocate(reserved, 0, 1000);
  resize(reserved, 10 * kBlockBytes);
  Object& far = make("/far", S_IFREG | 0644);
  write(far, (uint64_t{1} << 32) - 3, 2, 'f');
  resize(far, 9);
  link("/tiny", "/deep/level0/tiny too");
  link("/tiny", "/zzz");
  commit();
}

void SampleVolume::make_attributes() {
  Object& file = at("/blocks");
  file.item.uid = 1000;
  file.item.gid = 0xfffffffe;
  file.item.flags = 0x10 | 0x80;
  resize(file, file.item.size);
  file.item.mtime_ns = -1;
  file.item.atime_ns = int64_t{1} << 62;
  save(file);
  set_xattr(file, "user.small", "value");
  set_xattr(file, "user.none", "");
  set_xattr(file, "user.20k", pattern(20 * 1024, 'x'));
  set_xattr(file, "user." + std::string(250, 'n'), pattern(1500, 'n'));
  Object& other = at("/na\xc3\xafve");
  set_xattr(other, "user.64k", pattern(65536, 'y'));
  set_xattr(other, "trusted.\xff", std::string("\0\1\2", 3));
  // The version, then entries of tag, permissions and id: owner, user 1000, group, mask, others.
  const std::string acl(
      "\2\0\0\0"
      "\1\0\7\0\xff\xff\xff\xff"
      "\2\0\6\0\xe8\3\0\0"
      "\4\0\5\0\xff\xff\xff\xff"
      "\x10\0\7\0\xff\xff\xff\xff"
      "\x20\0\5\0\xff\xff\xff\xff",
      44);
  set_xattr(other, "system.posix_acl_default", acl);
  set_xattr(at("/tiny"), "system.posix_acl_access", acl);
  for (int i = 0; i < 40; ++i) set_xattr(at("/fifo"), fmt::format("security.{}", i), "s");
  commit();
  unnamed_ = add(S_IFREG | 0600);
  batch_.put_orphan(objects_.at(unnamed_).ino);
  make("/gone", S_IFREG | 0644);
  write(at("/gone"), 0, 3, 'g');
  resize(at("/gone"), 3 * kBlockBytes);
  make("/still open", S_IFREG | 0600);
  write(at("/still open"), 0, 3, 'o');
  resize(at("/still open"), 3 * kBlockBytes);
  commit();
  remove("/gone");
  remove("/still open", true);
  commit();
}

void SampleVolume::fill() {
  make_directories();
  make_files();
  make_attributes();
}

void SampleVolume::rewrite(int times) {
  for (int i = 0; i < times; ++i) {
    for (uint64_t page = 0; page < 4; ++page) {
      write_inline(at("/part of a page"), page, pattern(kBlockBytes, static_cast<char>('a' + i)));
    }
    resize(at("/part of a page"), 4 * kBlockBytes);
    commit();
  }
}

void SampleVolume::change() {
  Object& blocks = at("/blocks");
  write(blocks, 50, 20, 'B');
  punch(blocks, 100, 7);
  allocate(blocks, 90, 30);
  write_inline(blocks, 199, pattern(2000, 'C'));
  set_xattr(blocks, "user.20k", pattern(100, 'z'));
  blocks.xattrs.erase("user.none");
  batch_.del_xattr(blocks.ino, "user.none");
  resize(blocks, 200 * kBlockBytes);
  Object& holes = at("/holes");
  punch(holes, 9, 0);
  resize(holes, 9 * kBlockBytes);
  write_inline(at("/tiny"), 0, "changed");
  resize(at("/tiny"), 7);
  commit();
  rename("/tiny", "/deep/level0/moved");
  rename("/na\xc3\xafve", "/deep/level0/level1/moved");
  remove("/far");
  remove("/zzz");
  for (int i = 0; i < 300; i += 3) remove(fmt::format("/many/entry{:03}", i));
  commit();
  Object& made = make("/deep/new", S_IFREG | 0600);
  write(made, 0, 5, 'w');
  resize(made, 5 * kBlockBytes);
  remove("/short link", true);
  batch_.del_orphan(objects_.at(unnamed_).ino);
  add_name("/named at last", unnamed_);
  set_xattr(at("/many"), "user.parts", pattern(40000, 'm'));
  batch_.set_mnode_mark(2, 8192);
  batch_.set_mnode_mark(7, 1);
  commit();
}

Listing SampleVolume::listing() const {
  Listing listing;
  for (const auto& [path, id] : paths_) {
    const Object& object = objects_.at(id);
    const InodeItem& item = object.item;
    const bool sized = S_ISREG(item.mode) || S_ISLNK(item.mode);
    listing[path] = {item.mode,     item.uid,     item.gid,
                     item.nlink,    item.rdev,    item.mtime_ns,
                     item.ctime_ns, item.mnode.v, sized ? object.data() : "",
                     object.xattrs};
  }
  return listing;
}

}  // namespace scalefs::testing
