#include "diskfs/check/repair_claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "diskfs/check/repair_scan.h"

namespace scalefs::diskfs {

RepairClaims::RepairClaims(const Geometry& geometry, BlockDevice& device, const RepairSpace& space)
    : device_(device), space_(space), seen_((geometry.block_count + 63) / 64) {}

void RepairClaims::reference(const Mapping& mapping) {
  for (uint64_t i = 0; i < mapping.count; ++i) {
    const uint64_t block = mapping.block.v + i;
    const uint64_t bit = uint64_t{1} << (block % 64);
    const bool node = space_.is_node(block);
    if (node || (seen_[block / 64] & bit) != 0) contested_.push_back({block, node, {}});
    seen_[block / 64] |= bit;
  }
}

RepairClaims::Contested* RepairClaims::contested(uint64_t block) {
  const auto found =
      std::lower_bound(contested_.begin(), contested_.end(), block,
                       [](const Contested& c, uint64_t number) { return c.block < number; });
  return found != contested_.end() && found->block == block ? &*found : nullptr;
}

void RepairClaims::choose(uint64_t ino, const Mapping& mapping) {
  AlignedBuffer content(kBlockBytes);
  for (uint64_t i = 0; i < mapping.count; ++i) {
    const uint64_t block = mapping.block.v + i;
    Contested* const c = contested(block);
    if (c == nullptr || c->node || c->owner.by_checksum) continue;
    const bool right = device_.read(BlockNo(block), content.span()).ok() &&
                       crc32c(content.data(), kBlockBytes) == mapping.crcs[i];
    if (right || c->owner.ino == 0) c->owner = {ino, mapping.page + i, right};
  }
}

void RepairClaims::cut(uint64_t ino, const Mapping& mapping, RepairEdits& edits, RepairLog& log) {
  const auto keeps = [&](uint64_t i) {
    const Contested* const c = contested(mapping.block.v + i);
    return c == nullptr || (c->owner.ino == ino && c->owner.page == mapping.page + i);
  };
  bool whole = true;
  for (uint64_t i = 0; i < mapping.count; ++i) whole = whole && keeps(i);
  if (whole) return;
  edits.erase.emplace_back(Ino(ino), ItemType::mapping, mapping.page);
  for (uint64_t from = 0; from < mapping.count;) {
    uint64_t to = from;
    while (to < mapping.count && keeps(to) == keeps(from)) ++to;
    if (keeps(from)) {
      Mapping part;
      part.page = mapping.page + from;
      part.count = to - from;
      part.block = BlockNo(mapping.block.v + from);
      part.crcs.assign(mapping.crcs.begin() + static_cast<ptrdiff_t>(from),
                       mapping.crcs.begin() + static_cast<ptrdiff_t>(to));
      ByteVector value;
      encode_mapping(part, &value);
      edits.put.push_back({Key(Ino(ino), ItemType::mapping, part.page), std::move(value)});
    } else {
      log.lost.add(Code::block_double,
                   fmt::format("pages {} to {} (blocks {} to {} belong to another)",
                               mapping.page + from, mapping.page + to - 1, mapping.block.v + from,
                               mapping.block.v + to - 1),
                   ino);
    }
    from = to;
  }
}

Status RepairClaims::settle(TreeWriter& tree, RepairEdits& edits, RepairLog& log) {
  if (contested_.empty()) return {};
  const auto by_block = [](const Contested& a, const Contested& b) { return a.block < b.block; };
  const auto same = [](const Contested& a, const Contested& b) { return a.block == b.block; };
  std::sort(contested_.begin(), contested_.end(), by_block);
  contested_.erase(std::unique(contested_.begin(), contested_.end(), same), contested_.end());
  // Mappings that are being removed have no say.
  std::vector<Key> gone = edits.erase;
  std::sort(gone.begin(), gone.end());
  const auto each = [&](const auto& visit) {
    return tree.visit(Key(1, 0, 0), Key::end(), [&](const Key& key, ConstBytes value) -> Status {
      Mapping mapping;
      if (key.type == static_cast<uint8_t>(ItemType::mapping) &&
          !std::binary_search(gone.begin(), gone.end(), key) &&
          decode_mapping(key.offset, value, &mapping).ok() &&
          mapping.kind == Mapping::Kind::extent) {
        visit(key.ino, mapping);
      }
      return {};
    });
  };
  SCALEFS_TRY_VOID(each([&](uint64_t ino, const Mapping& m) { choose(ino, m); }));
  return each([&](uint64_t ino, const Mapping& m) { cut(ino, m, edits, log); });
}

}  // namespace scalefs::diskfs
