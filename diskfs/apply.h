// The apply function: brings the operations of batches into the tree. The same code runs at a
// checkpoint and at recovery (I8).
//
// Idempotent: a sequence of batches applied once more from its start leaves the same content. So
// what a replay can meet is not an error (a name or an inode to be removed that is not there); what
// no order of events explains is EUCLEAN (a name, an extent or an attribute for an inode that does
// not exist: its put_inode must come first). Other errors: EIO, EUCLEAN from reading the tree, and
// what the callbacks answer. After an error the tree writer must be dropped.
//
// Space: this is the only place that decides that a data block is not needed any more, by what the
// tree says (P3). Blocks of tree nodes are the tree writer's business.
//
// Inline pages: tiny content of page 0 becomes an item. Everything else waits in memory until
// finish(), so that what a later operation supersedes costs no block (P4); until then the page
// counts as mapped and the tree has no item for it. It is not copied: the batches must stay until then.
//
// Not thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "diskfs/batch.h"
#include "diskfs/tree_writer.h"

namespace scalefs::diskfs {

// Hears which data blocks the tree comes to reference and ceases to. In one apply a block may be
// reported more than once: the last word counts. An error ends the apply: EUCLEAN for
// blocks that cannot be a file's.
class SpaceSink {
 public:
  virtual ~SpaceSink() = default;
  virtual Status referenced(BlockRun run) = 0;
  virtual Status unreferenced(BlockRun run) = 0;
};

class ApplyVisitor final : public BatchVisitor {
 public:
  // For inline pages: a run of 1..want free blocks, and the writing of their content (whole
  // blocks). What they are given is reported to the sink as referenced.
  struct Callbacks {
    TreeWriter::Allocate allocate;
    TreeWriter::Write write;
  };
  // All must outlive the visitor.
  ApplyVisitor(TreeWriter& tree, SpaceSink& sink, Callbacks callbacks);
  ~ApplyVisitor() override;

  // After the last batch and before TreeWriter::write_out: gives inline pages their blocks and
  // stores the attributes that are still in memory.
  Status finish();

  Status put_inode(Ino ino, const InodeItem& item) override;
  Status delete_inode(Ino ino) override;
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const DirentTarget& target) override;
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override;
  Status put_extent(Ino ino, uint64_t page, BlockNo first, std::span<const uint32_t> crcs) override;
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override;
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override;
  Status punch(Ino ino, uint64_t from, uint64_t to) override;
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override;
  Status del_xattr(Ino ino, std::string_view name) override;
  Status put_orphan(Ino ino) override;
  Status del_orphan(Ino ino) override;
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override;

  struct Statistics {
    uint64_t operations = 0;
    uint64_t inline_pages_written = 0;     // got a block at finish()
    uint64_t inline_pages_superseded = 0;  // replaced before they needed one
    uint64_t inodes_created = 0;
    uint64_t inodes_deleted = 0;
    uint64_t inos_reused = 0;  // of those created: had a recycled number
  };
  const Statistics& statistics() const { return statistics_; }
  // Inode numbers that were given attributes, as often as they were.
  std::vector<Ino> take_put_inodes() { return std::move(put_inodes_); }

 private:
  struct State;
  TreeWriter& tree_;
  SpaceSink& sink_;
  Callbacks callbacks_;
  Statistics statistics_;
  std::vector<Ino> put_inodes_;
  std::unique_ptr<State> state_;
};

}  // namespace scalefs::diskfs
