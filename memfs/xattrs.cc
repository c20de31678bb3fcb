#include "memfs/xattrs.h"

#include <utility>

namespace scalefs::memfs {

void RetireXattrs::operator()(const XattrSet* set) const {
  epoch::retire(const_cast<XattrSet*>(set));
}

Status load_xattrs(MemFs::Impl& impl, Mnode& mnode) {
  // Acquire: pairs with publish_xattrs. A new object has none, or has them from the start.
  if (!mnode.loaded || impl.backend == nullptr || mnode.xattrs.load(acquire) != nullptr) return {};
  SCALEFS_TRY(const XattrPairs pairs, impl.backend->load_xattrs(mnode.number));
  auto set = std::make_unique<XattrSet>(pairs);
  MutexLock lock(mnode.change_lock);
  // What memory has is younger (P4).
  if (mnode.xattrs.load(relaxed) == nullptr) (void)publish_xattrs(mnode, std::move(set));
  return {};
}

const XattrSet& present_xattrs(const Mnode& mnode) {
  static const XattrSet none;
  const XattrSet* set = mnode.xattrs.load(acquire);  // pairs with publish_xattrs
  return set != nullptr ? *set : none;
}

OldXattrs publish_xattrs(Mnode& mnode, std::unique_ptr<XattrSet> set) {
  // Release: pairs with the acquire loads of readers.
  return OldXattrs(mnode.xattrs.exchange(set.release(), acq_rel));
}

}  // namespace scalefs::memfs
