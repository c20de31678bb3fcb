// lseek's SEEK_DATA and SEEK_HOLE, and copies of ranges.
#include <algorithm>

#include "memfs/file_access.h"

namespace scalefs::memfs {
namespace {

// Looked at in one step; each step takes more, up to the limit.
constexpr uint64_t kStepPagesFirst = 64;
constexpr uint64_t kStepPagesMax = uint64_t{1} << 16;

}  // namespace

// Page by page, by what each slot says of itself, and of the size only what the page at hand needs: so that no
// call on another page is met (I1).
std::optional<Result<uint64_t>> FileAccess::seek_head(uint64_t offset, SeekMode mode,
                                                      uint64_t* page) {
  for (; *page < PageTree::kHeadPages; ++*page) {
    const uint64_t at = std::max(offset, *page << kBlockShift);
    const PageMark& mark = node_.tree_.mark(*page);
    if (!mark.has(PageMark::kKnown)) return std::nullopt;
    const bool data = mark.has(PageMark::kData);
    // Where there is no data it is the same whether the file goes on.
    if (mode == SeekMode::data && !data) continue;
    // A hole behind a page that lies inside: so is the end of the file, and it need not be told which.
    if (!data && at > offset && node_.covers(at)) return Result<uint64_t>(at);
    if (!node_.covers(at + 1)) {
      if (at == offset || mode == SeekMode::data) return Result<uint64_t>(Errno(ENXIO));
      // It ends behind the pages that were passed, or has been cut since.
      const uint64_t size = node_.size_from(offset >> kBlockShift);
      if (offset >= size) return Result<uint64_t>(Errno(ENXIO));
      return Result<uint64_t>(std::min(at, size));
    }
    if (data == (mode == SeekMode::data)) return Result<uint64_t>(at);
  }
  if (node_.rest_used_.load(acquire)) return std::nullopt;
  if (mode == SeekMode::data) return Result<uint64_t>(Errno(ENXIO));
  const uint64_t size = node_.size();
  if (offset >= size) return Result<uint64_t>(Errno(ENXIO));
  return Result<uint64_t>(std::min(std::max(offset, *page << kBlockShift), size));
}

// Unwritten pages read as zeros: holes. The end of the file is one too.
Result<uint64_t> FileAccess::seek(uint64_t offset, SeekMode mode) {
  uint64_t page = offset >> kBlockShift;
  if (auto found = seek_head(offset, mode, &page)) return *found;
  uint64_t step = kStepPagesFirst;
  for (;;) {
    const uint64_t size = node_.size();
    if (offset >= size) return Errno(ENXIO);
    const uint64_t end = pages_of(size);
    if (page >= end) {
      if (mode == SeekMode::data) return Errno(ENXIO);
      return size;
    }
    const uint64_t until = std::min(end, page + step);
    SCALEFS_TRY(const AbsentPages absent, find_absent(page, until));
    std::optional<uint64_t> found;
    {
      MutexLock lock(node_.mutex_);
      if (!still_good(absent)) continue;
      walk(absent, page, until, [&](const Piece& piece) {
        const bool data = piece.kind != MapKind::hole && piece.kind != MapKind::unwritten;
        if (data == (mode == SeekMode::data)) found = piece.from;
        return !found.has_value();
      });
    }
    if (found) return std::min(std::max(offset, *found << kBlockShift), node_.size());
    page = until;
    step = std::min(step * 2, kStepPagesMax);
    if (mode == SeekMode::data) SCALEFS_TRY_VOID(skip_hole(&page, end));
  }
}

// Moves *page over what neither memory nor the checkpoint maps.
Status FileAccess::skip_hole(uint64_t* page, uint64_t end) {
  if (*page >= end) return {};
  uint64_t limit;
  {
    EpochGuard guard;
    Leaf* leaf = node_.tree_.next_leaf(*page);
    limit = leaf == nullptr ? end : std::min(end, leaf->begin);
  }
  if (limit <= *page) return {};
  if (!backed_) {
    *page = limit;
    return {};
  }
  SCALEFS_TRY(const uint64_t next, impl_.backend->next_mapped(mnode_.number, *page));
  *page = std::max(*page, std::min(next, limit));
  return {};
}

}  // namespace scalefs::memfs
