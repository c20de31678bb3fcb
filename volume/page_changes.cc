#include "volume/page_changes.h"

#include <algorithm>

#include "diskfs/batch_format.h"

namespace scalefs::volume {

using diskfs::Batch;
using diskfs::BlockRun;
using diskfs::kFilePagesMax;

void PageChanges::split(uint64_t page) {
  auto after = segments_.upper_bound(page);
  if (after == segments_.begin()) return;
  auto at = std::prev(after);
  if (at->first == page || at->second.end <= page) return;
  Segment tail = at->second;
  const uint64_t head_pages = page - at->first;
  if (tail.kind == Kind::extent) {
    tail.first = BlockNo(tail.first.v + head_pages);
    tail.crcs = tail.crcs.subspan(head_pages);
    at->second.crcs = at->second.crcs.first(head_pages);
  }
  at->second.end = page;
  segments_.emplace_hint(after, page, tail);
}

void PageChanges::carve(uint64_t from, uint64_t to) {
  split(from);
  if (to != UINT64_MAX) split(to);
  auto at = segments_.lower_bound(from);
  while (at != segments_.end() && at->first < to) {
    if (at->second.kind == Kind::extent) {
      replaced_.push_back(BlockRun{at->second.first, at->second.crcs.size()});
    }
    at = segments_.erase(at);
  }
}

void PageChanges::punch(uint64_t from, uint64_t to) {
  if (from >= to || from >= kFilePagesMax) return;
  if (to >= kFilePagesMax) to = UINT64_MAX;
  carve(from, to);
  Segment segment;
  segment.end = to;
  segments_.emplace(from, segment);
}

void PageChanges::fill(uint64_t page, uint64_t count) {
  if (count == 0 || page >= kFilePagesMax) return;
  const uint64_t end = page + std::min(count, kFilePagesMax - page);
  split(page);
  split(end);
  uint64_t next = page;
  auto at = segments_.lower_bound(page);
  while (next < end) {
    const bool gap = at == segments_.end() || at->first > next;
    if (gap) {
      Segment segment;
      segment.end = at == segments_.end() ? end : std::min(end, at->first);
      segment.kind = Kind::filled;
      segments_.emplace_hint(at, next, segment);
      next = segment.end;
    } else {
      if (at->second.kind == Kind::hole) at->second.kind = Kind::unwritten;
      next = at->second.end;
      ++at;
    }
  }
}

void PageChanges::put_extent(uint64_t page, BlockNo first, std::span<const uint32_t> crcs) {
  if (crcs.empty()) return;
  carve(page, page + crcs.size());
  Segment segment;
  segment.end = page + crcs.size();
  segment.kind = Kind::extent;
  segment.first = first;
  segment.crcs = crcs;
  segments_.emplace(page, segment);
}

void PageChanges::put_bytes(uint64_t page, ConstBytes content) {
  carve(page, page + 1);
  Segment segment;
  segment.end = page + 1;
  segment.kind = Kind::bytes;
  segment.content = content;
  segments_.emplace(page, segment);
}

void PageChanges::drop_all() { carve(0, UINT64_MAX); }

void PageChanges::emit_holes(Batch& batch, Ino ino) const {
  uint64_t from = 0, to = 0;  // a run of neighbours that all begin as holes
  for (const auto& [page, segment] : segments_) {
    if (segment.kind != Kind::hole && segment.kind != Kind::unwritten) continue;
    if (to != page && from < to) batch.punch(ino, from, to);
    if (to != page) from = page;
    to = segment.end;
  }
  if (from < to) batch.punch(ino, from, to);
}

void PageChanges::emit_unwritten(Batch& batch, Ino ino) const {
  uint64_t from = 0, to = 0;
  for (const auto& [page, segment] : segments_) {
    if (segment.kind != Kind::filled && segment.kind != Kind::unwritten) continue;
    if (to != page && from < to) batch.put_unwritten(ino, from, to - from);
    if (to != page) from = page;
    to = segment.end;
  }
  if (from < to) batch.put_unwritten(ino, from, to - from);
}

void PageChanges::emit_extents(Batch& batch, Ino ino) const {
  std::vector<uint32_t> crcs;  // of the run gathered so far
  uint64_t run_page = 0;
  BlockNo run_first;
  const auto flush = [&] {
    if (!crcs.empty()) batch.put_extent(ino, run_page, run_first, crcs);
    crcs.clear();
  };
  for (const auto& [page, segment] : segments_) {
    if (segment.kind != Kind::extent) continue;
    for (size_t i = 0; i < segment.crcs.size(); ++i) {
      const bool follows = !crcs.empty() && crcs.size() < Batch::kExtentBlocksMax &&
                           run_page + crcs.size() == page + i &&
                           run_first.v + crcs.size() == segment.first.v + i;
      if (!follows) {
        flush();
        run_page = page + i;
        run_first = BlockNo(segment.first.v + i);
      }
      crcs.push_back(segment.crcs[i]);
    }
  }
  flush();
}

void PageChanges::emit(Batch& batch, Ino ino, bool fresh) const {
  if (!fresh) emit_holes(batch, ino);
  emit_unwritten(batch, ino);
  emit_extents(batch, ino);
  for (const auto& [page, segment] : segments_) {
    if (segment.kind == Kind::bytes) batch.put_inline(ino, page, segment.content);
  }
}

size_t PageChanges::bytes_estimate() const {
  constexpr size_t kOperationBytes = 16;
  size_t sum = 0;
  for (const auto& [page, segment] : segments_) {
    sum += kOperationBytes + segment.content.size() + segment.crcs.size_bytes();
  }
  return sum;
}

uint64_t PageChanges::blocks() const {
  uint64_t sum = 0;
  for (const auto& [page, segment] : segments_) sum += segment.crcs.size();
  return sum;
}

uint64_t PageChanges::pages_carried() const {
  uint64_t sum = 0;
  for (const auto& [page, segment] : segments_) sum += segment.kind == Kind::bytes ? 1 : 0;
  return sum;
}

}  // namespace scalefs::volume
