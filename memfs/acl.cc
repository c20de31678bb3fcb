#include "memfs/acl.h"

#include <sys/stat.h>

#include "memfs/xattrs.h"

namespace scalefs::memfs {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderBytes = 4;
constexpr size_t kEntryBytes = 8;
constexpr uint32_t kNoId = UINT32_MAX;

constexpr uint16_t kUserObj = 0x01;
constexpr uint16_t kUser = 0x02;
constexpr uint16_t kGroupObj = 0x04;
constexpr uint16_t kGroup = 0x08;
constexpr uint16_t kMask = 0x10;
constexpr uint16_t kOther = 0x20;

}  // namespace

Result<Acl> Acl::parse(ConstBytes bytes) {
  Acl acl;
  if (bytes.empty()) return acl;
  if (bytes.size() < kHeaderBytes || (bytes.size() - kHeaderBytes) % kEntryBytes != 0 ||
      load_le<uint32_t>(bytes.data()) != kVersion)
    return Errno(EINVAL);
  bool named = false;
  bool mask = false;
  uint16_t last = 0;
  for (size_t at = kHeaderBytes; at < bytes.size(); at += kEntryBytes) {
    const Entry entry{load_le<uint16_t>(bytes.data() + at), load_le<uint16_t>(bytes.data() + at + 2),
                      load_le<uint32_t>(bytes.data() + at + 4)};
    const bool has_id = entry.tag == kUser || entry.tag == kGroup;
    const bool known = has_id || entry.tag == kUserObj || entry.tag == kGroupObj ||
                       entry.tag == kMask || entry.tag == kOther;
    // Tags ascend in the order that is asked for; only those with an id may come again.
    if (!known || entry.permissions > 7 || entry.tag < last || (entry.tag == last && !has_id) ||
        (has_id && entry.id == kNoId))
      return Errno(EINVAL);
    named |= has_id;
    mask |= entry.tag == kMask;
    last = entry.tag;
    acl.entries_.push_back({entry.tag, entry.permissions, has_id ? entry.id : kNoId});
  }
  if (acl.entries_.empty()) return acl;
  if (!acl.find(kUserObj) || !acl.find(kGroupObj) || !acl.find(kOther) || (named && !mask))
    return Errno(EINVAL);
  return acl;
}

Acl::Entry* Acl::find(uint16_t tag) {
  for (Entry& entry : entries_)
    if (entry.tag == tag) return &entry;
  return nullptr;
}

Acl::Entry& Acl::group_class() {
  Entry* mask = find(kMask);
  return mask != nullptr ? *mask : *find(kGroupObj);
}

bool Acl::is_minimal() const { return entries_.size() == 3; }

uint32_t Acl::mode_bits() const {
  Acl copy = *this;
  return static_cast<uint32_t>(copy.find(kUserObj)->permissions) << 6 |
         static_cast<uint32_t>(copy.group_class().permissions) << 3 |
         copy.find(kOther)->permissions;
}

void Acl::set_mode_bits(uint32_t mode) {
  find(kUserObj)->permissions = mode >> 6 & 7;
  group_class().permissions = mode >> 3 & 7;
  find(kOther)->permissions = mode & 7;
}

uint32_t Acl::restrict(uint32_t mode) {
  const uint32_t bits = mode & mode_bits();
  set_mode_bits(bits);
  return (mode & ~0777u) | (bits & 0777);
}

XattrValue Acl::bytes() const {
  XattrValue value(kHeaderBytes + entries_.size() * kEntryBytes);
  store_le<uint32_t>(value.data(), kVersion);
  std::byte* at = value.data() + kHeaderBytes;
  for (const Entry& entry : entries_) {
    store_le<uint16_t>(at, entry.tag);
    store_le<uint16_t>(at + 2, entry.permissions);
    store_le<uint32_t>(at + 4, entry.id);
    at += kEntryBytes;
  }
  return value;
}

Result<Inherited> inherit(MemFs::Impl& impl, Mnode& directory, uint32_t mode, uint32_t umask) {
  SCALEFS_TRY_VOID(load_xattrs(impl, directory));
  std::optional<XattrValue> found;
  {
    EpochGuard guard;
    if (const StoredXattr* value = present_acl(directory, kDefaultAclName))
      found.emplace(value->bytes().begin(), value->bytes().end());
  }
  Inherited result{mode & ~(umask & 0777), {}};
  if (!found) return result;
  auto acl = Acl::parse(*found);
  if (!acl.ok()) return Errno(EUCLEAN);
  if (acl->empty()) return result;
  if (S_ISDIR(mode)) result.xattrs.emplace_back(kDefaultAclName, std::move(*found));
  result.mode = acl->restrict(mode);
  if (!acl->is_minimal()) result.xattrs.emplace_back(kAccessAclName, acl->bytes());
  return result;
}

}  // namespace scalefs::memfs
