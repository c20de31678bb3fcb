#include "memfs/reclaim.h"

#include <algorithm>
#include <new>
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
    try {
      reviews_.push_back({mnode, advances_});
    } catch (const std::bad_alloc&) {
      impl.deltas.review_later(*mnode);
      continue;
    }
    mnode->life.store(kDying, seq_cst);  // pairs with Pin; the epochs that follow do the rest
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
  const uint64_t now = advances_;
  const auto is_ripe = [now](const Review& review) { return review.since + kEpochs <= now; };
  if (std::any_of(reviews_.begin(), reviews_.end(), is_ripe)) {
    impl.deltas.flush_all();
    bool room = true;
    size_t left = 0;
    for (Review review : reviews_) {
      const End end = room && is_ripe(review) ? finish_review(impl, *review.mnode) : End::no_room;
      if (end == End::done) continue;
      if (end == End::revived) review.since = now;
      if (is_ripe(review)) room = false;
      reviews_[left++] = review;
    }
    reviews_.erase(reviews_.begin() + static_cast<ptrdiff_t>(left), reviews_.end());
  }
  return !reviews_.empty();
}

Reclaimer::End Reclaimer::finish_review(MemFs::Impl& impl, Mnode& mnode) {
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
      return End::done;
    }
  }
  Reservation room(impl);
  std::unique_ptr<OpRecord> record;
  try {
    const Status taken = room.take(
        {.log_bytes = kRecordCost, .tree_places = kReclaimPlaces, .always = true});
    if (taken.code() == ENOSPC) return End::no_room;
    // Where no record can be written any more, the object is an orphan until the next mount.
    if (taken.ok()) record = impl.make_record(ReclaimOp{mnode.number}, kRecordCost);
  } catch (const std::bad_alloc&) {
    return End::no_room;
  }
  uint8_t life = kDying;
  // Pairs with Pin::under_guard.
  if (mnode.life.compare_exchange(life, kDead, acq_rel, acquire)) {
    // More forgotten than looked up would take an object away from under a pin.
    SCALEFS_DCHECK(lookups == 0);
    if (record != nullptr) room.keep();
    reclaim(impl, &mnode, std::move(record));
    return End::done;
  }
  mnode.life.store(kDying, seq_cst);  // revived meanwhile: from the beginning
  return End::revived;
}

void Reclaimer::reclaim(MemFs::Impl& impl, Mnode* mnode, std::unique_ptr<OpRecord> record) {
  if (record != nullptr) {
    LogSlot slot(impl);
    // After everything that was ever logged of it; nobody changes it any more.
    Stamp last = std::max({impl.deltas.read(*mnode).stamp, mnode->last_explicit(),
                           mnode->change_stamp});
    if (const XattrTable* table = present_xattrs(*mnode)) last = std::max(last, table->last_stamp());
    (void)slot.stamp(last);
    slot.append(std::move(record));
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
