// One page of a file as memory knows it: a cache line of its own, so that calls on different pages meet
// in no line. The protocol around it stands in file_node.h.
#pragma once

#include "base/mutex.h"
#include "base/seq_count.h"
#include "memfs/types.h"

namespace scalefs::memfs {

// What the page is apart from changes that are not written back yet.
enum class MapKind : uint8_t {
  absent,     // not known here: the overlay, then the backend tell (without backend: a hole)
  hole,       // as they told
  unwritten,  // the same; reads as zeros, and keeps one reserved block
  block,      // on disk at `block`, with `crc`
  memory,     // content that stands in `page` only: carried by an InlineOp, or a memory file system's
};

struct alignas(64) PageSlot {
  // Bits of `view`.
  static constexpr uint8_t kZero = 1;        // hole or unwritten, and no page: reads as zeros
  static constexpr uint8_t kInside = 2;      // the whole page is below the file's size
  static constexpr uint8_t kReferenced = 4;  // read or written since the clock hand came by
  static constexpr uint8_t kDead = 8;        // the leaf has left the tree: look up again
  static constexpr uint8_t kOpen = 16;       // dirty or in writeback; of the first pages
  static constexpr uint8_t kTailOpen = 32;   // its bit in FileNode::tails_open_ is set

  SpinBit lock;
  // Changed under `lock`; read without. kZero changes only with `seq` odd.
  Atomic<uint8_t> view{0};
  MapKind map GUARDED_BY(lock) = MapKind::absent;
  bool dirty GUARDED_BY(lock) = false;
  bool reserved GUARDED_BY(lock) = false;   // one block is held: dirty, or unwritten
  bool writeback GUARDED_BY(lock) = false;  // sampled, and not finished yet
  // Held by a call that changes what the page stands for, from before its record is stamped until after the
  // change (RangeHold). Of the first pages; the others have the file's mutex.
  SleepBit hold;
  SeqCount seq;  // odd while page, kZero or the page's bytes change; written under `lock`
  // kBlockBytes, written through racy_store; null: not in memory. Changed under `lock` with seq odd; stores pair
  // with the acquire load of a reader, and are seq_cst for the sake of LinkQueue. Retired by epoch.
  Atomic<std::byte*> page{nullptr};
  // Raised by truncate and punch: what was sampled before is stale.
  uint64_t generation GUARDED_BY(lock) = 0;
  // Of `map`: the record that made it so; 0: it was loaded.
  Stamp stamp GUARDED_BY(lock) = 0;
  BlockNo block GUARDED_BY(lock);
  uint32_t crc GUARDED_BY(lock) = 0;
  // While in writeback: which call of begin_writeback took it.
  uint64_t ticket GUARDED_BY(lock) = 0;

  bool has(uint8_t bit) const { return (view.load(relaxed) & bit) != 0; }  // a hint, or under the lock
  bool is_mapped() const REQUIRES(lock) {
    return page.load(relaxed) != nullptr || map == MapKind::unwritten || map == MapKind::block ||
           map == MapKind::memory;
  }
};
static_assert(sizeof(PageSlot) == 64);

// What is told of one of a file's first pages without looking at its bytes, on a line of its own: a write inside
// the file, which changes the slot's line, is met neither by stat nor by lseek.
struct alignas(64) PageMark {
  // Bits of `state`, changed under the slot's lock, read without.
  static constexpr uint8_t kKnown = 1;   // the rest says something; else: a loaded file's page that nobody asked for
  static constexpr uint8_t kMapped = 2;  // counts for st_blocks; kept while the page is evicted
  static constexpr uint8_t kData = 4;    // mapped and not unwritten
  static constexpr uint8_t kInBase = 8;  // the file's base count has it, for it was loaded
  static constexpr uint8_t kInside = 16;  // as the slot's, where other pages' ends told it

  Atomic<uint8_t> state{0};
  // How far calls that extend the file have come in this page, 0: none has (file_size.cc). Release stores.
  Atomic<uint16_t> end{0};

  bool has(uint8_t bit) const { return (state.load(acquire) & bit) != 0; }
};

}  // namespace scalefs::memfs
