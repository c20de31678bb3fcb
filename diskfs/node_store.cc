#include "diskfs/node_store.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <unordered_map>

#include "base/log.h"
#include "base/memory.h"

namespace scalefs::diskfs {

namespace {
constexpr size_t kShards = 16;
constexpr size_t kReportedMax = 1024;
// What a node takes in memory beside its page: handle, list and map entries.
constexpr size_t kNodeOverheadBytes = 160;
constexpr int64_t kNodeBytes = kBlockBytes + kNodeOverheadBytes;
}  // namespace

Node::Node(AlignedBuffer page) : page_(std::move(page)) {
  memory_count(MemoryClass::tree_node, kNodeBytes);
}

Node::~Node() { memory_count(MemoryClass::tree_node, -kNodeBytes); }

struct NodeStore::Shard {
  using List = std::list<NodeRef>;
  Mutex mutex;
  List recent GUARDED_BY(mutex);  // most recently used first
  std::unordered_map<uint64_t, List::iterator> by_block GUARDED_BY(mutex);
};

NodeStore::NodeStore(BlockDevice& device, const uint8_t uuid[16], const HashKey& hash_key,
                     const Options& options)
    : device_(device),
      hash_key_(hash_key),
      xattr_hash_mask_(options.xattr_hash_mask),
      device_blocks_(device.block_count()),
      nodes_per_shard_(options.cache_bytes / static_cast<size_t>(kNodeBytes) / kShards),
      shards_(new Shard[kShards]) {
  std::memcpy(uuid_, uuid, sizeof(uuid_));
}

NodeStore::~NodeStore() = default;

NodeStore::Shard& NodeStore::shard_of(BlockNo block) const {
  return shards_[(block.v * 0x9e3779b97f4a7c15ull) >> 60];
}

NodeRef NodeStore::cached(const NodeAddress& address) {
  Shard& shard = shard_of(address.block);
  MutexLock lock(shard.mutex);
  const auto found = shard.by_block.find(address.block.v);
  if (found == shard.by_block.end()) return nullptr;
  const NodeRef& node = *found->second;
  if (node->view().address() != address) return nullptr;
  shard.recent.splice(shard.recent.begin(), shard.recent, found->second);
  return node;
}

void NodeStore::insert(NodeRef node) {
  if (nodes_per_shard_ == 0) return;
  const BlockNo block = node->view().address().block;
  Shard& shard = shard_of(block);
  NodeRef dropped;  // freed after the lock
  MutexLock lock(shard.mutex);
  const auto found = shard.by_block.find(block.v);
  if (found != shard.by_block.end()) {
    dropped = std::exchange(*found->second, std::move(node));
    shard.recent.splice(shard.recent.begin(), shard.recent, found->second);
    return;
  }
  shard.recent.push_front(std::move(node));
  shard.by_block.emplace(block.v, shard.recent.begin());
  if (shard.recent.size() > nodes_per_shard_) {
    dropped = std::move(shard.recent.back());
    shard.by_block.erase(dropped->view().address().block.v);
    shard.recent.pop_back();
  }
}

NodeRef NodeStore::read_uncached(const NodeAddress& address, uint32_t level, const KeyRange& range,
                                 NodeFault* fault) {
  if (address.block.v == 0 || address.block.v >= device_blocks_) {
    *fault = NodeFault::address;
    return nullptr;
  }
  AlignedBuffer page(kBlockBytes);
  // Twice: a transfer may fail where a second one does not.
  for (int attempt = 0; attempt < 2; ++attempt) {
    nodes_read_.add(1);
    if (!device_.read(address.block, page.span()).ok()) {
      *fault = NodeFault::io;
      continue;
    }
    *fault = verify_node(page.span(), uuid_, address, level, range);
    if (*fault == NodeFault::none) return std::make_shared<const Node>(std::move(page));
  }
  return nullptr;
}

Result<NodeRef> NodeStore::read(const NodeAddress& address, uint32_t level, const KeyRange& range) {
  NodeRef node = cached(address);
  NodeFault fault = NodeFault::none;
  if (node) {
    // The content was checked when it came in; what the parent promises may differ in a damaged
    // image that names one node twice.
    const NodeView view = node->view();
    if (view.level() != level) {
      fault = NodeFault::level;
    } else if (view.count() == 0 || view.key(0) < range.low ||
               !(view.key(view.count() - 1) < range.high)) {
      fault = NodeFault::range;
    } else {
      return node;
    }
  } else {
    node = read_uncached(address, level, range, &fault);
    if (node) {
      insert(node);
      return node;
    }
  }
  if (fault == NodeFault::io) return Errno(EIO);
  report_damage(address.block, range.low.ino, node_fault_name(fault));
  return Errno(EUCLEAN);
}

size_t NodeStore::cached_nodes() const {
  size_t sum = 0;
  for (size_t i = 0; i < kShards; ++i) {
    MutexLock lock(shards_[i].mutex);
    sum += shards_[i].recent.size();
  }
  return sum;
}

void NodeStore::report_damage(BlockNo block, uint64_t owner_ino, const char* what) {
  corruptions_.add(1);
  {
    MutexLock lock(reported_mutex_);
    const auto place = std::lower_bound(reported_.begin(), reported_.end(), block.v);
    if (place != reported_.end() && *place == block.v) return;
    if (reported_.size() >= kReportedMax) return;
    reported_.insert(place, block.v);
  }
  log_error("tree node in block {} is damaged: {}; it holds items from inode {} on", block.v, what,
            owner_ino);
}

}  // namespace scalefs::diskfs
