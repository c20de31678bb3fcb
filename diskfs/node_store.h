// Reads tree nodes: through a bounded cache, verified against what the parent promises. Nodes are
// immutable; a handle keeps its node alive after the cache dropped it.
//
// A block may be reused by a later checkpoint, so a cached node counts as a hit only if generation
// and checksum are those that the caller asks for.
//
// Thread safety: every method from any thread. Locks: one mutex a shard, never held across I/O or
// while another is held; one for the list of reported blocks.
//
// Errors: EIO (device), EUCLEAN (not the node that was promised, found twice). The first finding of
// each damaged block is logged, with the inode that owns the range; later ones are only counted.
#pragma once

#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/atomic.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "base/result.h"
#include "diskfs/block_device.h"
#include "diskfs/node_format.h"

namespace scalefs::diskfs {

// One verified node in memory, counted in MemoryClass::tree_node.
class Node {
 public:
  explicit Node(AlignedBuffer page);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  NodeView view() const { return NodeView(page_.data()); }

 private:
  AlignedBuffer page_;
};
using NodeRef = std::shared_ptr<const Node>;

class NodeStore {
 public:
  struct Options {
    size_t cache_bytes = 32u << 20;
    // Keeps only these bits of the hash of an attribute's name; tests provoke collisions with it.
    uint64_t xattr_hash_mask = UINT64_MAX;
  };
  // `device` must outlive the store.
  NodeStore(BlockDevice& device, const uint8_t uuid[16], const HashKey& hash_key,
            const Options& options);
  NodeStore(BlockDevice& device, const uint8_t uuid[16], const HashKey& hash_key)
      : NodeStore(device, uuid, hash_key, Options()) {}
  ~NodeStore();

  Result<NodeRef> read(const NodeAddress& address, uint32_t level, const KeyRange& range);
  // Like read, past the cache, and tells what is wrong instead of logging it.
  NodeRef read_uncached(const NodeAddress& address, uint32_t level, const KeyRange& range,
                        NodeFault* fault);
  // Puts a node that was just written into the cache.
  void insert(NodeRef node);

  uint64_t xattr_hash(std::string_view name) const {
    return siphash24(hash_key_, name) & xattr_hash_mask_;
  }
  const uint8_t* uuid() const { return uuid_; }
  uint64_t device_blocks() const { return device_blocks_; }

  uint64_t nodes_read() const { return nodes_read_.get(); }    // from the device
  uint64_t corruptions() const { return corruptions_.get(); }  // failed verifications and items
  size_t cached_nodes() const;
  // Counts damage inside a node (an item that does not decode), and logs it once a block.
  void report_damage(BlockNo block, uint64_t owner_ino, const char* what);

 private:
  struct Shard;
  Shard& shard_of(BlockNo block) const;
  NodeRef cached(const NodeAddress& address);

  BlockDevice& device_;
  uint8_t uuid_[16];
  HashKey hash_key_;
  uint64_t xattr_hash_mask_;
  uint64_t device_blocks_;
  size_t nodes_per_shard_;
  std::unique_ptr<Shard[]> shards_;
  RelaxedCounter nodes_read_;
  RelaxedCounter corruptions_;
  Mutex reported_mutex_;
  std::vector<uint64_t> reported_ GUARDED_BY(reported_mutex_);  // sorted, bounded
};

}  // namespace scalefs::diskfs
