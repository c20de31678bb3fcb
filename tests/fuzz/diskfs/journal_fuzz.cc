// A damaged journal, and superblocks that name it: recovery takes a chain of batches that can all be decoded,
// or says why it does not; a volume that recovers is sound, and recovering again finds nothing to do.
#include "diskfs/batch_scan.h"
#include "diskfs/recovery.h"
#include "tests/fuzz/support/image_target.h"
#include "tests/support/disk_history.h"

using namespace scalefs;
using namespace scalefs::diskfs;
using namespace scalefs::fuzz;

const std::vector<PlaceKind> scalefs::fuzz::kKinds{PlaceKind::superblock, PlaceKind::journal};

namespace {

// Owners of inodes that the base image does not have.
class StrangeOwner final : public BatchScanner {
 public:
  Status put_inode(Ino, const InodeItem& item) override {
    if (item.uid > 2000) canary_found();
    return {};
  }
};

void require_chain(const Superblock& sb, const RecoveredJournal& journal) {
  uint64_t sequence = sb.covered_seq;
  for (const auto& batch : journal.batches) {
    require(batch->sequence() == ++sequence, "a batch out of sequence");
    require(visit_extents(batch->payload(), [](BlockNo, std::span<const uint32_t>) { return Status(); }).ok(), "a batch that cannot be decoded");
    StrangeOwner strange;
    if (canary_wanted()) (void)visit_batch(batch->payload(), strange);
  }
  require(journal.end.sequence == sequence + 1, "the end is not behind the last batch");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  const auto device = image_of(data, size);
  std::string why;
  const auto sb = read_newest_superblock(*device, &why);
  if (!sb.ok()) return 0;
  const auto whole = recover_journal(*device, *sb, /*take_prefix=*/false, &why);
  require(whole.ok() || !why.empty(), "a journal is refused without a reason");
  const auto prefix = recover_journal(*device, *sb, /*take_prefix=*/true, &why);
  const auto salvaged = salvage_journal(*device, *sb, &why);
  for (const auto* journal : {&whole, &prefix}) {
    if (journal->ok()) require_chain(*sb, **journal);
  }
  require(salvaged.ok(), "a readable journal cannot be salvaged");
  if (whole.ok()) {
    require(prefix.ok() && prefix->batches.size() == whole->batches.size() &&
                salvaged->batches.size() >= whole->batches.size(),
            "less is taken of a sound journal");
  }
  // Behind a superblock that says "unmounted in order" a mount looks at one block only.
  Superblock crashed = *sb;
  crashed.state &= ~kStateClean;
  const bool sound = recover_journal(*device, crashed, /*take_prefix=*/false, &why).ok();
  auto mounted = DiskFs::mount(*device, {}, &why);
  if (!mounted.ok()) {
    require(!why.empty(), "a mount is refused without a reason");
    return 0;
  }
  require((*mounted)->checkpoint().ok(), "no checkpoint after recovery");
  mounted->reset();
  const auto again = read_newest_superblock(*device, &why);
  require(again.ok(), why);
  const auto nothing = recover_journal(*device, *again, /*take_prefix=*/false, &why);
  require(nothing.ok() || !sound, "what recovered cannot be recovered again: " + why);
  require(!nothing.ok() || nothing->batches.empty(), "recovering again finds something to do");
  return 0;
}
