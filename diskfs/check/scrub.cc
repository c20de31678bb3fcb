#include "diskfs/check/scrub.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/check/parallel.h"
#include "diskfs/check/path_finder.h"
#include "diskfs/items.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_walk.h"

namespace scalefs::diskfs {

namespace {

// Extents that are gathered before the threads read them, for each thread.
constexpr size_t kGatherPerWorker = 16;

// Walks the tree alone; what it has gathered, threads read, and what they find is told in the tree's
// order.
class Scrub final : public TreeWalkVisitor {
 public:
  Scrub(BlockDevice& device, const Superblock& sb, const CheckOptions& options, ScrubReport& report)
      : device_(device),
        sb_(sb),
        progress_(options.progress),
        report_(report),
        workers_(worker_count(options.workers)),
        total_(sb.geometry.data_blocks() - sb.free_blocks),
        buffers_(workers_) {}

  bool node(const NodeInfo& info) override { return info.fault == NodeFault::none; }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    Extent extent;
    Mapping& mapping = extent.mapping;
    if (key.ino == 0 || key.type != static_cast<uint8_t>(ItemType::mapping) ||
        !decode_mapping(key.offset, value, &mapping).ok() ||
        mapping.kind != Mapping::Kind::extent ||
        !sb_.geometry.is_data_run(mapping.block.v, mapping.count)) {
      return true;
    }
    extent.ino = key.ino;
    gathered_.push_back(std::move(extent));
    if (gathered_.size() >= workers_ * kGatherPerWorker) read_gathered();
    return true;
  }
  void finish() {
    read_gathered();
    end_inode(0);
  }

 private:
  struct Extent {
    uint64_t ino = 0;
    Mapping mapping;
    // found
    uint64_t bad = 0;
    uint64_t first_bad = 0;
    bool unreadable = false;

    void add(uint64_t page) {
      if (bad++ == 0) first_bad = page;
    }
  };

  void read_gathered() {
    share_work(workers_, gathered_.size(),
               [this](size_t worker, size_t index) { verify(worker, gathered_[index]); });
    for (const Extent& extent : gathered_) {
      if (extent.ino != inode_.ino) end_inode(extent.ino);
      if (inode_.bad == 0) inode_.first_bad = extent.first_bad;
      inode_.bad += extent.bad;
      inode_.unreadable |= extent.unreadable;
      report_.blocks += extent.mapping.count;
    }
    gathered_.clear();
    if (progress_) progress_(std::min(report_.blocks, total_), total_);
  }
  void end_inode(uint64_t next) {
    if (inode_.bad > 0) {
      report_.findings.add(inode_.unreadable ? Code::data_io : Code::data_checksum,
                           fmt::format("{} of its blocks are damaged, the first at page {}",
                                       inode_.bad, inode_.first_bad),
                           inode_.ino);
      report_.bad_blocks += inode_.bad;
    }
    inode_ = Extent();
    inode_.ino = next;
  }
  void verify(size_t worker, Extent& extent) {
    const Mapping& mapping = extent.mapping;
    auto& buffer = buffers_[worker];
    if (!buffer) buffer = std::make_unique<AlignedBuffer>(kExtentItemBlocksMax * kBlockBytes);
    const bool read =
        device_.read(mapping.block, buffer->span().first(mapping.count * kBlockBytes)).ok();
    for (uint64_t i = 0; i < mapping.count; ++i) {
      const Bytes block = buffer->block(i);
      if (!read && !device_.read(BlockNo(mapping.block.v + i), block).ok()) {
        extent.unreadable = true;
        extent.add(mapping.page + i);
      } else if (crc32c(block.data(), kBlockBytes) != mapping.crcs[i]) {
        extent.add(mapping.page + i);
      }
    }
  }

  BlockDevice& device_;
  const Superblock& sb_;
  const Progress& progress_;
  ScrubReport& report_;
  const size_t workers_;
  const uint64_t total_;
  std::vector<std::unique_ptr<AlignedBuffer>> buffers_;  // a worker each
  std::vector<Extent> gathered_;
  Extent inode_;  // all extents of the inode so far, together
};

}  // namespace

Result<ScrubReport> scrub_volume(BlockDevice& device, const CheckOptions& options,
                                 std::string* why) {
  SCALEFS_TRY(const Superblock sb, read_newest_superblock(device, why));
  ScrubReport report;
  NodeStore store(device, sb.uuid.data(), sb.hash_key);
  Scrub scrub(device, sb, options, report);
  SCALEFS_TRY_VOID(walk_tree(store, sb.root, scrub));
  scrub.finish();
  if (report.bad_blocks > 0) {
    PathFinder paths(store, sb.root, report.findings.inodes());
    report.findings.name_inodes([&](uint64_t ino) { return paths.path(ino); });
  }
  return report;
}

}  // namespace scalefs::diskfs
