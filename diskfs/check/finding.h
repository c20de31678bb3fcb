// What the checker can find. Every kind has a stable code, which tools print and tests name; a code
// is never given another meaning.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/units.h"

namespace scalefs::diskfs {

enum class Code : uint8_t {
  // superblocks
  sb_none,         // no valid copy
  sb_truncated,    // the device is smaller than the volume
  sb_damaged,      // a copy is damaged
  sb_old,          // note: a copy is older than it should be, or was torn: a crash leaves that
  sb_inodes,       // counter of inodes
  sb_free_inos,    // counter of recycled numbers
  sb_next_ino,     // a number is in use that was never given out
  sb_free_blocks,  // counter of free blocks
  // journal
  journal_damaged,  // a batch that was durable cannot be read, or the log contradicts itself
  replay_failed,    // the batches cannot be applied
  // allocation
  table_damaged,
  map_damaged,
  map_leak,      // in use, but nothing references it
  map_free,      // referenced, but free
  block_range,   // a reference to a block that holds no data
  block_double,  // two references
  // nodes
  tree_io,
  tree_checksum,
  tree_magic,
  tree_uuid,
  tree_address,
  tree_generation,
  tree_level,
  tree_structure,
  tree_order,
  // items
  item_decode,
  item_owner,  // of an inode that is not there
  // inodes
  root,
  inode_mode,
  inode_size,
  inode_pages,
  link_count,
  extent_overlap,
  extent_owner,  // a mapping of something that holds no data
  xattr_hash,
  xattr_chunks,
  // names
  dir_entries,
  dir_parent,
  dir_names,
  unreachable,
  dirent_hash,
  dirent_target,
  dirent_type,
  dirent_mnode,
  dirent_owner,
  // numbers
  orphan_linked,
  orphan_missing,
  orphan_unlisted,
  ino_recycled,
  mnode_double,
  mnode_mark,
  // data (scrub) and what a repair did
  data_checksum,  // a block of a file does not have the content that was written
  data_io,        // a block of a file cannot be read
  tree_fallback,  // the tree of an older checkpoint was taken
  journal_lost,   // operations of the journal could not be applied
  count_,
};

const char* code_name(Code code);  // "SB-DAMAGED"
// A note is worth telling, but nothing is wrong.
bool is_note(Code code);

struct Finding {
  Code code;
  std::string text;  // a sentence with the numbers concerned
  uint64_t ino = 0;  // whose path is to be put before the text; 0: none
};

// The findings of one check, bounded: of each code the first kPerCodeMax (or as many as asked for)
// are kept, the others only counted. Not thread-safe.
class Findings {
 public:
  static constexpr uint64_t kPerCodeMax = 100;

  explicit Findings(uint64_t per_code_max = kPerCodeMax) : per_code_max_(per_code_max) {}
  void add(Code code, std::string text, uint64_t ino = 0);
  // Those of another look come behind these.
  void add(const Findings& more);
  // Those whose paths are to be put before texts.
  std::vector<uint64_t> inodes() const;
  // Puts "path: " before the texts that belong to an inode.
  void name_inodes(const std::function<std::string(uint64_t ino)>& path);
  const std::vector<Finding>& list() const { return list_; }
  uint64_t count(Code code) const { return counts_[static_cast<size_t>(code)]; }
  uint64_t errors() const;
  uint64_t omitted() const { return omitted_; }
  bool clean() const { return errors() == 0; }

 private:
  uint64_t per_code_max_;
  std::vector<Finding> list_;
  uint64_t counts_[static_cast<size_t>(Code::count_)] = {};
  uint64_t omitted_ = 0;
};

}  // namespace scalefs::diskfs
