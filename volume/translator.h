// Records of MemFS (in mnode terms, in stamp order) -> one batch (in inode terms), by net effect
// (P5; absorption as in ScaleFS, SOSP'17, section 4.3, here inside one batch only).
//
// Protocol, for the records of one cut:
//   split_points(...) chooses which records make a batch, in stamp order, before anything is absorbed;
//   for each of them: translate -> DiskFs::commit -> the caller publishes Translation::inodes to the
//   committed state, before it translates the next one.
//
// What a batch holds:
//   * an object that it creates and reclaims leaves nothing, and no inode number is taken for it;
//   * a name that was absent before and is absent after leaves nothing, other names leave one operation;
//   * one put_inode for an object whose attributes differ from the committed ones; counts of links
//     are exact in stamp order;
//   * the orphan item is put where the count reaches 0 and removed where it leaves 0, in the same batch
//     (also for O_TMPFILE) (I12);
//   * data by PageChanges: blocks that it replaces before they were named come back in never_named.
// Order inside: put_inode, orphans, names, data, xattrs, deletions; so whatever is named exists.
//
// Times: names change the directories' mtime and ctime and the objects' ctime to the larger value, but an mtime that
// was set to later than the ctime they replace; SetAttrOp sets the mtime; data sets the mtime; all raise the ctime. A damaged count of links in the image is clamped
// at 0 and logged.
//
// Errors: what the committed state answers; EUCLEAN for records that contradict it (a program error
// here: nothing of the batch may be committed).
//
// Not thread-safe: the committer's.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/hash.h"
#include "diskfs/batch.h"
#include "memfs/record.h"

namespace scalefs::volume {

using RecordList = std::span<const std::unique_ptr<oplog::LogEntry>>;  // OpRecords

// What the translator knows about earlier batches.
class CommittedState {
 public:
  virtual ~CommittedState() = default;
  // Ino{} for an object that no batch has created.
  virtual Ino ino_of(MnodeNo mnode) = 0;
  // Attributes as of the last committed batch.
  virtual Result<diskfs::InodeItem> item(Ino ino, MnodeNo mnode) = 0;
  // For an object's first commit.
  virtual Result<Ino> allocate_ino() = 0;
};

struct Translation {
  enum class Fate : uint8_t { changed, born, dead };
  struct Inode {
    Ino ino;
    diskfs::InodeItem item;  // as committed with this batch
    Fate fate = Fate::changed;
  };
  diskfs::Batch batch;
  std::vector<Inode> inodes;
  std::vector<diskfs::BlockRun> never_named;
  uint64_t absorbed_objects = 0;  // created and reclaimed here
  uint64_t pages_carried = 0;     // inline pages that the next checkpoint gives a place
};

class Translator {
 public:
  Translator(const HashKey& key, CommittedState& state) : key_(key), state_(state) {}

  // Upper bound of what one record adds to a batch that has none of its objects yet.
  static size_t bytes_bound(const memfs::OpRecord& record);
  // Ends (exclusive indices) of consecutive groups, each of which fits a batch of `bytes_max` bytes.
  // Records of one call (equal stamp and slot) stay together: half a call is no state that existed. A
  // single call beyond `bytes_max` makes a group of its own.
  static std::vector<size_t> split_points(RecordList records, size_t bytes_max);

  // `batch`: an empty one; it is used if it has about the room that is needed.
  Result<Translation> translate(RecordList records, diskfs::Batch batch = {});

 private:
  const HashKey key_;
  CommittedState& state_;
};

}  // namespace scalefs::volume
