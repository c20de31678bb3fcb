#include "tests/support/disk_history.h"

#include <algorithm>

#include "base/hash.h"
#include "diskfs/format.h"

namespace scalefs::diskfs {

void format_tiny(BlockDevice& device, uint64_t journal_blocks) {
  FormatOptions options;
  options.uuid = Uuid{7, 7, 7};
  options.hash_key = HashKey{1, 2};
  options.time_ns = 1'000'000'000;
  options.geometry.tiny = true;
  options.geometry.group_blocks = 256;
  options.geometry.journal_blocks = journal_blocks;
  std::string why;
  ASSERT_TRUE(format(device, options, &why).ok()) << why;
}

std::unique_ptr<DiskFs> mount_or_fail(BlockDevice& device, bool read_only) {
  MountOptions options;
  options.read_only = read_only;
  options.node_cache_bytes = 1u << 20;
  std::string why;
  auto fs = DiskFs::mount(device, options, &why);
  EXPECT_TRUE(fs.ok()) << why;
  return fs.ok() ? std::move(*fs) : nullptr;
}

// Gives every operation to the batch and to the model, so that what follows in the same batch knows
// what is there.
struct DiskHistory::Building {
  DiskFs& fs;
  Batch& batch;
  ApplyModel& model;

  template <class... Args>
  void add(void (Batch::*encode)(Args...), Status (ApplyModel::*apply)(Args...),
           std::type_identity_t<Args>... args) {
    (batch.*encode)(args...);
    EXPECT_TRUE((model.*apply)(args...).ok());
  }
  bool full(const DiskHistory& history) const {
    return fs.allocator().free_blocks() < history.free_blocks_min;
  }
};

void DiskHistory::adopt(DiskFs& fs) {
  ApplyModel model;
  auto root = fs.pin().reader().inode(kRootIno);
  ASSERT_TRUE(root.ok());
  model.inodes[kRootIno.v].item = *root;
  states_.clear();
  states_.emplace(fs.committed_seq(), std::move(model));
}

std::vector<std::byte> DiskHistory::content(size_t max) {
  std::vector<std::byte> bytes(random.percent(30) ? max : random.below(max + 1));
  const size_t filled = random.percent(30) ? bytes.size() / 3 : bytes.size();
  for (size_t i = 0; i < filled; ++i) bytes[i] = static_cast<std::byte>(random.next());
  return bytes;
}

Status DiskHistory::create(Building& to) {
  SCALEFS_TRY(const Ino ino, to.fs.allocate_ino());
  EXPECT_FALSE(to.model.inodes.contains(ino.v)) << "inode " << ino.v << " is in use";
  InodeItem item;
  item.mnode = MnodeNo(next_mnode_++);
  item.mode = random.percent(20) ? 040755 : 0100644;
  item.nlink = 1;
  item.mtime_ns = static_cast<int64_t>(random.next() >> 2);
  to.add(&Batch::put_inode, &ApplyModel::put_inode, ino, item);
  const std::string name = "f" + std::to_string(item.mnode.v);
  to.add(&Batch::put_dirent, &ApplyModel::put_dirent, kRootIno, random.below(1000), name,
         DirentTarget{ino, item.mnode, 8});
  return {};
}

Status DiskHistory::write(Building& to, Ino ino) {
  const uint64_t want = random.between(1, 12);
  SCALEFS_TRY(const BlockRun run, to.fs.allocator().allocate(0, want));
  std::vector<std::byte> bytes(run.count * kBlockBytes);
  std::vector<uint32_t> crcs;
  for (uint64_t i = 0; i < run.count; ++i) {
    std::byte* const block = bytes.data() + i * kBlockBytes;
    for (size_t word = 0; word < kBlockBytes; word += 512) store_le(block + word, random.next());
    crcs.push_back(crc32c(block, kBlockBytes));
  }
  SCALEFS_TRY_VOID(to.fs.write_data(run.first, bytes));
  to.add(&Batch::put_extent, &ApplyModel::put_extent, ino, random.below(40), run.first, crcs);
  return {};
}

void DiskHistory::change(Building& to, Ino ino) {
  const std::string name = "n" + std::to_string(random.below(20));
  const uint64_t hash = random.below(8);
  const bool full = to.full(*this);
  switch (random.below(full ? 4 : 9)) {
    case 0: {
      const uint64_t from = random.below(40);
      to.add(&Batch::punch, &ApplyModel::punch, ino, from,
             random.percent(30) ? UINT64_MAX : from + random.between(1, 20));
      break;
    }
    case 1: to.add(&Batch::del_dirent, &ApplyModel::del_dirent, ino, hash, name); break;
    case 2: to.add(&Batch::del_xattr, &ApplyModel::del_xattr, ino, "user." + name); break;
    case 3: {
      InodeItem item = to.model.inodes.at(ino.v).item;
      item.size = random.below(1u << 20);
      to.add(&Batch::put_inode, &ApplyModel::put_inode, ino, item);
      break;
    }
    case 4:
      to.add(&Batch::put_dirent, &ApplyModel::put_dirent, ino, hash, name,
             DirentTarget{Ino(random.between(1, 99)), MnodeNo(random.between(1, 99)), 8});
      break;
    case 5:
      to.add(&Batch::put_xattr, &ApplyModel::put_xattr, ino, "user." + name,
             content(random.percent(90) ? 200 : 3000));
      break;
    case 6:
      to.add(&Batch::put_inline, &ApplyModel::put_inline, ino, random.below(20),
             content(random.percent(50) ? 300 : kBlockBytes));
      break;
    case 7:
      to.add(&Batch::put_unwritten, &ApplyModel::put_unwritten, ino, random.below(40),
             random.between(1, 20));
      break;
    default:
      to.add(&Batch::set_mnode_mark, &ApplyModel::set_mnode_mark,
             static_cast<uint32_t>(random.below(4)), next_mnode_ + random.below(100));
  }
}

void DiskHistory::remove(Building& to, Ino ino) {
  if (random.percent(30)) {
    to.add(&Batch::put_orphan, &ApplyModel::put_orphan, ino);
    return;
  }
  to.add(&Batch::delete_inode, &ApplyModel::delete_inode, ino);
}

Status DiskHistory::fill(DiskFs& fs, size_t operations, Batch* batch) {
  filled_ = newest();
  Building to{fs, *batch, filled_};
  for (size_t i = 0; i < operations; ++i) {
    auto at = filled_.inodes.begin();
    std::advance(at, static_cast<ptrdiff_t>(random.below(filled_.inodes.size())));
    const Ino ino(at->first);
    const bool full = to.full(*this);
    const uint64_t choice = random.below(100);
    if (choice < 20 && !full) {
      SCALEFS_TRY_VOID(create(to));
    } else if (choice < 45 && !full) {
      SCALEFS_TRY_VOID(write(to, ino));
    } else if (choice < (full ? 60 : 55) && ino != kRootIno) {
      remove(to, ino);
    } else {
      change(to, ino);
    }
    if (batch->size_bytes() > fs.batch_bytes_max() - 4500) break;
  }
  return {};
}

Result<uint64_t> DiskHistory::commit(DiskFs& fs, const Batch& batch) {
  states_[fs.committed_seq() + 1] = filled_;
  return fs.commit(batch);
}

Result<uint64_t> DiskHistory::step(DiskFs& fs, size_t operations) {
  Batch batch;
  SCALEFS_TRY_VOID(fill(fs, operations, &batch));
  return commit(fs, batch);
}

void DiskHistory::go_back(uint64_t sequence) {
  states_.erase(states_.upper_bound(sequence), states_.end());
}

void DiskHistory::forget_before(uint64_t sequence) {
  states_.erase(states_.begin(), states_.lower_bound(sequence));
}

}  // namespace scalefs::diskfs
