// Why a read copies twice, but into a Buffer::own. The first copy runs under an EpochGuard, without which the page could be freed
// under it, and a caller's memory may fault there, even into this file system (P6). So it goes to a
// buffer of the stack, and from there to the caller with nothing held. The second copy reads from the
// first-level cache. The alternative, a hazard pointer a page, costs a fence a page, which is no less.
#include <algorithm>
#include <cstring>

#include "memfs/file_access.h"
#include "memfs/page_run.h"

namespace scalefs::memfs {
namespace {

// After so many copies that a writer has disturbed, a reader takes the slot's lock.
constexpr int kOptimisticTries = 8;

}  // namespace

// The page itself says that the file's first `bytes`, which end in its page, lie inside.
bool FileAccess::slot_covers(const PageSlot& slot, uint64_t page, uint64_t bytes) const {
  if ((slot.view.load(acquire) & PageSlot::kInside) != 0) return true;
  if (page >= PageTree::kHeadPages) return false;
  const uint64_t end = node_.tree_.mark(page).end.load(acquire);  // pairs with raise_size
  return end != 0 && (page << kBlockShift) + end >= bytes;
}

// True when *result is good; `to` has the bytes then.
bool FileAccess::copy_slot(PageSlot& slot, uint64_t offset, size_t count, std::byte* to,
                           PageCopy* result) {
  const uint32_t begun = slot.seq.begin_read();
  if (SeqCount::writing(begun)) return false;
  const uint8_t view = slot.view.load(acquire);
  const std::byte* page = slot.page.load(acquire);  // pairs with the release store of an installer
  size_t inside = count;
  if (!slot_covers(slot, offset >> kBlockShift, offset + count)) {
    // Before the bytes: they are published before the size.
    const uint64_t size = node_.size_from(offset >> kBlockShift);
    if (offset >= size) {
      *result = {PageCopy::Kind::end, 0};
      return slot.seq.unchanged(begun);
    }
    result->told = size >= ((offset >> kBlockShift) + 1) << kBlockShift;
    inside = std::min<uint64_t>(count, size - offset);
  }
  if (page != nullptr) {
    racy_load(to, page + offset % kBlockBytes, inside);
    *result = {PageCopy::Kind::bytes, inside, result->told};
  } else if ((view & PageSlot::kZero) != 0 || !backed_) {
    *result = {PageCopy::Kind::zeros, inside, result->told};
  } else {
    *result = {PageCopy::Kind::miss, 0};
  }
  return slot.seq.unchanged(begun);
}

FileAccess::PageCopy FileAccess::copy_page(uint64_t offset, size_t count, std::byte* to) {
  const uint64_t index = offset >> kBlockShift;
  EpochGuard guard;
  Leaf* const leaf = node_.tree_.find_leaf(index);
  PageSlot* const slot = leaf != nullptr ? &leaf->slot(index) : nullptr;
  // The next page but one, of a reading in order: the next one may be another core's.
  if (index + 2 < (leaf != nullptr ? leaf->end : 0)) __builtin_prefetch(&leaf->slot(index + 2));
  if (slot == nullptr) {
    const uint64_t size = node_.size_from(index);
    if (offset >= size) return {PageCopy::Kind::end, 0};
    if (backed_) return {PageCopy::Kind::miss, 0};
    return {PageCopy::Kind::zeros, std::min<uint64_t>(count, size - offset)};
  }
  PageCopy result{PageCopy::Kind::miss, 0};
  int tries = 0;
  while (!copy_slot(*slot, offset, count, to, &result)) {
    if (++tries < kOptimisticTries) continue;
    SpinLock lock(slot->lock);
    SCALEFS_CHECK(copy_slot(*slot, offset, count, to, &result));
    break;
  }
  if (result.kind == PageCopy::Kind::bytes) {
    const uint8_t view = slot->view.load(relaxed);
    // In the steady state both are set and nothing is written.
    if ((view & PageSlot::kReferenced) == 0) slot->view.fetch_or(PageSlot::kReferenced, relaxed);
  }
  if (result.told) note_inside(*slot, index);
  return result;
}

// Flags the page as wholly inside, if it is. Under the slot's lock: truncate stores the size before it visits the
// slot, so the flag cannot survive it.
void FileAccess::note_inside(PageSlot& slot, uint64_t page) {
  if (page < PageTree::kHeadPages) {
    (void)node_.note_inside(page);
    return;
  }
  SpinLock lock(slot.lock);
  if (slot.has(PageSlot::kDead) || node_.size_from(page) < (page + 1) << kBlockShift) return;
  slot.view.fetch_or(PageSlot::kInside, release);  // pairs with the load in slot_covers
}

std::optional<size_t> FileAccess::read_in_page(MemFs::Impl& impl, MnodeNo file, uint64_t offset, Bytes to,
                                               Atime atime, Buffer buffer) {
  const uint64_t start = offset % kBlockBytes;
  if (to.empty() || to.size() > kBlockBytes - start || offset >= kFileBytesMax) return std::nullopt;
  alignas(64) std::byte between[kBlockBytes];
  std::byte* const target = buffer == Buffer::own ? to.data() : between;
  PageCopy copy{PageCopy::Kind::miss, 0};
  {
    EpochGuard guard;
    Mnode* const mnode = impl.find(file);
    // Acquire: pairs with the reclaimer's. Where it is alive it stays until the guard ends (reclaim.h).
    if (mnode == nullptr || !mnode->is_file() || mnode->file.peek() == nullptr ||
        mnode->life.load(acquire) != static_cast<uint8_t>(Life::alive))
      return std::nullopt;
    copy = FileAccess(impl, *mnode).copy_page(offset, to.size(), target);
    if (copy.kind == PageCopy::Kind::miss) return std::nullopt;
    if (atime == Atime::moves) impl.touch_atime(*mnode);
  }
  if (copy.kind == PageCopy::Kind::bytes && target != to.data()) std::memcpy(to.data(), target, copy.count);
  if (copy.kind == PageCopy::Kind::zeros) std::memset(to.data(), 0, copy.count);
  return copy.kind == PageCopy::Kind::end ? 0 : copy.count;
}

Result<size_t> FileAccess::read(uint64_t offset, Bytes to, Buffer buffer) {
  alignas(64) std::byte between[kBlockBytes];
  size_t done = 0;
  PageRun run(buffer);
  while (done < to.size() && offset + done < kFileBytesMax) {
    run.next();
    const uint64_t at = offset + done;
    const size_t count = std::min<size_t>(kBlockBytes - at % kBlockBytes, to.size() - done);
    std::byte* const target = buffer == Buffer::own ? to.data() + done : between;
    const PageCopy copy = copy_page(at, count, target);
    if (copy.kind == PageCopy::Kind::end) break;
    if (copy.kind == PageCopy::Kind::miss) {
      run.let_go();
      const uint64_t ahead = pages_of(at + (to.size() - done)) - (at >> kBlockShift) - 1;
      const Status loaded = load_page(at >> kBlockShift, ahead);
      if (loaded.ok()) continue;
      // Also behind good pages: a short answer says that the file ends there.
      return loaded.error();
    }
    if (copy.kind == PageCopy::Kind::bytes) {
      if (target == between) std::memcpy(to.data() + done, between, copy.count);
    } else {
      std::memset(to.data() + done, 0, copy.count);
    }
    done += copy.count;
    if (copy.count < count) break;
  }
  return done;
}

}  // namespace scalefs::memfs
