#include "tests/support/full_volume.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "diskfs/batch_scan.h"
#include "diskfs/format.h"
#include "diskfs/overlay_device.h"
#include "diskfs/memory_device.h"
#include "diskfs/recovery.h"
#include "diskfs/space_map.h"
#include "diskfs/tree_walk.h"
#include "tests/support/random_volume.h"
#include "volume/volume.h"

namespace scalefs::testing {

namespace {

using diskfs::ByteVector;
using diskfs::Mapping;
using diskfs::RandomVolume;

constexpr uint64_t kJournalBlocks = 16;
constexpr uint64_t kGroupBlocks = 64;
constexpr int kBatches = 6;
// What a mount needs to bring the batches into the tree.
constexpr uint64_t kSpareBlocks = 24;

ByteVector bytes_of(Random& random, size_t size) {
  ByteVector bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

class Builder {
 public:
  Builder() {
    diskfs::FormatOptions options;
    options.label = "full";
    options.uuid = diskfs::Uuid{0xf0, 1, 2, 3};
    options.hash_key = HashKey{0x1357, 0x2468};
    options.time_ns = 1'600'000'000'000'000'000;
    options.geometry = {kGroupBlocks, kJournalBlocks, true};
    std::string why;
    EXPECT_TRUE(diskfs::format(device_, options, &why).ok()) << why;
    auto fs = diskfs::DiskFs::mount(device_, {}, &why);
    EXPECT_TRUE(fs.ok()) << why;
    fs_ = std::move(*fs);
    volume_ = std::make_unique<RandomVolume>(*fs_, 1);
  }

  void fill();
  void add_batch(int number, FullVolume* to);
  void take_state(FullVolume* to);
  diskfs::MemoryDevice& stop() {
    volume_.reset();
    fs_.reset();
    return device_;
  }

 private:
  void make_names();
  std::vector<ByteVector> pages(size_t count) {
    std::vector<ByteVector> pages(count);
    for (ByteVector& page : pages) page = bytes_of(volume_->random, kBlockBytes);
    return pages;
  }
  Ino make_file(Ino dir, const std::string& name, size_t count) {
    const Ino file = volume_->make(dir, name, S_IFREG | 0644);
    volume_->write(file, 0, pages(count));
    volume_->set_size(file, count * kBlockBytes - 100);
    return file;
  }

  diskfs::MemoryDevice device_{FullVolume::kBlocks};
  std::unique_ptr<diskfs::DiskFs> fs_;
  std::unique_ptr<RandomVolume> volume_;
  Ino changed_, dir_;
};

void Builder::make_names() {
  RandomVolume& v = *volume_;
  dir_ = v.make(kRootIno, "directory", S_IFDIR | 0755);
  for (int i = 0; i < 60; ++i) {
    const Ino file = v.make(dir_, fmt::format("small file number {}", i), S_IFREG | 0600);
    v.write_inline(file, 0, bytes_of(v.random, 40));
    v.set_size(file, 40);
    if (i % 10 == 9) v.commit();
  }
  const Ino below = v.make(dir_, "below", S_IFDIR | S_ISGID | 0750);
  v.symlink(below, "link", "../small file number 7");
  v.make(below, "fifo", S_IFIFO | 0600);
  v.make(below, "device", S_IFCHR | 0600, 0x501);
  const Ino twice = v.make(below, "twice", S_IFREG | 0600);
  v.link(twice, kRootIno, "twice again");
  v.commit();
  for (int i = 0; i < 4; ++i) {
    v.set_xattr(twice, fmt::format("user.a{}", i), bytes_of(v.random, 500));
  }
  v.set_xattr(twice, "user.parts", bytes_of(v.random, 5000));
  v.make(below, "open", S_IFREG | 0600);
  v.commit();
  v.unlink(below, "open", true);
  v.commit();
}

void Builder::fill() {
  make_names();
  changed_ = make_file(kRootIno, "changed", 8);
  const Ino holes = make_file(kRootIno, "holes", 1);
  volume_->write(holes, 5, pages(2));
  volume_->allocate(holes, 2, 2);
  volume_->set_size(holes, 9 * kBlockBytes);
  volume_->commit();
  EXPECT_TRUE(fs_->checkpoint().ok());
  for (int i = 0; fs_->allocator().free_blocks() > kSpareBlocks; ++i) {
    const uint64_t room = fs_->allocator().free_blocks() - kSpareBlocks;
    make_file(dir_, fmt::format("large {}", i), std::min<uint64_t>(room, 20));
    volume_->commit();
    EXPECT_TRUE(fs_->checkpoint().ok());
    EXPECT_TRUE(fs_->checkpoint().ok());  // releases what the one before has freed
  }
}

// Each nearly fills a block of the journal.
void Builder::add_batch(int number, FullVolume* to) {
  RandomVolume& v = *volume_;
  v.make(kRootIno, fmt::format("late {}", number), S_IFREG | 0600);
  v.rename(dir_, fmt::format("small file number {}", number), kRootIno,
           fmt::format("moved {}", number));
  v.set_xattr(changed_, fmt::format("user.late{}", number), bytes_of(v.random, 3000));
  v.write(changed_, static_cast<uint64_t>(number), pages(1));
  v.commit();
  take_state(to);
}

void Builder::take_state(FullVolume* to) {
  auto copy = device_.clone();
  volume::VolumeOptions options;
  options.threads = false;
  options.read_only = true;
  std::string why;
  auto mounted = volume::Volume::mount(*copy, options, &why);
  ASSERT_TRUE(mounted.ok()) << why;
  to->states.push_back(take_content((*mounted)->fs()));
}

// Which bytes a tree uses.
class Usage final : public diskfs::TreeWalkVisitor {
 public:
  // `nodes_found`: nodes are read in any case; `data_found`: so is data.
  Usage(FullVolume& to, bool data_found) : to_(to), data_found_(data_found) {}

  bool node(const NodeInfo& info) override {
    EXPECT_EQ(info.fault, diskfs::NodeFault::none);
    const uint64_t start = info.block.v * kBlockBytes;
    const size_t entry = info.level == 0 ? diskfs::kLeafSlotBytes : diskfs::kChildEntryBytes;
    use(start, diskfs::kNodeHeaderBytes + info.count * entry, true);
    for (size_t i = 0; i < diskfs::kNodeHeaderBytes; ++i) to_.header[start + i] = true;
    values_end_ = start + kBlockBytes;
    return true;
  }
  bool item(const diskfs::Key& key, ConstBytes value, BlockNo) override {
    values_end_ -= value.size();
    use(values_end_, value.size(), true);
    Mapping mapping;
    if (key.type != static_cast<uint8_t>(diskfs::ItemType::mapping)) return true;
    EXPECT_TRUE(decode_mapping(key.offset, value, &mapping).ok());
    if (mapping.kind == Mapping::Kind::extent) {
      use(mapping.block.v * kBlockBytes, mapping.count * kBlockBytes, data_found_);
    }
    return true;
  }

 private:
  void use(uint64_t first, uint64_t count, bool found) {
    for (uint64_t i = first; i < first + count; ++i) {
      if (i >= to_.in_use.size()) continue;  // replayed beside the device
      to_.in_use[i] = true;
      if (found) to_.found_always[i] = true;
    }
  }
  FullVolume& to_;
  const bool data_found_;
  uint64_t values_end_ = 0;
};

void mark(std::vector<bool>& to, uint64_t first, uint64_t count, bool value = true) {
  for (uint64_t i = first; i < first + count; ++i) to[i] = value;
}

// Superblocks, table and maps.
void mark_fixed_places(const diskfs::Superblock& sb, diskfs::BlockDevice& device, FullVolume* v) {
  constexpr uint64_t kFields = 336, kCrcBytes = 4;
  std::vector<std::pair<uint64_t, uint64_t>> used;
  for (const uint64_t block : diskfs::superblock_places(sb.geometry.block_count)) {
    used.emplace_back(block * kBlockBytes, kFields);
    used.emplace_back((block + 1) * kBlockBytes - kCrcBytes, kCrcBytes);
  }
  const diskfs::Geometry& g = sb.geometry;
  const uint64_t table = g.table_first[sb.table.copy];
  used.emplace_back(table * kBlockBytes,
                    diskfs::kTableHeaderBytes + g.group_count * diskfs::kTableEntryBytes);
  std::vector<std::byte> block(kBlockBytes);
  ASSERT_TRUE(device.read(BlockNo(table), block).ok());
  for (uint64_t group = 0; group < g.group_count; ++group) {
    diskfs::RawTableEntry entry;
    std::memcpy(&entry, block.data() + diskfs::kTableHeaderBytes + group * sizeof entry, sizeof entry);
    if (entry.generation == 0) continue;
    const uint32_t copy = (entry.copy_and_free & diskfs::kGroupCopyBit) != 0 ? 1 : 0;
    used.emplace_back(g.map_first(group, copy) * kBlockBytes, (g.blocks_in_group(group) + 7) / 8);
  }
  for (const auto& [first, count] : used) {
    mark(v->in_use, first, count);
    mark(v->found_always, first, count);
    mark(v->header, first, count);
  }
}

void mark_journal(const diskfs::Superblock& sb, diskfs::BlockDevice& device, FullVolume* v) {
  std::string why;
  const auto journal = recover_journal(device, sb, false, &why);
  ASSERT_TRUE(journal.ok()) << why;
  ASSERT_EQ(journal->batches.size() + 1, v->states.size());
  uint64_t position = sb.journal_scan;
  for (const auto& batch : journal->batches) {
    const bool last = batch == journal->batches.back();
    const uint64_t bytes = diskfs::kBatchHeaderBytes + batch->payload().size();
    for (uint64_t i = 0; i < bytes; ++i) {
      const uint64_t block = (position + i / kBlockBytes) % sb.geometry.journal_blocks;
      const uint64_t at = (sb.geometry.journal_first + block) * kBlockBytes + i % kBlockBytes;
      v->in_use[at] = true;
      v->found_always[at] = !last;
    }
    for (uint64_t i = 0; last && i < diskfs::batch_blocks(batch->payload().size()); ++i) {
      const uint64_t block = (position + i) % sb.geometry.journal_blocks;
      mark(v->last_batch, (sb.geometry.journal_first + block) * kBlockBytes, kBlockBytes);
    }
    position += diskfs::batch_blocks(batch->payload().size());
    ASSERT_TRUE(diskfs::visit_extents(batch->payload(), [&](BlockNo first, auto crcs) -> Status {
                  mark(v->in_use, first.v * kBlockBytes, crcs.size() * kBlockBytes);
                  if (!last) return {};
                  mark(v->last_batch, first.v * kBlockBytes, crcs.size() * kBlockBytes);
                  mark(v->found_always, first.v * kBlockBytes, crcs.size() * kBlockBytes, false);
                  return {};
                }).ok());
  }
}

// Of the checkpoint, or of what a mount makes of it.
void mark_tree(diskfs::BlockDevice& device, bool replayed, FullVolume* v) {
  std::string why;
  auto sb = diskfs::read_newest_superblock(device, &why);
  ASSERT_TRUE(sb.ok()) << why;
  diskfs::NodeStore store(device, sb->uuid.data(), sb->hash_key);
  Usage usage(*v, replayed);
  ASSERT_TRUE(walk_tree(store, sb->root, usage).ok());
}

}  // namespace

FullVolume make_full_volume() {
  FullVolume v;
  Builder builder;
  builder.fill();
  builder.take_state(&v);
  for (int i = 0; i < kBatches; ++i) builder.add_batch(i, &v);
  diskfs::MemoryDevice& device = builder.stop();
  v.bytes.resize(FullVolume::kBlocks * kBlockBytes);
  EXPECT_TRUE(device.read(BlockNo(0), v.bytes).ok());
  for (auto* marks : {&v.in_use, &v.found_always, &v.last_batch, &v.header}) {
    marks->resize(v.bytes.size());
  }
  std::string why;
  const auto sb = diskfs::read_newest_superblock(device, &why);
  EXPECT_TRUE(sb.ok()) << why;
  if (!sb.ok()) return v;
  mark_tree(device, false, &v);
  {
    // Nodes that a mount writes stand on free blocks, which mean nothing yet.
    FullVolume after = v;
    diskfs::OverlayDevice overlay(device);
    EXPECT_TRUE(diskfs::DiskFs::mount(overlay, {}, &why).ok()) << why;
    mark_tree(overlay, true, &after);
    std::vector<std::byte> block(kBlockBytes);
    for (uint64_t b = 0; b < FullVolume::kBlocks; ++b) {
      EXPECT_TRUE(overlay.read(BlockNo(b), block).ok());
      const uint64_t at = b * kBlockBytes;
      if (std::memcmp(block.data(), v.bytes.data() + at, kBlockBytes) != 0) continue;
      for (uint64_t i = at; i < at + kBlockBytes; ++i) {
        v.in_use[i] = after.in_use[i];
        v.found_always[i] = after.found_always[i];
      }
    }
  }
  mark_fixed_places(*sb, device, &v);
  mark_journal(*sb, device, &v);
  return v;
}

}  // namespace scalefs::testing
