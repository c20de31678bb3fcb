// Mistakes that the engine makes when a test asks for one, to show that the tests of crashes and faults find
// it. Each is a line or two at the place that it breaks. Only the rooms' variant for seeded interleavings and the sources
// of one test library are built with them (SCALEFS_CANARIES, cmake/); everywhere else canary() is a constant, and
// nothing of them is left.
//
// For sources, not for headers: a source that asks exists twice, and a program links one of the two.
#pragma once

#include <cstdint>

#ifdef SCALEFS_CANARIES
#include <atomic>
#endif

namespace scalefs {

enum class Canary : uint8_t {
  none,
  // --- what a crash shows
  journal_flush_left_out,     // a batch is called durable without a flush
  checkpoint_flush_left_out,  // a superblock is written before what it names is durable
  fsync_without_commit,       // fsync writes data back, and waits for no commit
  freed_block_reused,         // a checkpoint writes nodes over those that they replace
  rename_in_two,              // a rename is logged as a link and an unlink, which a batch may part
  orphan_not_recorded,        // an unlink leaves no orphan item
  merge_skips_log,            // a cut takes the first log that holds something, and no other
  size_before_data,           // records carry the size of the file, whatever of it is in place
  batch_checksum_ignored,     // recovery takes a batch by its header
  data_checksum_ignored,      // recovery takes a batch whatever became of the data that it names
  old_batch_accepted,         // recovery does not ask whether a batch follows the one before
  // --- what a device that lies shows
  read_checksum_ignored,      // data is served as it was read
  node_checksum_ignored,      // so are nodes of the tree
};

#ifdef SCALEFS_CANARIES
// Relaxed: set while the engine stands still. No point of an interleaving.
inline std::atomic<Canary> canary_of_test{Canary::none};
inline void set_canary(Canary which) { canary_of_test.store(which, std::memory_order_relaxed); }
inline bool canary(Canary which) { return canary_of_test.load(std::memory_order_relaxed) == which; }
#else
constexpr bool canary(Canary) { return false; }
#endif

}  // namespace scalefs
