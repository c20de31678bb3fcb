#include "diskfs/check/finding.h"

namespace scalefs::diskfs {

namespace {

constexpr const char* kNames[] = {
    "SB-NONE",         "SB-TRUNCATED",    "SB-DAMAGED",     "SB-OLD",
    "SB-INODES",       "SB-FREE-INOS",    "SB-NEXT-INO",    "SB-FREE-BLOCKS",
    "JOURNAL-DAMAGED", "REPLAY-FAILED",   "TABLE-DAMAGED",  "MAP-DAMAGED",
    "MAP-LEAK",        "MAP-FREE",        "BLOCK-RANGE",    "BLOCK-DOUBLE",
    "TREE-IO",         "TREE-CHECKSUM",   "TREE-MAGIC",     "TREE-UUID",
    "TREE-ADDRESS",    "TREE-GENERATION", "TREE-LEVEL",     "TREE-STRUCTURE",
    "TREE-ORDER",      "ITEM-DECODE",     "ITEM-OWNER",     "ROOT",
    "INODE-MODE",      "INODE-SIZE",      "INODE-PAGES",    "LINK-COUNT",
    "EXTENT-OVERLAP",  "EXTENT-OWNER",    "XATTR-HASH",     "XATTR-CHUNKS",
    "DIR-ENTRIES",     "DIR-PARENT",      "DIR-NAMES",      "UNREACHABLE",
    "DIRENT-HASH",     "DIRENT-TARGET",   "DIRENT-TYPE",    "DIRENT-MNODE",
    "DIRENT-OWNER",    "ORPHAN-LINKED",   "ORPHAN-MISSING", "ORPHAN-UNLISTED",
    "INO-RECYCLED",    "MNODE-DOUBLE",    "MNODE-MARK",
};
static_assert(sizeof kNames / sizeof kNames[0] == static_cast<size_t>(Code::count_));

}  // namespace

const char* code_name(Code code) { return kNames[static_cast<size_t>(code)]; }

bool is_note(Code code) { return code == Code::sb_old; }

void Findings::add(Code code, std::string text) {
  if (++counts_[static_cast<size_t>(code)] > kPerCodeMax) {
    ++omitted_;
    return;
  }
  list_.push_back({code, std::move(text)});
}

uint64_t Findings::errors() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < static_cast<size_t>(Code::count_); ++i) {
    if (!is_note(static_cast<Code>(i))) sum += counts_[i];
  }
  return sum;
}

}  // namespace scalefs::diskfs
