// Writes dirty pages of MemFS to their place (P2): sample, checksum, write, log.
//
// write_back(file): every page that was dirty or in writeback at the call is on the device and its record
// is logged; not flushed and not committed. At most inline_bytes_max of dirty data travels in the record
// instead of to a place of its own. Two passes at the most: a page that is in writeback by
// somebody else is waited for, and what was dirty behind it is written by the second pass; what the second
// pass finds busy was sampled after the call.
//
// Records are as large as the room for changes of the tree admits, one run of blocks at the least; for that
// much it waits (admission.h).
//
// Space: a dirty page holds a block credit (block_credits.h), which is spent when its block is
// allocated, or when the record that carries its content is committed. Pages whose generation went
// stale give their blocks back at once: nothing has named them.
//
// Errors: EIO of a failed write makes the volume failed (I11), the pages are dirty again. std::bad_alloc leaves those dirty
// that are not logged, and nothing else. Callers hold
// nothing. Any number of threads.
#pragma once

#include "diskfs/diskfs.h"
#include "memfs/memfs.h"
#include "volume/admission.h"
#include "volume/health.h"

namespace scalefs::volume {

class Writeback {
 public:
  struct Parts {
    diskfs::DiskFs& disk;
    Admission& admission;
    BlockCredits& credits;
    Health& health;
    Room& room;
    size_t inline_bytes_max = 0;
  };
  // `fs` is bound later: MemFs and its backend need each other.
  explicit Writeback(const Parts& parts) : parts_(parts) {}
  void bind(memfs::MemFs& fs) { fs_ = &fs; }

  Status write_back(MnodeNo file);
  // The same for a rename over a name: content and size, and times only where a record carries them anyway. So it meets
  // nobody who does not change the file's data, and where nothing is to be written it takes no lock.
  Status write_back_content(MnodeNo file);
  // Everything that is dirty at the call.
  Status write_back_all();
  // A bounded number of pages of the file that has been dirty longest. True when some were written.
  bool step();

 private:
  static constexpr size_t kPagesAStep = 256;
  static constexpr uint64_t kPiecesARecord = 64;
  using Pages = std::vector<memfs::SampledPage>;

  // Both passes.
  Status write_dirty_pages(MnodeNo file);
  // One pass over the dirty pages, in order; *busy: some were in writeback.
  Status pass(MnodeNo file, size_t pages_max, bool* busy, size_t* written);
  class Places;
  class Unfinished;
  Status write_inline(MnodeNo file, const Pages& pages);
  Status write_pages(MnodeNo file, const Pages& pages);
  Status write_to_blocks(const Unfinished& pages, std::vector<uint32_t>* crcs);
  // Logs the pages, which stand in their blocks, in one record or in several.
  Status log_pages(MnodeNo file, Unfinished& pages, std::span<const uint32_t> crcs);
  Status reserve_pieces(uint64_t log_bytes, uint64_t* pieces, Places* places);
  // Blocks for all pages, in runs as long as there are.
  Status allocate(Unfinished* pages);
  Result<diskfs::BlockRun> allocate_run(uint64_t want);
  Status log_attributes(MnodeNo file);

  const Parts parts_;
  memfs::MemFs* fs_ = nullptr;
};

}  // namespace scalefs::volume
