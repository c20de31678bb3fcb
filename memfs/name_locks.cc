#include <algorithm>

#include "base/check.h"
#include "base/epoch.h"
#include "memfs/directory_table.h"

namespace scalefs::memfs {

NameLocks& NameLocks::add(DirectoryNode& directory, uint64_t hash) {
  SCALEFS_CHECK(count_ < kMax && !locked_);
  requests_[count_++] = {&directory, hash, false, nullptr, nullptr, nullptr};
  return *this;
}

NameLocks& NameLocks::add_all(DirectoryNode& directory) {
  SCALEFS_CHECK(count_ < kMax && !locked_);
  requests_[count_++] = {&directory, 0, true, nullptr, nullptr, nullptr};
  return *this;
}

void NameLocks::resolve(Request& r) {
  r.table = r.directory->table_.load(acquire);  // pairs with grow
  r.first = r.all ? &r.table->buckets[0] : &r.table->bucket(r.hash);
  r.last = r.all ? &r.table->buckets[r.table->size() - 1] : r.first;
}

bool NameLocks::all_current() const {
  for (size_t i = 0; i < count_; ++i) {
    // Relaxed: we hold one of its buckets, so whoever replaced it has let go of that lock before.
    if (requests_[i].directory->table_.load(relaxed) != requests_[i].table) return false;
  }
  return true;
}

bool NameLocks::before(const Span& a, const Span& b) {
  const DirectoryNode& x = *a.of->directory;
  const DirectoryNode& y = *b.of->directory;
  if (x.number_ != y.number_) return x.number_.v < y.number_.v;
  if (a.of->table->bits != b.of->table->bits) return a.of->table->bits < b.of->table->bits;
  return a.first < b.first;
}

void NameLocks::lock() {
  for (;;) {
    // Arrays that are replaced while we wait for their locks are not freed. Whoever replaces one needs
    // no epoch to pass.
    EpochGuard guard;
    for (size_t i = 0; i < count_; ++i) {
      resolve(requests_[i]);
      spans_[i] = {&requests_[i], requests_[i].first, requests_[i].last};
    }
    span_count_ = count_;
    if (count_ > 1) {
      std::sort(spans_, spans_ + count_, before);
      size_t kept = 0;
      for (size_t i = 1; i < count_; ++i) {
        if (spans_[i].of->table == spans_[kept].of->table &&
            spans_[i].first <= spans_[kept].last) {
          spans_[kept].last = std::max(spans_[kept].last, spans_[i].last);
        } else {
          spans_[++kept] = spans_[i];
        }
      }
      span_count_ = kept + 1;
    }
    lock_buckets();
    if (all_current()) break;
    unlock_buckets();
  }
  locked_ = true;
}

void NameLocks::unlock() {
  if (!locked_) return;
  unlock_buckets();
  locked_ = false;
}

void NameLocks::lock_buckets() NO_THREAD_SAFETY_ANALYSIS {
  for (size_t i = 0; i < span_count_; ++i) {
    for (NameBucket* bucket = spans_[i].first; bucket <= spans_[i].last; ++bucket) {
      if (bucket->lock.try_lock()) continue;
      bucket->lock.lock();
      bucket->contended.store(bucket->contended.load(relaxed) + 1, relaxed);
    }
  }
}

void NameLocks::unlock_buckets() NO_THREAD_SAFETY_ANALYSIS {
  for (size_t i = 0; i < span_count_; ++i)
    for (NameBucket* bucket = spans_[i].first; bucket <= spans_[i].last; ++bucket)
      bucket->lock.unlock();
}

#ifdef SCALEFS_SCHEDULE
bool bucket_stamp_canary = false;
#endif

Stamp NameLocks::last_stamp() const {
#ifdef SCALEFS_SCHEDULE
  if (bucket_stamp_canary) return 0;
#endif
  Stamp last = 0;
  for (size_t i = 0; i < span_count_; ++i)
    for (NameBucket* bucket = spans_[i].first; bucket <= spans_[i].last; ++bucket)
      last = std::max(last, bucket->stamp);
  return last;
}

void NameLocks::set_stamp(Stamp stamp) {
  for (size_t i = 0; i < span_count_; ++i)
    for (NameBucket* bucket = spans_[i].first; bucket <= spans_[i].last; ++bucket)
      bucket->stamp = stamp;
}

}  // namespace scalefs::memfs
