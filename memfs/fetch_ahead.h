// The objects of a listing, or those that the kernel forgets together, lie anywhere in memory, and each is several lines: who
// waited for one line after the other would wait most of the time. So what finding them reads is fetched for all, and what using
// them touches a group ahead.
#pragma once

#include <algorithm>
#include <cstddef>

#include "memfs/impl.h"

namespace scalefs::memfs {

// In one EpochGuard. `number_of(i)`: the number of the i-th object.
template <class NumberOf>
class FetchAhead {
 public:
  FetchAhead(const MemFs::Impl& impl, size_t count, const NumberOf& number_of)
      : impl_(impl), count_(count), number_of_(number_of) {
    for (size_t i = 0; i < count; ++i) impl.table.prefetch_head(number_of(i));
    fetch(0);
  }
  // The i-th is about to be found, and a lookup of it counted; in order.
  void before(size_t i) const {
    if (i % kGroup == 0) fetch(i + kGroup);
  }

 private:
  static constexpr size_t kGroup = 8;
  void fetch(size_t from) const {
    for (size_t i = from; i < std::min(from + kGroup, count_); ++i) {
      impl_.table.prefetch_object(number_of_(i));
      impl_.deltas.prefetch_lookups(number_of_(i));
    }
  }
  const MemFs::Impl& impl_;
  const size_t count_;
  const NumberOf number_of_;
};

}  // namespace scalefs::memfs
