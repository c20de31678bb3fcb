#include "memfs/reclaim.h"

#include <algorithm>
#include <utility>

#include "memfs/file_node.h"
#include "memfs/impl.h"
#include "memfs/resolve.h"
#include "memfs/xattrs.h"

namespace scalefs::memfs {
namespace {

constexpr uint64_t kEpochs = 2;

constexpr auto kAlive = static_cast<uint8_t>(Life::alive);
constexpr auto kDying = static_cast<uint8_t>(Life::dying);
constexpr auto kDead = static_cast<uint8_t>(Life::dead);

}  // namespace

void Reclaimer::begin_reviews(MemFs::Impl& impl) {
  Mnode* next = impl.deltas.take_review();
  while (next != nullptr) {
    Mnode* mnode = std::exchange(next, next->next_review);
    mnode->life.store(kDying, seq_cst);  // pairs with Pin; the epochs that follow do the rest
    reviews_.push_back({mnode, advances_});
  }
}

bool Reclaimer::round(MemFs::Impl& impl) {
  if (!lock_.try_lock()) return true;  // another round is running
  const bool more = round_locked(impl);
  lock_.unlock();
  return more;
}

bool Reclaimer::round_locked(MemFs::Impl& impl) {
  impl.deltas.flush_all();
  begin_reviews(impl);
  for (uint64_t i = 0; i <= kEpochs && !reviews_.empty(); ++i)
    if (epoch::try_advance()) ++advances_;
  std::vector<Review> ripe;
  std::vector<Review> waiting;
  for (const Review& review : reviews_)
    (review.since + kEpochs <= advances_ ? ripe : waiting).push_back(review);
  reviews_ = std::move(waiting);
  if (!ripe.empty()) {
    impl.deltas.flush_all();
    bool room = true;
    for (const Review& review : ripe) {
      if (room) room = finish_review(impl, review);
      if (!room) reviews_.push_back(review);
    }
  }
  return !reviews_.empty();
}

bool Reclaimer::finish_review(MemFs::Impl& impl, const Review& review) {
  Mnode& mnode = *review.mnode;
  int64_t lookups = 0;
  {
    SpinLock lock(mnode.attr_lock);
    lookups = mnode.base_lookups;
    const bool zero = lookups <= 0 && mnode.base_nlink.load(relaxed) <= 0;
    if (!zero) {
      // A fold that finds zeros later queues it again. Fails when a Pin was quicker.
      uint8_t life = kDying;
      mnode.life.compare_exchange(life, kAlive, acq_rel, acquire);
      mnode.queued_for_review = false;
      return true;
    }
  }
  Reservation room(impl);
  const Status taken = room.take(
      {.log_bytes = kRecordCost, .tree_places = kReclaimPlaces, .always = true});
  if (taken.code() == ENOSPC) return false;
  uint8_t life = kDying;
  // Pairs with Pin::under_guard.
  if (mnode.life.compare_exchange(life, kDead, acq_rel, acquire)) {
    // More forgotten than looked up would take an object away from under a pin.
    SCALEFS_DCHECK(lookups == 0);
    // Where no record can be written any more, the object is an orphan until the next mount.
    reclaim(impl, &mnode, impl.logging() && taken.ok() ? &room : nullptr);
    return true;
  }
  mnode.life.store(kDying, seq_cst);  // revived meanwhile: from the beginning
  reviews_.push_back({&mnode, advances_});
  return true;
}

void Reclaimer::reclaim(MemFs::Impl& impl, Mnode* mnode, Reservation* room) {
  if (room != nullptr) {
    auto record = impl.make_record(ReclaimOp{mnode->number}, kRecordCost);
    LogSlot slot(impl);
    // After everything that was ever logged of it; nobody changes it any more.
    Stamp last = std::max({impl.deltas.read(*mnode).stamp, mnode->last_explicit(),
                           mnode->change_stamp});
    if (const XattrTable* table = present_xattrs(*mnode)) last = std::max(last, table->last_stamp());
    (void)slot.stamp(last);
    slot.append(std::move(record));
    room->keep();
  }
  impl.deltas.forget(*mnode);  // its notes list it: before it leaves the lists
  if (mnode->is_file() && mnode->file.peek() != nullptr) mnode->file->drop_all(impl, *mnode);
  // Whatever was never read or written can be listed too, for the time of its last reading.
  impl.data->dirty.remove(mnode->dirty_link);
  impl.table.remove(mnode);
  if (impl.backend != nullptr) impl.backend->dropped(mnode->number);
  epoch::retire(mnode);
}

}  // namespace scalefs::memfs
