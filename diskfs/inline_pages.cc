#include "diskfs/inline_pages.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/hash.h"

namespace scalefs::diskfs {

namespace {
// In one write: 256 KiB. A page a write would let a checkpoint of small files last a hundred times as long.
constexpr size_t kRunBlocksMax = 64;
}  // namespace

ConstBytes without_trailing_zeros(ConstBytes content) {
  size_t size = content.size();
  while (size > 0 && content[size - 1] == std::byte{0}) --size;
  return content.first(size);
}

void InlinePages::put(Ino ino, uint64_t page, ConstBytes content) {
  pages_[{ino.v, page}] = content;
}

uint64_t InlinePages::remove(Ino ino, uint64_t from, uint64_t to) {
  const auto begin = pages_.lower_bound({ino.v, from});
  const auto end = pages_.lower_bound({ino.v, to});
  const auto count = static_cast<uint64_t>(std::distance(begin, end));
  pages_.erase(begin, end);
  return count;
}

std::optional<uint64_t> InlinePages::next(Ino ino, uint64_t page) const {
  const auto found = pages_.lower_bound({ino.v, page});
  if (found == pages_.end() || found->first.first != ino.v) return std::nullopt;
  return found->first.second;
}

Result<uint64_t> InlinePages::place(FileMap& map, SpaceSink& sink,
                                    const TreeWriter::Allocate& allocate,
                                    const TreeWriter::Write& write) {
  uint64_t placed = 0;
  auto buffer = AlignedBuffer::unfilled(std::min<size_t>(pages_.size(), kRunBlocksMax) * kBlockBytes);
  while (!pages_.empty()) {
    const uint64_t want = std::min<uint64_t>(pages_.size(), kRunBlocksMax);
    SCALEFS_TRY(const BlockRun run, allocate(want));
    SCALEFS_CHECK(run.count > 0 && run.count <= want);
    std::vector<std::pair<Ino, Mapping>> mappings;
    for (uint64_t i = 0; i < run.count; ++i) {
      const auto [ino, page] = pages_.begin()->first;
      const ConstBytes content = pages_.begin()->second;
      const Bytes block = buffer.block(i);
      if (!content.empty()) std::memcpy(block.data(), content.data(), content.size());
      std::memset(block.data() + content.size(), 0, block.size() - content.size());
      pages_.erase(pages_.begin());
      if (mappings.empty() || mappings.back().first.v != ino ||
          mappings.back().second.page + mappings.back().second.count != page) {
        Mapping& mapping = mappings.emplace_back(Ino(ino), Mapping()).second;
        mapping.page = page;
        mapping.block = BlockNo(run.first.v + i);
      }
      Mapping& mapping = mappings.back().second;
      ++mapping.count;
      mapping.crcs.push_back(crc32c(block.data(), kBlockBytes));
    }
    SCALEFS_TRY_VOID(write(run.first, buffer.span().first(run.count * kBlockBytes)));
    SCALEFS_TRY_VOID(sink.referenced(run));
    for (auto& [ino, mapping] : mappings) SCALEFS_TRY_VOID(map.insert(ino, std::move(mapping)));
    placed += run.count;
  }
  return placed;
}

}  // namespace scalefs::diskfs
