#include "diskfs/inline_pages.h"

#include <cstring>

#include "base/aligned_buffer.h"
#include "base/hash.h"

namespace scalefs::diskfs {

namespace {
constexpr size_t kRunBlocksMax = 32;  // in one write: 128 KiB
}  // namespace

ConstBytes without_trailing_zeros(ConstBytes content) {
  size_t size = content.size();
  while (size > 0 && content[size - 1] == std::byte{0}) --size;
  return content.first(size);
}

void InlinePages::put(Ino ino, uint64_t page, ByteVector content) {
  pages_[{ino.v, page}] = std::move(content);
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
  while (!pages_.empty()) {
    const auto [ino, first_page] = pages_.begin()->first;
    uint64_t want = 0;
    for (auto it = pages_.begin(); it != pages_.end() && want < kRunBlocksMax; ++it, ++want) {
      if (it->first != std::pair(ino, first_page + want)) break;
    }
    SCALEFS_TRY(const BlockRun run, allocate(want));
    SCALEFS_CHECK(run.count > 0 && run.count <= want);
    AlignedBuffer buffer(run.count * kBlockBytes);
    Mapping mapping;
    mapping.page = first_page;
    mapping.count = run.count;
    mapping.block = run.first;
    for (uint64_t i = 0; i < run.count; ++i) {
      const ByteVector& content = pages_.begin()->second;
      if (!content.empty()) {
        std::memcpy(buffer.block(i).data(), content.data(), content.size());
      }
      mapping.crcs.push_back(crc32c(buffer.block(i).data(), kBlockBytes));
      pages_.erase(pages_.begin());
    }
    SCALEFS_TRY_VOID(write(run.first, buffer.span()));
    SCALEFS_TRY_VOID(sink.referenced(run));
    SCALEFS_TRY_VOID(map.insert(Ino(ino), std::move(mapping)));
    placed += run.count;
  }
  return placed;
}

}  // namespace scalefs::diskfs
