#include "diskfs/superblock_scan.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/aligned_buffer.h"

namespace scalefs::diskfs {

namespace {

SuperblockCopy look_at(BlockDevice& device, uint64_t place) {
  SuperblockCopy copy;
  copy.block = place;
  AlignedBuffer block(kBlockBytes);
  Status read = device.read(BlockNo(place), block.span());
  if (!read.ok()) {
    copy.error = read.code();
    copy.why = "cannot be read";
    return copy;
  }
  ConstBytes bytes = block.span();
  auto decoded = decode_superblock(bytes.first<kBlockBytes>(), place, &copy.why);
  if (decoded.ok()) {
    copy.sb = std::move(*decoded);
  } else {
    copy.error = decoded.code();
  }
  return copy;
}

bool has_place(const SuperblockScan& scan, uint64_t place) {
  return std::any_of(scan.copies.begin(), scan.copies.end(),
                     [&](const SuperblockCopy& copy) { return copy.block == place; });
}

// Reads the places that a volume of `block_count` blocks has and that were not looked at yet.
void look_at_places(BlockDevice& device, uint64_t block_count, SuperblockScan* scan) {
  for (uint64_t place : superblock_places(block_count)) {
    if (place < device.block_count() && !has_place(*scan, place)) {
      scan->copies.push_back(look_at(device, place));
    }
  }
}

bool in_ring(const SuperblockCopy& copy) { return copy.block < kSuperblockAreaBlocks; }

std::optional<size_t> newest_of(const SuperblockScan& scan, bool ring_only) {
  std::optional<size_t> newest;
  for (size_t i = 0; i < scan.copies.size(); ++i) {
    const SuperblockCopy& copy = scan.copies[i];
    if (copy.error != 0 || (ring_only && !in_ring(copy))) continue;
    if (!newest || copy.sb.generation > scan.copies[*newest].sb.generation) newest = i;
  }
  return newest;
}

// Copies that are valid but say something that copies of one volume cannot say.
void drop_strangers(SuperblockScan* scan, const Superblock& chosen) {
  for (SuperblockCopy& copy : scan->copies) {
    if (copy.error != 0) continue;
    if (copy.sb.uuid != chosen.uuid) {
      copy.error = EUCLEAN;
      copy.why = "belongs to another volume";
    } else if (copy.sb.geometry != chosen.geometry) {
      copy.error = EUCLEAN;
      copy.why = "has another geometry than the newest copy in the ring";
    }
  }
}

void explain_failure(SuperblockScan* scan) {
  auto pick = [&](int error) -> const SuperblockCopy* {
    for (const SuperblockCopy& copy : scan->copies) {
      if (copy.error == error) return &copy;
    }
    return nullptr;
  };
  if (const SuperblockCopy* newer = pick(ENOTSUP)) {
    scan->error = ENOTSUP;
    scan->why = newer->why;
  } else if (const SuperblockCopy* damaged = pick(EUCLEAN)) {
    scan->error = EUCLEAN;
    scan->why = fmt::format("no valid superblock (block {}: {})", damaged->block, damaged->why);
  } else if (pick(EINVAL) != nullptr) {
    scan->error = EINVAL;
    scan->why = "not a scalefs volume";
  } else {
    scan->error = EIO;
    scan->why = "the superblocks cannot be read";
  }
}

}  // namespace

SuperblockScan scan_superblocks(BlockDevice& device) {
  SuperblockScan scan;
  if (device.block_count() <= kSuperblockAreaBlocks) {
    scan.error = EINVAL;
    scan.why = "too small to be a scalefs volume";
    return scan;
  }
  look_at_places(device, device.block_count(), &scan);
  auto first = newest_of(scan, /*ring_only=*/true);
  if (!first) first = newest_of(scan, /*ring_only=*/false);
  bool newer_format = std::any_of(scan.copies.begin(), scan.copies.end(),
                                  [](const SuperblockCopy& c) { return c.error == ENOTSUP; });
  if (!first || newer_format) {
    explain_failure(&scan);
    return scan;
  }
  Superblock chosen = scan.copies[*first].sb;
  if (chosen.geometry.block_count > device.block_count()) {
    scan.error = EUCLEAN;
    scan.why = fmt::format("truncated: the volume has {} blocks of {} bytes, the device {}",
                           chosen.geometry.block_count, kBlockBytes, device.block_count());
    return scan;
  }
  if (chosen.geometry.block_count < device.block_count()) {
    // The device has grown; what stands at its end is not the volume's.
    std::erase_if(scan.copies, [&](const SuperblockCopy& c) {
      return !in_ring(c) && c.block >= chosen.geometry.block_count;
    });
    look_at_places(device, chosen.geometry.block_count, &scan);
  }
  drop_strangers(&scan, chosen);
  scan.newest = newest_of(scan, /*ring_only=*/false);
  return scan;
}

Result<Superblock> read_newest_superblock(BlockDevice& device, std::string* why) {
  SuperblockScan scan = scan_superblocks(device);
  if (scan.newest) return scan.copies[*scan.newest].sb;
  *why = scan.why;
  return Errno(scan.error);
}

}  // namespace scalefs::diskfs
