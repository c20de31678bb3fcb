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
    "INO-RECYCLED",    "MNODE-DOUBLE",    "MNODE-MARK",      "DATA-CHECKSUM",
    "DATA-IO",         "TREE-FALLBACK",   "JOURNAL-LOST",
};
static_assert(sizeof kNames / sizeof kNames[0] == static_cast<size_t>(Code::count_));

}  // namespace

const char* code_name(Code code) { return kNames[static_cast<size_t>(code)]; }

bool is_note(Code code) { return code == Code::sb_old; }

std::vector<uint64_t> Findings::inodes() const {
  std::vector<uint64_t> inodes;
  for (const Finding& finding : list_) {
    if (finding.ino != 0) inodes.push_back(finding.ino);
  }
  return inodes;
}

void Findings::name_inodes(const std::function<std::string(uint64_t ino)>& path) {
  for (Finding& finding : list_) {
    if (finding.ino == 0) continue;
    finding.text = path(finding.ino) + ": " + finding.text;
    finding.ino = 0;
  }
}

void Findings::add(Code code, std::string text, uint64_t ino) {
  if (++counts_[static_cast<size_t>(code)] > per_code_max_) {
    ++omitted_;
    return;
  }
  list_.push_back({code, std::move(text), ino});
}

void Findings::add(const Findings& more) {
  uint64_t listed[static_cast<size_t>(Code::count_)] = {};
  for (const Finding& finding : more.list_) {
    add(finding.code, finding.text, finding.ino);
    ++listed[static_cast<size_t>(finding.code)];
  }
  for (size_t i = 0; i < static_cast<size_t>(Code::count_); ++i) {
    counts_[i] += more.counts_[i] - listed[i];
    omitted_ += more.counts_[i] - listed[i];
  }
}

uint64_t Findings::errors() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < static_cast<size_t>(Code::count_); ++i) {
    if (!is_note(static_cast<Code>(i))) sum += counts_[i];
  }
  return sum;
}

}  // namespace scalefs::diskfs
