#include "memfs/memfs.h"

#include "memfs/directory.h"
#include "memfs/file_node.h"
#include "memfs/impl.h"
#include "memfs/reclaim.h"

namespace scalefs::memfs {

MemFs::Impl::Impl(const MemFsOptions& o, oplog::OpLog* l, Backend* b)
    : options(o), log(l), backend(b), numbers(b), data(std::make_unique<DataHalf>()),
      reclaimer(std::make_unique<Reclaimer>()) {
  SCALEFS_CHECK((log == nullptr) == (backend == nullptr));
  deltas.set_lists(*data);
}

MemFs::Impl::~Impl() = default;

MemFs::MemFs(const MemFsOptions& options, oplog::OpLog* log, Backend* backend)
    : impl_(std::make_unique<Impl>(options, log, backend)) {}

MemFs::~MemFs() = default;

void MemFs::install_root(const LoadedObject& root) {
  SCALEFS_CHECK(root.attr.mnode == kRootMnode &&
                type_of_mode(root.attr.mode) == Mnode::kTypeDirectory);
  MnodeInit init;
  init.attr = root.attr;
  init.parent = kRootMnode;
  init.entries = root.entries;
  init.loaded = impl_->backend != nullptr;
  init.lookups = 1;  // for ever
  auto mnode = std::make_unique<Mnode>(std::move(init));
  impl_->table.prepare(kRootMnode);
  impl_->table.insert(mnode.release());
}

void MemFs::set_mnode_numbers(uint32_t core, uint64_t next, uint64_t limit) {
  impl_->numbers.set(core, next, limit);
}

void MemFs::set_durable_stamp(Stamp stamp) {
  impl_->durable_stamp.store(stamp, release);  // pairs with maintain() and eviction
}

Usage MemFs::usage() const {
  Usage usage;
  usage.mnodes = impl_->table.size();
  impl_->data->add_usage(usage);
  return usage;
}
uint64_t MemFs::page_bytes() const { return impl_->data->page_bytes(); }
uint64_t MemFs::dirty_bytes() const { return impl_->data->dirty_bytes(); }

Result<Pin> Pin::of(MemFs::Impl& impl, MnodeNo number) {
  EpochGuard guard;
  Mnode* mnode = impl.find(number);
  if (mnode == nullptr) return Errno(ESTALE);
  return under_guard(impl, mnode);
}

Result<Pin> Pin::under_guard(MemFs::Impl& impl, Mnode* mnode) {
  // Acquire and the exchange pair with reclaim's: see reclaim.h.
  uint8_t life = mnode->life.load(acquire);
  if (life == static_cast<uint8_t>(Life::dying) &&
      mnode->life.compare_exchange(life, static_cast<uint8_t>(Life::alive), acq_rel, acquire))
    life = static_cast<uint8_t>(Life::alive);
  if (life == static_cast<uint8_t>(Life::dead)) return Errno(ESTALE);
  impl.deltas.add_lookups(*mnode, 1);
  return Pin(&impl, mnode);
}

void Pin::reset() {
  if (mnode_ != nullptr) impl_->deltas.add_lookups(*mnode_, -1);
  mnode_ = nullptr;
}

}  // namespace scalefs::memfs
