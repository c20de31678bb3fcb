#include "diskfs/check/scrub.h"

#include <fmt/format.h>


#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/check/path_finder.h"
#include "diskfs/items.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

namespace {

class Scrub final : public TreeWalkVisitor {
 public:
  Scrub(BlockDevice& device, const Superblock& sb, const Progress& progress, ScrubReport& report)
      : device_(device),
        sb_(sb),
        progress_(progress),
        report_(report),
        total_(sb.geometry.data_blocks() - sb.free_blocks),
        buffer_(kExtentItemBlocksMax * kBlockBytes) {}

  bool node(const NodeInfo& info) override { return info.fault == NodeFault::none; }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    if (key.ino != ino_) end_inode(key.ino);
    Mapping mapping;
    if (key.type != static_cast<uint8_t>(ItemType::mapping) ||
        !decode_mapping(key.offset, value, &mapping).ok() ||
        mapping.kind != Mapping::Kind::extent ||
        !sb_.geometry.is_data_run(mapping.block.v, mapping.count)) {
      return true;
    }
    verify(mapping);
    report_.blocks += mapping.count;
    if (progress_) progress_(std::min(report_.blocks, total_), total_);
    return true;
  }
  void end_inode(uint64_t next) {
    if (bad_ > 0) {
      report_.findings.add(unreadable_ ? Code::data_io : Code::data_checksum,
                           fmt::format("{} of its blocks are damaged, the first at page {}", bad_,
                                       first_bad_),
                           ino_);
      report_.bad_blocks += bad_;
    }
    ino_ = next;
    bad_ = 0;
    unreadable_ = false;
  }

 private:
  void bad(uint64_t page) {
    if (bad_++ == 0) first_bad_ = page;
  }
  void verify(const Mapping& mapping) {
    const Bytes all = buffer_.span().first(mapping.count * kBlockBytes);
    const bool read = device_.read(mapping.block, all).ok();
    for (uint64_t i = 0; i < mapping.count; ++i) {
      const Bytes block = buffer_.block(i);
      if (!read && !device_.read(BlockNo(mapping.block.v + i), block).ok()) {
        unreadable_ = true;
        bad(mapping.page + i);
      } else if (crc32c(block.data(), kBlockBytes) != mapping.crcs[i]) {
        bad(mapping.page + i);
      }
    }
  }

  BlockDevice& device_;
  const Superblock& sb_;
  const Progress& progress_;
  ScrubReport& report_;
  const uint64_t total_;
  AlignedBuffer buffer_;
  uint64_t ino_ = 0;
  uint64_t bad_ = 0;
  uint64_t first_bad_ = 0;
  bool unreadable_ = false;
};

}  // namespace

Result<ScrubReport> scrub_volume(BlockDevice& device, const Progress& progress, std::string* why) {
  SCALEFS_TRY(const Superblock sb, read_newest_superblock(device, why));
  ScrubReport report;
  NodeStore store(device, sb.uuid.data(), sb.hash_key);
  Scrub scrub(device, sb, progress, report);
  SCALEFS_TRY_VOID(walk_tree(store, sb.root, scrub));
  scrub.end_inode(0);
  if (report.bad_blocks > 0) {
    PathFinder paths(store, sb.root, report.findings.inodes());
    report.findings.name_inodes([&](uint64_t ino) { return paths.path(ino); });
  }
  return report;
}

}  // namespace scalefs::diskfs
