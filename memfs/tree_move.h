// Where directories stand in the tree, and how one comes to stand in another (rename). Moves of directories that have
// nothing to do with each other take no common lock (I1), and yet no two of them, nor more, make a loop together.
//
// A move of directory D to directory T, with the buckets of D's names locked throughout, so that D and T stay where
// their names say and T stays alive:
//   1. It announces itself: TreePlace::moved of D gets kMoving.
//   2. It walks from T up to the root. Where it meets D, T is below D (loop); where it meets another that is announced,
//      it gives up (busy).
//   3. It takes its stamp, later than `moved` of D and of all that it passed.
//   4. It stores D's new parent, and then its stamp in `moved`, which ends the announcement.
// An exchange of two directories announces both before it walks up from both targets. Nobody waits in these steps. Who was
// busy lets go of everything and tries again under rename_lock, so that of those who met one another one gets on.
//
// Why no cut of the log (the moves up to some stamp) has a loop: suppose D -> T = A1 -> A2 .. An -> D, each the other's
// parent, and D's edge with the latest stamp s. D's move walked up from A1 and did not meet D, so it read another
// parent of some Ai than the loop has; take the first.
//   * Had that come from a later move than the loop's edge, that move's stamp would be below s (3), so the cut would
//     have it too, and the loop's edge would not be Ai's last. So the edge was stored after it was looked for.
//   * In the one order of all accesses to `moved` and parents (seq_cst): D's walk read `moved` of Ai before its parent
//     and found nothing announced, so the move of Ai's edge was announced after that, and so after D's.
//   * That move then walked up from Ai+1. Had it met D before D's move ended, it would have been busy; after that, it would
//     have a stamp above s. So it did not meet D: it too read another parent of some Aj, j > i, than the loop has, and the
//     same follows for Aj's edge: stored later, announced after D's.
// So on up to An, whose move began its walk at D: there is no Aj left. The same holds of what memory has at any moment,
// with "stored last" for "with the latest stamp".
#pragma once

#include <array>

#include "base/atomic.h"
#include "memfs/memfs.h"
#include "memfs/types.h"

namespace scalefs::memfs {

struct Mnode;

// A directory's. Written only by moves of it, by seq_cst stores; read by lookups of ".." (acquire), and by moves to below it.
struct TreePlace {
  static constexpr Stamp kMoving = Stamp{1} << 63;
  Atomic<uint64_t> parent{0};  // MnodeNo::v; the root's is its own
  Atomic<Stamp> moved{0};      // the last move's stamp; kMoving while another is under way
};

#ifdef SCALEFS_SCHEDULE
// The tests of the tests: moves do not announce themselves; moves take stamps without a look at what they passed.
extern bool unannounced_move_canary;
extern bool move_stamp_canary;
#endif

// One move, or the two of an exchange. Without any it does nothing.
class TreeMove {
 public:
  explicit TreeMove(MemFs::Impl& impl) : impl_(impl) {}
  // Ends what was announced: at its old place, unless finish() has moved it.
  ~TreeMove();
  TreeMove(const TreeMove&) = delete;
  TreeMove& operator=(const TreeMove&) = delete;

  // Step 1. Each directory once, all before check().
  void announce(Mnode& directory, const Mnode& target);
  // Step 2. `*last` is raised to what the stamp must be later than. What is not free must not be done.
  enum class Answer { free, loop, busy };
  Answer check(Stamp* last) const;
  // Step 4, but for the end of the announcement.
  void finish(Stamp stamp);

 private:
  struct Step {
    Mnode* directory;
    const Mnode* target;
    Stamp moved;
  };
  Answer walk(const Step& step, Stamp* last) const;

  MemFs::Impl& impl_;
  std::array<Step, 2> steps_{};
  size_t count_ = 0;
};

// --- for calls that fail, holding no lock
// A walk from `directory` upwards comes to `above` (which may be the same). While directories move, that may never have
// been so at one moment, or have been so and not be seen.
bool seems_below(const MemFs::Impl& impl, const Mnode& directory, const Mnode& above);
// True: it was so at one moment of the call.
bool was_below(const MemFs::Impl& impl, const Mnode& directory, const Mnode& above);

}  // namespace scalefs::memfs
