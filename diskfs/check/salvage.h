// The first part of a repair: from a checkpoint and a journal, either of which may be damaged, a tree
// in which every node is sound and every item decodes. What the items say is repair_scan.h's and
// repair_names.h's business. Writes new nodes to free blocks only.
// Not thread-safe. Memory: what RepairSpace and TreeWriter need; a rebuilt tree is written out as it
// grows.
#pragma once

#include <map>

#include "diskfs/check/finding.h"
#include "diskfs/check/repair_space.h"
#include "diskfs/node_store.h"
#include "diskfs/recovery.h"

namespace scalefs::diskfs {

// What was done, and what is lost: both are told to the operator.
struct RepairLog {
  static constexpr uint64_t kListMax = 10'000;
  Findings done{kListMax};
  Findings lost{kListMax};
  std::map<uint64_t, int64_t> names_removed;  // by the repair less those added, by directory
};

struct TreeSurvey {
  uint64_t nodes = 0;
  uint64_t items = 0;
  uint64_t bad_nodes = 0;
  std::vector<Key> bad_items;  // of sound nodes
  bool root_is_bad = false;
};

// Walks the tree and keeps in `space` all that it references.
TreeSurvey survey_tree(NodeStore& store, const TreeRoot& root, RepairSpace& space);

// Puts every item that can be read and decodes into the empty tree `to`. Tells the log what cannot.
// Errors: ENOSPC, and those of writing.
Status copy_tree(NodeStore& store, const TreeRoot& root, TreeWriter& to, RepairSpace& space,
                 uint64_t generation, RepairLog& log);

// Applies the batches; operations for inodes that are lost are left out and told.
// Errors: as TreeWriter, ENOSPC.
Status apply_batches(const CommittedBatches& batches, TreeWriter& tree, RepairSpace& space,
                     RepairLog& log);

// Whether the value is one that an encoder writes for that key.
bool item_decodes(const Key& key, ConstBytes value);

}  // namespace scalefs::diskfs
