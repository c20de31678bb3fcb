// scan_tree of tree_scan.h: the parts of a tree, scanned by several threads, and put together.
#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "base/mutex.h"
#include "diskfs/check/parallel.h"
#include "diskfs/check/tree_scan.h"

namespace scalefs::diskfs {

namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T>&& more) {
  if (to.empty()) {
    to = std::move(more);
  } else {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    std::vector<T>().swap(more);
  }
}

void scan_part(NodeStore& store, const std::vector<TreePart>& parts, size_t index, TreeScan& scan) {
  const auto walk = [&](const TreePart& part) {
    if (part.lost) scan.lose(part.range);
    return walk_part(store, part, scan).ok();  // false when the scan has seen enough
  };
  scan.begin(parts[index].range);
  walk(parts[index]);
  scan.begin_tail();
  for (size_t i = index + 1; i < parts.size() && scan.wants(parts[i].range.low); ++i) {
    if (!walk(parts[i])) break;
  }
  scan.finish();
}

// Who references blocks that are referenced more than once, in the order of the tree.
class Claims final : public TreeWalkVisitor {
 public:
  Claims(const std::vector<uint64_t>& twice, Findings& findings)
      : open_(twice.begin(), twice.end()), findings_(findings) {}

  bool node(const NodeInfo& info) override {
    claim({info.block, 1}, [&] { return fmt::format("a tree node of level {}", info.level); });
    return info.fault == NodeFault::none;
  }
  bool item(const Key& key, ConstBytes value, BlockNo) override {
    Mapping mapping;
    if (key.ino == 0 || key.type != static_cast<uint8_t>(ItemType::mapping)) return true;
    if (!decode_mapping(key.offset, value, &mapping).ok()) return true;
    if (mapping.kind != Mapping::Kind::extent) return true;
    claim({mapping.block, mapping.count},
          [&] { return fmt::format("inode {}, page {}", key.ino, mapping.page); });
    return true;
  }

 private:
  template <class What>
  void claim(BlockRun run, What what) {
    bool told = false;
    for (uint64_t block = run.first.v; block - run.first.v < run.count; ++block) {
      if (!open_.contains(block) || claimed_.insert(block).second || told) continue;
      findings_.add(Code::block_double,
                    fmt::format("block {} is referenced again by {}", block, what()));
      told = true;
    }
  }

  const std::unordered_set<uint64_t> open_;
  std::unordered_set<uint64_t> claimed_;
  Findings& findings_;
};

}  // namespace

void TreeScanResult::add(TreeScanResult&& more) {
  findings.add(more.findings);
  append(table.inodes, std::move(more.table.inodes));
  append(table.names, std::move(more.table.names));
  append(table.orphans, std::move(more.table.orphans));
  append(table.recycled, std::move(more.table.recycled));
  if (table.marks.empty()) table.marks = std::move(more.table.marks);  // one part has them all
  append(twice, std::move(more.twice));
  complete &= more.complete;
  nodes += more.nodes;
  pages += more.pages;
}

TreeScanResult scan_tree(NodeStore& store, const Superblock& sb, BlockRefs& refs, size_t workers,
                         const std::function<void(uint64_t inodes)>& progress) {
  TreeScanResult all;
  TreeScan spine(sb, refs, all);
  auto parts = split_tree(store, sb.root, spine);
  SCALEFS_CHECK(parts.ok());  // the height was checked with the superblock
  std::vector<TreeScanResult> results(parts->size());
  Mutex progress_mutex;
  uint64_t inodes = 0;
  share_work(workers, parts->size(), [&](size_t, size_t index) {
    TreeScan scan(sb, refs, results[index]);
    scan_part(store, *parts, index, scan);
    if (!progress) return;
    MutexLock lock(progress_mutex);
    inodes += results[index].table.inodes.size();
    progress(inodes);
  });
  for (TreeScanResult& result : results) all.add(std::move(result));
  if (!all.twice.empty()) {
    Claims claims(all.twice, all.findings);
    (void)walk_tree(store, sb.root, claims);
  }
  return all;
}

}  // namespace scalefs::diskfs
