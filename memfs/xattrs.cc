#include "memfs/xattrs.h"

#include <utility>

namespace scalefs::memfs {
namespace {

// The first one stays: what memory has is younger than what is loaded (P4).
XattrTable& install(Mnode& mnode, const XattrPairs& pairs) {
  auto fresh = std::make_unique<XattrTable>(pairs);
  XattrTable* present = nullptr;
  // Pairs with present_xattrs.
  if (!mnode.xattrs.compare_exchange(present, fresh.get(), acq_rel, acquire)) return *present;
  return *fresh.release();
}

const XattrSet& set_or_none(const Atomic<const XattrSet*>& place) {
  static const XattrSet none;
  const XattrSet* set = place.load(acquire);  // pairs with publish_xattrs
  return set != nullptr ? *set : none;
}

}  // namespace

void RetireXattrs::operator()(const XattrSet* set) const {
  epoch::retire(const_cast<XattrSet*>(set));
}
void RetireXattrs::operator()(const StoredXattr* value) const {
  epoch::retire(const_cast<StoredXattr*>(value));
}

Status load_xattrs(MemFs::Impl& impl, Mnode& mnode) {
  // A new object has none, or has them from the start.
  if (!mnode.loaded || impl.backend == nullptr || present_xattrs(mnode) != nullptr) return {};
  SCALEFS_TRY(const XattrPairs pairs, impl.backend->load_xattrs(mnode.number));
  install(mnode, pairs);
  return {};
}

XattrTable& xattr_table(Mnode& mnode) {
  XattrTable* table = present_xattrs(mnode);
  return table != nullptr ? *table : install(mnode, {});
}

OldXattrs publish_xattrs(Atomic<const XattrSet*>& place, std::unique_ptr<XattrSet> set) {
  if (set->empty()) set.reset();
  // Release: pairs with the acquire loads of readers.
  return OldXattrs(place.exchange(set.release(), acq_rel));
}

std::unique_ptr<XattrSet> xattrs_with(const Atomic<const XattrSet*>& place, std::string_view name,
                                      ConstBytes value) {
  return set_or_none(place).with(name, value);
}
std::unique_ptr<XattrSet> xattrs_without(const Atomic<const XattrSet*>& place,
                                         std::string_view name) {
  return set_or_none(place).without(name);
}

}  // namespace scalefs::memfs
