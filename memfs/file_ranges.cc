// Ranges of pages that may have no slot: what they are, from the slots, the overlay and the checkpoint.
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

constexpr uint64_t kMappingPages = 512;  // asked for at once

}  // namespace

Result<AbsentPages> FileAccess::find_absent(uint64_t from, uint64_t to) {
  AbsentPages found;
  found.durable = impl_.durable_stamp.load(acquire);  // pairs with set_durable_stamp
  if (!backed_) return found;
  SCALEFS_TRY_VOID(know_head(from, to));
  to = std::min(to, kFilePagesMax);
  for (uint64_t page = std::max(from, PageTree::kHeadPages); page < to;) {
    uint64_t until;
    {
      MutexLock lock(node_.mutex_);
      const std::optional<Overlay::Kind> kind = node_.overlay_.at(page);
      until = std::min(to, node_.overlay_.same_until(page));
      if (kind) {
        page = until;
        continue;
      }
    }
    SCALEFS_TRY(const uint64_t next, impl_.backend->next_mapped(mnode_.number, page));
    page = std::max(page, std::min(next, until));
    if (page == until) continue;
    const uint64_t count = std::min(kMappingPages, until - page);
    SCALEFS_TRY(const std::vector<LoadedPage> pages,
                impl_.backend->load_mapping(mnode_.number, page, count));
    if (pages.size() != count) return Errno(EUCLEAN);
    for (const LoadedPage& loaded : pages) {
      const bool unwritten = loaded.kind == LoadedPage::Kind::unwritten;
      if (loaded.kind != LoadedPage::Kind::hole) found.add(page, unwritten);
      ++page;
    }
  }
  return found;
}

void AbsentPages::add(uint64_t page, bool unwritten) {
  if (!runs.empty() && runs.back().to == page && runs.back().unwritten == unwritten) {
    ++runs.back().to;
  } else {
    runs.push_back({page, page + 1, unwritten});
  }
}

bool FileAccess::head_known(uint64_t from, uint64_t to) {
  for (uint64_t page = from; page < std::min(to, PageTree::kHeadPages); ++page)
    if (!node_.tree_.mark(page).has(PageMark::kKnown)) return false;
  return true;
}

Status FileAccess::know_head(uint64_t from, uint64_t to) {
  for (uint64_t page = from; page < std::min(to, PageTree::kHeadPages); ++page)
    if (!node_.tree_.mark(page).has(PageMark::kKnown)) SCALEFS_TRY_VOID(load_slot(page));
  return {};
}

bool FileAccess::still_good(const AbsentPages& absent) {
  return absent.durable == impl_.durable_stamp.load(acquire);  // see load_slot
}

// Pieces of [from, to), none of which has a slot.
bool FileAccess::walk_bare(const AbsentPages& absent, uint64_t from, uint64_t to,
                           const PieceVisitor& visit) {
  while (from < to) {
    const std::optional<Overlay::Kind> kind = node_.overlay_.at(from);
    uint64_t until = std::min(to, node_.overlay_.same_until(from));
    Piece piece{.from = from, .to = until, .known = false};
    if (kind) {
      piece.reserved = kind == Overlay::Kind::unwritten;
      piece.kind = piece.reserved ? MapKind::unwritten : MapKind::hole;
    } else {
      const auto run = std::upper_bound(
          absent.runs.begin(), absent.runs.end(), from,
          [](uint64_t page, const AbsentPages::Run& r) { return page < r.to; });
      if (run == absent.runs.end() || run->from > from) {
        if (run != absent.runs.end()) until = std::min(until, run->from);
        piece.kind = MapKind::hole;
      } else {
        until = std::min(until, run->to);
        piece.kind = run->unwritten ? MapKind::unwritten : MapKind::block;
      }
    }
    piece.to = until;
    if (!visit(piece)) return false;
    from = until;
  }
  return true;
}

void FileAccess::walk(const AbsentPages& absent, uint64_t from, uint64_t to,
                      const PieceVisitor& visit) {
  while (from < to) {
    Leaf* leaf = node_.tree_.next_leaf(from);
    const uint64_t gap_end = leaf == nullptr ? to : std::clamp(leaf->begin, from, to);
    if (gap_end > from) {
      node_.mutex_.assert_held();
      if (!walk_bare(absent, from, gap_end, visit)) return;
    }
    if (gap_end == to) return;
    from = gap_end;
    const uint64_t end = std::min(to, leaf->end);
    uint64_t bare_from = from;
    for (; from < end; ++from) {
      Piece piece{.from = from, .to = from + 1, .known = true};
      {
        PageSlot& slot = leaf->slot(from);
        SpinLock lock(slot.lock);
        const bool absent_here = slot.map == MapKind::absent;
        // A first page is never forgotten: this one is evicted.
        if (absent_here && !leaf->is_head()) continue;
        piece.kind =
            absent_here || slot.page.load(relaxed) != nullptr ? MapKind::memory : slot.map;
      }
      if (bare_from < from) {
        node_.mutex_.assert_held();
        if (!walk_bare(absent, bare_from, from, visit)) return;
      }
      if (!visit(piece)) return;
      bare_from = from + 1;
    }
    if (bare_from < end) {
      node_.mutex_.assert_held();
      if (!walk_bare(absent, bare_from, end, visit)) return;
    }
  }
}

AbsentPages::Count FileAccess::count_absent(const AbsentPages& absent, uint64_t from,
                                            uint64_t to) {
  AbsentPages::Count count;
  walk(absent, from, to, [&](const Piece& piece) {
    const uint64_t pages = piece.to - piece.from;
    if (!piece.known && piece.kind != MapKind::hole) count.mapped += pages;
    if (piece.reserved) count.reserved += pages;
    return true;
  });
  return count;
}

}  // namespace scalefs::memfs
