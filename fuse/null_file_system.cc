#include "fuse/null_file_system.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "fuse/negotiate.h"

namespace scalefs::fuse {
namespace {

// What an object is follows from its number: the low bits tell kind and size, the others tell objects apart.
enum class Kind : uint8_t { file, directory, link, other };
constexpr unsigned kKindBits = 2;
constexpr unsigned kSizeBits = 6;
constexpr unsigned kLowBits = kKindBits + kSizeBits;
constexpr uint64_t kCreated = uint64_t{1} << 52;  // the others were found by name
constexpr uint64_t kNumbersAtOnce = 4096;
// By the number of digits: 10^K files.
constexpr uint64_t kListed[] = {1, 10, 100, 1000, 10'000, 100'000, 1'000'000};

MnodeNo number(uint64_t high, Kind kind, unsigned size) {
  return MnodeNo(high << kLowBits | uint64_t{size} << kKindBits | static_cast<uint64_t>(kind));
}
Kind kind_of(MnodeNo mnode) {
  return mnode == kRootMnode ? Kind::directory
                             : static_cast<Kind>(mnode.v & ((1u << kKindBits) - 1));
}
unsigned size_of(MnodeNo mnode) {
  return mnode == kRootMnode ? 0 : mnode.v >> kKindBits & ((1u << kSizeBits) - 1);
}
uint64_t listed(MnodeNo dir) {
  const unsigned digits = size_of(dir);
  return digits == 0 ? 0 : kListed[std::min<size_t>(digits, std::size(kListed) - 1)];
}

std::optional<uint64_t> after(std::string_view name, std::string_view prefix, char end) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  uint64_t value = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), value);
  if (read.ec != std::errc()) return std::nullopt;
  const bool whole = read.ptr == name.data() + name.size();
  if (end == '\0' ? !whole : whole || *read.ptr != end) return std::nullopt;
  return value;
}

MnodeNo entry_number(MnodeNo dir, uint64_t index) {
  const uint64_t high = (dir.v * 0x9e3779b97f4a7c15u >> 20) + index;
  return number(high & ((uint64_t{1} << 40) - 1), Kind::file, 0);
}

MnodeNo find(MnodeNo parent, std::string_view name) {
  if (const auto index = after(name, "n", '\0'); index && *index < listed(parent)) {
    return entry_number(parent, *index);
  }
  const uint64_t high = std::hash<std::string_view>()(name) >> 24 ^ (parent.v & 0xffff);
  if (const auto bits = after(name, "have-", '-'); bits && *bits < 60) {
    return number(high, Kind::file, static_cast<unsigned>(*bits));
  }
  if (const auto digits = after(name, "list-", '-'); digits && *digits < std::size(kListed)) {
    return number(high, Kind::directory, static_cast<unsigned>(*digits));
  }
  return MnodeNo(0);
}

Kind kind_of_mode(uint32_t mode) {
  if (S_ISDIR(mode)) return Kind::directory;
  if (S_ISLNK(mode)) return Kind::link;
  return S_ISREG(mode) || (mode & S_IFMT) == 0 ? Kind::file : Kind::other;
}

// Where the bytes of a transfer would stand: as far from the processor as those of a file of that size.
constexpr size_t kMemoryBytes = size_t{64} << 20;
std::byte* thread_memory(uint64_t offset) {
  thread_local std::vector<std::byte> memory(kMemoryBytes + kTransferBytesMax);
  return memory.data() + offset % kMemoryBytes;
}

constexpr std::string_view kTarget = "target";

}  // namespace

NullFileSystem::NullFileSystem() : start_ns_(wall_ns()) {}

Attr NullFileSystem::attr_of(MnodeNo mnode) const {
  Attr attr;
  attr.mnode = mnode;
  attr.nlink = 1;
  switch (kind_of(mnode)) {
    case Kind::file:
      attr.mode = S_IFREG | 0644;
      attr.size = size_of(mnode) == 0 ? 0 : uint64_t{1} << size_of(mnode);
      break;
    case Kind::directory:
      attr.mode = S_IFDIR | 0755;
      attr.nlink = 2;
      break;
    case Kind::link:
      attr.mode = S_IFLNK | 0777;
      attr.size = kTarget.size();
      break;
    case Kind::other:
      attr.mode = S_IFIFO | 0644;
      break;
  }
  attr.blocks = attr.size / 512;
  attr.atime_ns = attr.mtime_ns = attr.ctime_ns = attr.btime_ns = start_ns_;
  return attr;
}

Attr NullFileSystem::make(const Context& context, uint32_t mode) {
  thread_local uint64_t next = 0;
  if (next % kNumbersAtOnce == 0) next = numbers_.fetch_add(1, relaxed) * kNumbersAtOnce;
  const uint64_t high = kCreated >> kLowBits | next++;
  Attr attr = attr_of(number(high, kind_of_mode(mode), 0));
  attr.mode = (mode & S_IFMT) == 0 ? mode | S_IFREG : mode;
  attr.mode &= ~context.umask;
  attr.uid = context.uid;
  attr.gid = context.gid;
  return attr;
}

void NullFileSystem::lookup(MnodeNo parent, std::string_view name, Responder reply) {
  const MnodeNo found = find(parent, name);
  if (found.v == 0) return reply.no_entry();
  (void)reply.entry(attr_of(found));
}

void NullFileSystem::mknod(const Context& context, MnodeNo, std::string_view, uint32_t mode, uint64_t,
                           Responder reply) {
  (void)reply.entry(make(context, mode));
}

void NullFileSystem::mkdir(const Context& context, MnodeNo, std::string_view, uint32_t mode,
                           Responder reply) {
  (void)reply.entry(make(context, S_IFDIR | (mode & 07777)));
}

void NullFileSystem::symlink(const Context& context, std::string_view, MnodeNo, std::string_view,
                             Responder reply) {
  (void)reply.entry(make(context, S_IFLNK | 0777));
}

void NullFileSystem::link(MnodeNo target, MnodeNo, std::string_view, Responder reply) {
  (void)reply.entry(attr_of(target));
}

void NullFileSystem::readlink(MnodeNo, Responder reply) {
  reply.data(std::as_bytes(std::span(kTarget)));
}

void NullFileSystem::create(const Context& context, MnodeNo, std::string_view, uint32_t mode, uint32_t,
                            Responder reply) {
  (void)reply.created(make(context, mode), OpenMode{});
}

void NullFileSystem::tmpfile(const Context& context, MnodeNo, uint32_t mode, Responder reply) {
  (void)reply.created(make(context, mode), OpenMode{});
}

void NullFileSystem::opendir(MnodeNo, Responder reply) {
  reply.opened(OpenMode{.keep_cache = true, .cache_entries = true, .no_flush = true});
}

// `pack(entry)` is false when there is no room for more.
template <class Pack>
void NullFileSystem::list(MnodeNo dir, uint64_t cookie, Pack pack) const {
  char name[24] = "n";
  const uint64_t count = listed(dir);
  for (uint64_t i = cookie; i < count + 2; ++i) {
    memfs::DirectoryEntry entry = {.name = i == 0 ? "." : "..", .mnode = dir, .type = DT_DIR, .next_cookie = i + 1};
    if (i >= 2) {
      const auto end = std::to_chars(name + 1, name + sizeof(name), i - 2).ptr;
      entry.name = {name, static_cast<size_t>(end - name)};
      entry.mnode = entry_number(dir, i - 2);
      entry.type = DT_REG;
    }
    if (!pack(entry)) return;
  }
}

void NullFileSystem::readdir(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime, Responder reply) {
  list(dir, cookie, [&](const memfs::DirectoryEntry& entry) { return reply.pack_entry(entry, bytes); });
  (void)reply.listing();
}

void NullFileSystem::readdirplus(MnodeNo dir, uint64_t cookie, size_t bytes, memfs::Atime,
                                 Responder reply) {
  list(dir, cookie, [&](const memfs::DirectoryEntry& entry) {
    if (entry.type == DT_DIR) return reply.pack_entry_plus(entry, nullptr, bytes);
    const Attr attr = attr_of(entry.mnode);
    return reply.pack_entry_plus(entry, &attr, bytes);
  });
  (void)reply.listing();
}

void NullFileSystem::getattr(MnodeNo mnode, Responder reply) { reply.attr(attr_of(mnode)); }

void NullFileSystem::setattr(const Context&, MnodeNo mnode, const memfs::SetAttr& change,
                             Responder reply) {
  Attr attr = attr_of(mnode);
  if (change.mode) attr.mode = (attr.mode & S_IFMT) | *change.mode;
  if (change.uid) attr.uid = *change.uid;
  if (change.gid) attr.gid = *change.gid;
  if (change.size) attr.size = *change.size;
  reply.attr(attr);
}

void NullFileSystem::getxattr(const Context&, MnodeNo, std::string_view, size_t, Responder reply) {
  reply.error(ENODATA);
}

void NullFileSystem::listxattr(const Context&, MnodeNo, size_t size, Responder reply) {
  if (size == 0) return reply.xattr_size(0);
  reply.data({});
}

void NullFileSystem::removexattr(MnodeNo, std::string_view, Responder reply) { reply.error(ENODATA); }

void NullFileSystem::statfs(Responder reply) {
  constexpr uint64_t kMuch = uint64_t{1} << 32;
  reply.statfs({.blocks = kMuch, .blocks_free = kMuch, .blocks_available = kMuch, .files = kMuch, .files_free = kMuch});
}

void NullFileSystem::ioctl(MnodeNo, const IoctlCall&, Responder reply) { reply.error(ENOTTY); }

void NullFileSystem::shutdown(const Context&, ShutdownMode, Responder reply) { reply.error(ENOTTY); }

void NullFileSystem::read(MnodeNo file, uint64_t offset, size_t bytes, memfs::Atime, Responder reply) {
  // Of one that was created, the kernel knows how long it is.
  const uint64_t size = size_of(file) == 0 ? UINT64_MAX : uint64_t{1} << size_of(file);
  const size_t there = offset >= size ? 0 : std::min<uint64_t>(bytes, size - offset);
  const Bytes to = reply.buffer(bytes);
  std::memcpy(to.data(), thread_memory(offset), std::min<size_t>(there, kTransferBytesMax));
  reply.filled(there);
}

void NullFileSystem::write(MnodeNo, uint64_t offset, ConstBytes from, WriteMode, Responder reply) {
  std::memcpy(thread_memory(offset), from.data(), std::min<size_t>(from.size(), kTransferBytesMax));
  reply.written(from.size());
}

void NullFileSystem::lseek(MnodeNo file, uint64_t offset, int whence, Responder reply) {
  const uint64_t size = attr_of(file).size;
  if (offset >= size) return reply.error(ENXIO);
  reply.offset(whence == SEEK_DATA ? offset : size);
}

}  // namespace scalefs::fuse
