#include "memfs/tree_move.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/epoch.h"
#include "memfs/directory.h"
#include "memfs/impl.h"

namespace scalefs::memfs {
namespace {

// Null above the root. Under an EpochGuard.
const Mnode* parent_of(const MemFs::Impl& impl, const Mnode& directory) {
  if (directory.number == kRootMnode) return nullptr;
  return impl.find(MnodeNo(directory.directory->place.parent.load(seq_cst)));
}

// What a walk passes, and how it stands there. Two readings that are equal were true at each moment between them: what
// is passed has not moved, for a move is announced before it stores a parent and never has an earlier one's stamp.
using Way = std::vector<std::pair<const Mnode*, Stamp>>;
Way way_up(const MemFs::Impl& impl, const Mnode& directory, const Mnode& above) {
  Way way;
  for (const Mnode* at = &directory; at != nullptr; at = parent_of(impl, *at)) {
    way.emplace_back(at, at == &above ? 0 : at->directory->place.moved.load(seq_cst));
    if (at == &above) break;
  }
  return way;
}

}  // namespace

#ifdef SCALEFS_SCHEDULE
bool unannounced_move_canary = false;
bool move_stamp_canary = false;
#endif

TreeMove::~TreeMove() {
  for (size_t i = 0; i < count_; ++i)
    steps_[i].directory->directory->place.moved.store(steps_[i].moved, seq_cst);
}

void TreeMove::announce(Mnode& directory, const Mnode& target) {
  SCALEFS_DCHECK(count_ < steps_.size());
  Atomic<Stamp>& moved = directory.directory->place.moved;
  const Stamp before = moved.load(relaxed);  // nobody else writes it: the name's bucket is locked
  steps_[count_++] = {&directory, &target, before};
#ifdef SCALEFS_SCHEDULE
  if (unannounced_move_canary) return;
#endif
  moved.store(before | TreePlace::kMoving, seq_cst);
}

TreeMove::Answer TreeMove::check(Stamp* last) const {
  for (size_t i = 0; i < count_; ++i) {
    const Answer answer = walk(steps_[i], last);
    if (answer != Answer::free) return answer;
    *last = std::max(*last, steps_[i].moved);
  }
  return Answer::free;
}

TreeMove::Answer TreeMove::walk(const Step& step, Stamp* last) const {
  EpochGuard guard;
  for (const Mnode* at = step.target; at != nullptr; at = parent_of(impl_, *at)) {
    if (at == step.directory) return Answer::loop;
    const Stamp moved = at->directory->place.moved.load(seq_cst);
    // Also the other one of an exchange, which can only have been seen in between.
    if ((moved & TreePlace::kMoving) != 0) return Answer::busy;
#ifdef SCALEFS_SCHEDULE
    if (move_stamp_canary) continue;
#endif
    *last = std::max(*last, moved);
  }
  return Answer::free;
}

void TreeMove::finish(Stamp stamp) {
  for (size_t i = 0; i < count_; ++i) {
    steps_[i].moved = stamp;
    steps_[i].directory->directory->place.parent.store(steps_[i].target->number.v, seq_cst);
  }
}

bool seems_below(const MemFs::Impl& impl, const Mnode& directory, const Mnode& above) {
  EpochGuard guard;
  const Mnode* at = &directory;
  while (at != nullptr && at != &above) at = parent_of(impl, *at);
  return at != nullptr;
}

bool was_below(const MemFs::Impl& impl, const Mnode& directory, const Mnode& above) {
  if (!seems_below(impl, directory, above)) return false;
  EpochGuard guard;
  Way before = way_up(impl, directory, above);
  for (;;) {
    Way after = way_up(impl, directory, above);
    if (before == after) return after.back().first == &above;
    before = std::move(after);
  }
}

}  // namespace scalefs::memfs
