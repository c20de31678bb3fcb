// Damaged superblocks: the scan of the copies ends with a superblock that is one of them, inside the
// device, and is encoded again to the same bytes, or with a reason.
#include "diskfs/superblock_scan.h"

#include <cstring>

#include "base/aligned_buffer.h"
#include "tests/fuzz/support/image_target.h"

using namespace scalefs;
using namespace scalefs::diskfs;
using namespace scalefs::fuzz;

const std::vector<PlaceKind> scalefs::fuzz::kKinds{PlaceKind::superblock};

namespace {

// What a decoder took is what an encoder writes, but for reserved bytes, which readers ignore.
void require_encoding(BlockDevice& device, const SuperblockCopy& copy) {
  AlignedBuffer block(kBlockBytes), again(kBlockBytes);
  require(device.read(BlockNo(copy.block), block.span()).ok(), "a copy cannot be read");
  encode_superblock(copy.sb, copy.block, again.span().first<kBlockBytes>());
  RawSuperblock was, is;
  std::memcpy(&was, block.data(), sizeof was);
  std::memcpy(&is, again.data(), sizeof is);
  was.reserved0 = was.reserved1 = 0;
  std::memset(was.reserved2, 0, sizeof was.reserved2);
  was.crc = is.crc;
  require(std::memcmp(&was, &is, sizeof is) == 0, "a superblock is encoded to other bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  const auto device = image_of(data, size);
  const SuperblockScan scan = scan_superblocks(*device);
  for (const SuperblockCopy& copy : scan.copies) {
    if (copy.error == 0) {
      require_encoding(*device, copy);
    } else {
      require(!copy.why.empty(), "a copy is refused without a reason");
    }
  }
  if (!scan.newest) {
    require(scan.error != 0 && !scan.why.empty(), "no superblock, and no reason");
    return 0;
  }
  const Superblock& newest = scan.copies[*scan.newest].sb;
  require(newest.geometry.block_count <= device->block_count(), "a volume larger than its device");
  for (const SuperblockCopy& copy : scan.copies) {
    require(copy.error != 0 || copy.sb.generation <= newest.generation, "a newer copy is passed over");
  }
  if (canary_wanted() && newest.label != unmounted_image().superblock.label) canary_found();
  return 0;
}
