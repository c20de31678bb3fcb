#include "memfs/file_node.h"

#include "memfs/impl.h"

namespace scalefs::memfs {

std::unique_ptr<FileNode> FileNode::make(uint64_t size, uint64_t /*blocks_512*/, bool /*loaded*/) {
  std::unique_ptr<FileNode> node(new FileNode);
  node->size_.store(size, relaxed);
  return node;
}
FileNode::~FileNode() = default;

uint64_t FileNode::size() const { return size_.load(relaxed); }
uint64_t FileNode::blocks_512() const { return (size() + 511) / 512; }

Status FileNode::truncate(MemFs::Impl&, Mnode& mnode, uint64_t size, int64_t) {
  if (size > kFileBytesMax) return Errno(EFBIG);
  mnode.file->size_.store(size, relaxed);
  return {};
}

void FileNode::drop_all(MemFs::Impl&, Mnode&) {}

void MemFs::Impl::mark_times_dirty(Mnode&) {}

}  // namespace scalefs::memfs
