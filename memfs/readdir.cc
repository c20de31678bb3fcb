#include "memfs/resolve.h"

namespace scalefs::memfs {
namespace {

using Impl = MemFs::Impl;

constexpr size_t kBatch = 64;       // names copied under one epoch
constexpr size_t kGroup = 8;        // of them, what is fetched at a time
constexpr size_t kLoadBatch = 256;  // names loaded at a time

struct Batch {
  std::vector<DirectoryNode::Listed> names;
  std::optional<uint64_t> next_hash;  // none: the end of the directory
};

// Names with hash >= from; at least one unless the end comes first.
Result<Batch> next_batch(Impl& impl, Mnode& directory, uint64_t from) {
  DirectoryNode& names = *directory.directory;
  for (;;) {
    const std::optional<uint64_t> last = names.loaded_until(from);
    if (!last.has_value()) {
      SCALEFS_TRY_VOID(load_names(impl, directory, from, kLoadBatch));
      continue;
    }
    Batch batch;
    const bool to_end = *last == UINT64_MAX;
    const auto to = to_end ? std::nullopt : std::optional<uint64_t>(*last + 1);
    {
      EpochGuard guard;
      batch.next_hash = names.collect(from, to, kBatch, &batch.names);
    }
    if (!batch.next_hash.has_value()) batch.next_hash = to;
    if (!batch.names.empty() || !batch.next_hash.has_value()) return batch;
    from = *batch.next_hash;
  }
}

// The objects of a listing lie anywhere in memory, and each is several lines: who waited for one line after the other would
// wait most of the time. Before the first name, and at each kGroup-th, what the names behind it need is fetched.
void prefetch_objects(Impl& impl, const std::vector<DirectoryNode::Listed>& names, size_t at) {
  if (at % kGroup != 0) return;
  EpochGuard guard;
  const auto each = [&](size_t from, size_t to, auto fetch) {
    for (size_t i = from; i < std::min(to, names.size()); ++i) fetch(names[i].value.number());
  };
  if (at == 0) each(0, names.size(), [&](MnodeNo number) { impl.table.prefetch_head(number); });
  each(at == 0 ? 0 : at + kGroup, at + 2 * kGroup, [&](MnodeNo number) {
    impl.table.prefetch_object(number);
    impl.deltas.prefetch_lookups(number);
  });
}

// `give` answers false when there is no room. `soon` is told of the names of a batch before each of them is given.
template <class Give, class Soon>
Status list(Impl& impl, Mnode& directory, uint64_t cookie, const Give& give, const Soon& soon) {
  if (cookie == kCookieStart) {
    if (!give(DirectoryEntry{".", directory.number, Mnode::kTypeDirectory, kCookieAfterDot},
              nullptr))
      return {};
    cookie = kCookieAfterDot;
  }
  if (cookie == kCookieAfterDot) {
    if (!give(DirectoryEntry{"..", directory.directory->parent(), Mnode::kTypeDirectory,
                             kCookieFirstName},
              nullptr))
      return {};
    cookie = kCookieFirstName;
  }
  if (cookie > kPositionMax + kCookieFirstName) return {};
  std::optional<uint64_t> from = hash_of_cookie(cookie);
  while (from.has_value()) {
    SCALEFS_TRY(const Batch batch, next_batch(impl, directory, *from));
    for (size_t i = 0; i < batch.names.size(); ++i) {
      const auto& name = batch.names[i];
      soon(batch.names, i);
      const uint64_t position = position_of_hash(name.hash);
      // Inside a group of one position the way on is its beginning, so that none of it is lost.
      const bool group_goes_on = i + 1 < batch.names.size() &&
                                 position_of_hash(batch.names[i + 1].hash) == position;
      const uint64_t next = group_goes_on ? position + kCookieFirstName : cookie_after(position);
      if (!give(DirectoryEntry{name.name, name.value.number(), name.value.type(), next}, &name))
        return {};
    }
    from = batch.next_hash;
  }
  return {};
}

}  // namespace

Status MemFs::readdir(MnodeNo dir, uint64_t cookie,
                      const std::function<bool(const DirectoryEntry&)>& entry, Atime atime) {
  SCALEFS_TRY(const Pin directory, pin_directory(*impl_, dir));
  if (atime == Atime::moves) impl_->touch_atime(*directory);
  return list(*impl_, *directory, cookie,
              [&](const DirectoryEntry& e, const DirectoryNode::Listed*) { return entry(e); },
              [](const std::vector<DirectoryNode::Listed>&, size_t) {});
}

Status MemFs::readdirplus(MnodeNo dir, uint64_t cookie,
                          const std::function<bool(const DirectoryEntry&, const Attr*)>& entry,
                          Atime atime) {
  Impl& impl = *impl_;
  SCALEFS_TRY(const Pin directory, pin_directory(impl, dir));
  if (atime == Atime::moves) impl.touch_atime(*directory);
  return list(impl, *directory, cookie,
              [&](const DirectoryEntry& e, const DirectoryNode::Listed* name) {
                if (name == nullptr) {
                  const auto attr = getattr(e.mnode);
                  return entry(e, attr.ok() ? &*attr : nullptr);
                }
                auto object = resolve_object(impl, *directory, name->hash, name->name);
                if (!object.ok() && object.code() == ENOENT) return true;  // removed meanwhile
                if (!object.ok()) return entry(e, nullptr);
                const Attr attr = impl.attributes(**object);
                DirectoryEntry now = e;
                now.mnode = attr.mnode;
                now.type = type_of_mode(attr.mode);
                if (!entry(now, &attr)) return false;
                (void)object->release();
                return true;
              },
              [&](const std::vector<DirectoryNode::Listed>& names, size_t at) {
                prefetch_objects(impl, names, at);
              });
}

}  // namespace scalefs::memfs
