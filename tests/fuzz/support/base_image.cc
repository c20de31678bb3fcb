#include "tests/fuzz/support/base_image.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "diskfs/journal_format.h"
#include "diskfs/node_store.h"
#include "diskfs/superblock_scan.h"
#include "diskfs/tree_walk.h"
#include "tests/fuzz/support/fuzzing.h"
#include "tests/support/random_volume.h"

namespace scalefs::fuzz {

using namespace diskfs;

namespace {

class Nodes final : public TreeWalkVisitor {
 public:
  bool node(const NodeInfo& info) override {
    if (info.fault == NodeFault::none) blocks.push_back(info.block.v);
    return true;
  }
  bool item(const Key&, ConstBytes, BlockNo) override { return true; }
  std::vector<uint64_t> blocks;
};

// The nodes of every checkpoint that a superblock still names.
std::map<uint64_t, size_t> find_nodes(BaseImage& image) {
  std::map<uint64_t, size_t> used;
  for (const SuperblockCopy& copy : scan_superblocks(image.device).copies) {
    if (copy.error != 0) continue;
    NodeStore store(image.device, copy.sb.uuid.data(), copy.sb.hash_key);
    Nodes nodes;
    (void)walk_tree(store, copy.sb.root, nodes);
    AlignedBuffer page(kBlockBytes);
    for (const uint64_t block : nodes.blocks) {
      require(image.device.read(BlockNo(block), page.span()).ok(), "a node cannot be read");
      const NodeView view(page.data());
      used[block] = kNodeHeaderBytes +
                    view.count() * (view.is_leaf() ? kLeafSlotBytes : kChildEntryBytes);
    }
  }
  return used;
}

size_t used_bytes(ConstBytes page) {
  size_t used = page.size();
  while (used > 0 && page[used - 1] == std::byte{0}) --used;
  return used;
}

void find_places(BaseImage& image) {
  const Geometry& g = image.superblock.geometry;
  const std::map<uint64_t, size_t> nodes = find_nodes(image);
  const std::vector<uint64_t> superblocks = superblock_places(g.block_count);
  constexpr size_t kDataPlacesMax = 12;
  size_t data_places = 0;
  AlignedBuffer page(kBlockBytes);
  for (uint64_t block = 0; block < g.block_count; ++block) {
    require(image.device.read(BlockNo(block), page.span()).ok(), "a block cannot be read");
    Place place{block, PlaceKind::data, used_bytes(page.span())};
    if (place.used == 0) continue;
    if (std::ranges::find(superblocks, block) != superblocks.end()) {
      place.kind = PlaceKind::superblock;
      place.used = offsetof(RawSuperblock, reserved2) + 8;
    } else if (block < g.journal_first + g.journal_blocks) {
      place.kind = PlaceKind::journal;
    } else if (block < g.maps_first) {
      place.kind = PlaceKind::table;
    } else if (block < g.data_first) {
      place.kind = PlaceKind::map;
    } else if (const auto node = nodes.find(block); node != nodes.end()) {
      place.kind = PlaceKind::node;
      place.used = node->second;
    } else if (++data_places > kDataPlacesMax) {
      continue;
    }
    image.places.push_back(place);
  }
}

std::unique_ptr<DiskFs> mount(BaseImage& image) {
  std::string why;
  auto fs = DiskFs::mount(image.device, {}, &why);
  require(fs.ok(), why);
  return std::move(*fs);
}

void finish(BaseImage& image) {
  std::string why;
  const auto newest = read_newest_superblock(image.device, &why);
  require(newest.ok(), why);
  image.superblock = *newest;
  find_places(image);
}

std::unique_ptr<BaseImage> make(bool crashed) {
  auto image = std::make_unique<BaseImage>();
  format_small(image->device);
  {
    const std::unique_ptr<DiskFs> fs = mount(*image);
    RandomVolume volume(*fs, 7);
    volume.fill();
    for (int i = 0; i < 120; ++i) volume.random_step();
    volume.commit();
    require(fs->checkpoint().ok(), "checkpoint");
    for (int i = 0; i < 20; ++i) volume.random_step();
    volume.commit();
    require(fs->checkpoint().ok(), "checkpoint");
    if (crashed) {
      for (int i = 0; i < 6; ++i) {
        for (int step = 0; step < 5; ++step) volume.random_step();
        volume.commit();
      }
    } else {
      require(fs->unmount().ok(), "unmount");
    }
  }
  finish(*image);
  return image;
}

}  // namespace

const BaseImage& unmounted_image() {
  static const std::unique_ptr<BaseImage> image = make(false);
  return *image;
}

const BaseImage& crashed_image() {
  static const std::unique_ptr<BaseImage> image = make(true);
  return *image;
}

}  // namespace scalefs::fuzz
