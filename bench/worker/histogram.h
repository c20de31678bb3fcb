// How long operations took: counts in buckets whose bounds grow by a thirty-second part each (as in HdrHistogram), so that a
// percentile read from them is at most 3.2 % too large. Plain data of one writer; lies in memory that processes share.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace scalefs::bench {

struct Histogram {
  static constexpr unsigned kSubBits = 5;
  static constexpr size_t kBuckets = (40 - kSubBits + 1) << kSubBits;  // up to 2^40 ns, 18 minutes

  uint64_t count = 0, sum_ns = 0, max_ns = 0;
  uint64_t buckets[kBuckets] = {};

  void add(uint64_t ns) {
    ++count;
    sum_ns += ns;
    max_ns = std::max(max_ns, ns);
    ++buckets[std::min(bucket_of(ns), kBuckets - 1)];
  }
  void add(const Histogram& other) {
    count += other.count;
    sum_ns += other.sum_ns;
    max_ns = std::max(max_ns, other.max_ns);
    for (size_t i = 0; i < kBuckets; ++i) buckets[i] += other.buckets[i];
  }

  static size_t bucket_of(uint64_t ns) {
    if (ns < (1u << kSubBits)) return ns;
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - kSubBits - 1;
    return (size_t{shift} << kSubBits) + (ns >> shift);
  }
  // The largest value of the bucket.
  static uint64_t upper_ns(size_t bucket) {
    if (bucket < (2u << kSubBits)) return bucket;
    const size_t shift = (bucket >> kSubBits) - 1;
    return (((bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits) + 1) << shift) - 1;
  }
  // The value that `part` of the operations did not exceed, never above the largest. 0 without operations.
  uint64_t quantile_ns(double part) const {
    const auto rank = std::max<uint64_t>(1, static_cast<uint64_t>(part * static_cast<double>(count) + 0.999999));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += buckets[i];
      if (seen >= rank) return std::min(upper_ns(i), max_ns);
    }
    return max_ns;
  }
};

}  // namespace scalefs::bench
