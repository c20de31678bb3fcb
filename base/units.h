// Sizes and limits that several rooms share, and strong ids. Limits of the format: FORMAT.md.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace scalefs {

inline constexpr size_t kBlockBytes = 4096;  // unit of the device, of the tree and of a page
inline constexpr unsigned kBlockShift = 12;
inline constexpr size_t kNameBytesMax = 255;
inline constexpr uint64_t kFileBytesMax = uint64_t{16} << 40;  // 16 TiB
inline constexpr uint64_t kVolumeBytesMin = uint64_t{16} << 20;
inline constexpr uint64_t kVolumeBytesMax = uint64_t{64} << 40;
inline constexpr size_t kSymlinkBytesMax = 4095;
inline constexpr size_t kXattrNameBytesMax = 255;
inline constexpr size_t kXattrValueBytesMax = 65536;
inline constexpr uint32_t kLinksMax = 1u << 31;

template <class Tag>
struct StrongId {
  uint64_t v = 0;
  constexpr StrongId() = default;
  constexpr explicit StrongId(uint64_t value) : v(value) {}
  constexpr explicit operator bool() const { return v != 0; }
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

// What users see: st_ino and the FUSE node id. Core in the low kCoreBits bits, that core's counter
// above; below 2^53; never reused; 1 is the root; 0 is none.
using MnodeNo = StrongId<struct MnodeNoTag>;
// Dense disk slot of an inode, recycled. 1 is the root; 0 is none.
using Ino = StrongId<struct InoTag>;
// A block of the device, counted in kBlockBytes from its start. 0 (the superblock area) is none.
using BlockNo = StrongId<struct BlockNoTag>;

inline constexpr MnodeNo kRootMnode{1};
inline constexpr Ino kRootIno{1};
inline constexpr uint64_t kMnodeNoLimit = uint64_t{1} << 53;

}  // namespace scalefs

template <class Tag>
struct std::hash<scalefs::StrongId<Tag>> {
  size_t operator()(const scalefs::StrongId<Tag>& id) const {
    return std::hash<uint64_t>()(id.v * 0x9e3779b97f4a7c15ull);
  }
};
