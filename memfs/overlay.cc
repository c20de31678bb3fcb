#include "memfs/overlay.h"

#include <algorithm>
#include <iterator>

namespace scalefs::memfs {

// Makes `page` a boundary.
void Overlay::split(uint64_t page) {
  auto it = ranges_.upper_bound(page);
  if (it == ranges_.begin()) return;
  --it;
  if (it->first == page || it->second.to <= page) return;
  const Range upper = it->second;
  ranges_.emplace_hint(std::next(it), page, upper);
  it->second.to = page;
}

void Overlay::set(uint64_t from, uint64_t to, Kind kind, Stamp stamp) {
  if (from >= to) return;
  split(from);
  split(to);
  auto it = ranges_.lower_bound(from);
  if (it != ranges_.end() && it->first == from) {
    it->second = Range{to, kind, stamp};
  } else {
    it = ranges_.emplace_hint(it, from, Range{to, kind, stamp});
  }
  ranges_.erase(std::next(it), ranges_.lower_bound(to));
  merge_around(from, to);
}

// Joins neighbours of one kind in and around [from, to). The younger stamp holds the older one longer
// than need be, which is harmless.
void Overlay::merge_around(uint64_t from, uint64_t to) {
  auto it = ranges_.lower_bound(from);
  if (it != ranges_.begin()) --it;
  while (it != ranges_.end() && it->first <= to) {
    auto next = std::next(it);
    if (next == ranges_.end()) return;
    if (next->first == it->second.to && next->second.kind == it->second.kind) {
      it->second.to = next->second.to;
      it->second.stamp = std::max(it->second.stamp, next->second.stamp);
      ranges_.erase(next);
    } else {
      it = next;
    }
  }
}

void Overlay::forget(uint64_t from, uint64_t to) {
  split(from);
  split(to);
  ranges_.erase(ranges_.lower_bound(from), ranges_.lower_bound(to));
}

void Overlay::settle(Stamp stamp) {
  for (auto& [from, range] : ranges_) {
    if (range.stamp == kUnsettled) range.stamp = stamp;
  }
}

void Overlay::purge(Stamp durable) {
  std::erase_if(ranges_, [=](const auto& item) {
    return item.second.kind == Kind::hole && item.second.stamp <= durable;
  });
}

std::optional<Overlay::Kind> Overlay::at(uint64_t page) const {
  auto it = ranges_.upper_bound(page);
  if (it == ranges_.begin()) return std::nullopt;
  --it;
  if (it->second.to <= page) return std::nullopt;
  return it->second.kind;
}

uint64_t Overlay::same_until(uint64_t page) const {
  auto it = ranges_.upper_bound(page);
  const uint64_t next = it == ranges_.end() ? kEnd : it->first;
  if (it == ranges_.begin()) return next;
  --it;
  return it->second.to > page ? it->second.to : next;
}

}  // namespace scalefs::memfs
