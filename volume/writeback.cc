#include "volume/writeback.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/hash.h"
#include "memfs/record_places.h"

namespace scalefs::volume {

namespace {

using diskfs::BlockRun;
using memfs::ExtentsOp;

constexpr size_t kFilesARound = 256;

// Pages [from, from + n) of `pages`, in order, and the blocks in which they stand.
ExtentsOp extents_of(MnodeNo file, std::span<const memfs::SampledPage> pages,
                     std::span<const BlockNo> blocks, std::span<const uint32_t> crcs) {
  ExtentsOp op;
  op.target = file;
  for (size_t i = 0; i < pages.size(); ++i) {
    const bool follows = i > 0 && pages[i].page == pages[i - 1].page + 1 &&
                         blocks[i].v == blocks[i - 1].v + 1;
    if (!follows) op.runs.push_back({pages[i].page, blocks[i], {}});
    op.runs.back().crcs.push_back(crcs[i]);
  }
  return op;
}

// How many of the pages make `pieces` ranges on disk at the most.
size_t pages_of_pieces(std::span<const memfs::SampledPage> pages, std::span<const BlockNo> blocks,
                       uint64_t pieces) {
  uint64_t used = 0;
  uint64_t run = 0;
  size_t to = 0;
  for (; to < pages.size(); ++to) {
    const bool follows = to > 0 && pages[to].page == pages[to - 1].page + 1 &&
                         blocks[to].v == blocks[to - 1].v + 1;
    run = follows ? run + 1 : 1;
    if (!follows || memfs::run_pieces(run) != memfs::run_pieces(run - 1)) ++used;
    if (used > pieces) break;
  }
  return to;
}

// How many blocks from the first on follow each other.
uint64_t run_length(std::span<const BlockNo> blocks) {
  uint64_t count = 1;
  while (count < blocks.size() && blocks[count].v == blocks[0].v + count) ++count;
  return count;
}

}  // namespace

Status Writeback::write_dirty_pages(MnodeNo file) {
  for (int round = 0; round < 2; ++round) {
    bool busy = false;
    size_t written = 0;
    SCALEFS_TRY_VOID(pass(file, SIZE_MAX, &busy, &written));
    if (!busy) break;
    fs_->wait_writeback(file);
  }
  return {};
}

Status Writeback::write_back(MnodeNo file) {
  SCALEFS_TRY_VOID(write_dirty_pages(file));
  SCALEFS_TRY_VOID(log_attributes(file));
  return parts_.health.may_sync();
}

Status Writeback::write_back_content(MnodeNo file) {
  if (!fs_->is_logged(file)) {
    SCALEFS_TRY_VOID(write_dirty_pages(file));
    // What fallocate grew has no page that brings the size.
    if (!fs_->is_logged(file)) SCALEFS_TRY_VOID(log_attributes(file));
  }
  return parts_.health.may_sync();
}

Status Writeback::write_back_all() {
  // The first error is reported; the other files are written all the same.
  Status result;
  for (const MnodeNo file : fs_->dirty_files(SIZE_MAX)) {
    const Status status = write_back(file);
    if (!status.ok() && result.ok()) result = status;
  }
  return result;
}

bool Writeback::step() {
  for (const MnodeNo file : fs_->dirty_files(kFilesARound)) {
    bool busy = false;
    size_t written = 0;
    if (!pass(file, kPagesAStep, &busy, &written).ok()) return false;
    if (written == 0 && !log_attributes(file).ok()) return false;
    if (written != 0) return true;
  }
  return false;
}

Status Writeback::pass(MnodeNo file, size_t pages_max, bool* busy, size_t* written) {
  uint64_t from = 0;
  while (*written < pages_max) {
    bool some_busy = false;
    Pages pages = fs_->begin_writeback(file, from, kPagesAStep, &some_busy);
    *busy |= some_busy;
    if (pages.empty()) return {};
    const bool last = pages.size() < kPagesAStep;
    from = pages.back().page + 1;
    *written += pages.size();
    size_t bytes = 0;
    for (const auto& page : pages) bytes += page.bytes;
    if (last && *written == pages.size() && bytes <= parts_.inline_bytes_max) {
      SCALEFS_TRY_VOID(write_inline(file, pages));
    } else {
      SCALEFS_TRY_VOID(write_pages(file, pages));
    }
    if (last) return {};
  }
  return {};
}

// Room in the tree for a record's changes, until it is logged.
class Writeback::Places {
 public:
  explicit Places(Admission& admission) : admission_(admission) {}
  ~Places() {
    if (count_ != 0) admission_.end_places(count_);
  }
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  // Together with the room in the log.
  Status take(uint64_t log_bytes, uint32_t count) {
    SCALEFS_TRY_VOID(admission_.reserve_record(log_bytes, count));
    count_ = count;
    return {};
  }
  // These alone, without waiting.
  bool try_take(uint32_t count) {
    if (!admission_.try_places(count)) return false;
    count_ = count;
    return true;
  }

 private:
  Admission& admission_;
  uint32_t count_ = 0;
};

// Pages in writeback, and the blocks that the first of them have. At the end what is left of them is dirty again,
// without blocks.
class Writeback::Unfinished {
 public:
  Unfinished(Writeback& writeback, MnodeNo file, std::span<const memfs::SampledPage> all)
      : pages(all), writeback_(writeback), file_(file) {}
  ~Unfinished() {
    // Written only where something goes back: others read the line (I1).
    if (!blocks().empty()) writeback_.parts_.credits.unspend(blocks().size());
    for (auto left = blocks(); !left.empty();) {
      const uint64_t count = run_length(left);
      writeback_.parts_.disk.allocator().free({left[0], count});
      left = left.subspan(count);
    }
    if (!pages.empty()) writeback_.fs_->abort_writeback(file_, pages);
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

  std::span<const BlockNo> blocks() const { return std::span(blocks_).subspan(done_); }
  void reserve() { blocks_.reserve(pages.size()); }
  void add(BlockRun run) {
    writeback_.parts_.credits.spend(run.count);
    for (uint64_t i = 0; i < run.count; ++i) blocks_.push_back(BlockNo(run.first.v + i));
  }
  // The first `count` are.
  void finished(size_t count) {
    pages = pages.subspan(count);
    done_ += blocks_.empty() ? 0 : count;
  }

  std::span<const memfs::SampledPage> pages;

 private:
  Writeback& writeback_;
  const MnodeNo file_;
  std::vector<BlockNo> blocks_;
  size_t done_ = 0;
};

Status Writeback::write_inline(MnodeNo file, const Pages& pages) {
  Unfinished left(*this, file, pages);
  Places places(parts_.admission);
  SCALEFS_TRY_VOID(places.take(memfs::inline_log_bytes(pages.size()), memfs::data_places(pages.size())));
  fs_->finish_inline(file, pages);
  left.finished(pages.size());
  return {};
}

Status Writeback::write_pages(MnodeNo file, const Pages& pages) {
  Unfinished left(*this, file, pages);
  SCALEFS_TRY_VOID(allocate(&left));
  std::vector<uint32_t> crcs;
  crcs.reserve(pages.size());
  SCALEFS_TRY_VOID(parts_.health.may_sync());
  const Status status = write_to_blocks(left, &crcs);
  if (!status.ok()) {
    if (!parts_.health.stopped()) parts_.health.fail("writing data", status.error());
    return Errno(EIO);
  }
  return log_pages(file, left, crcs);
}

Status Writeback::write_to_blocks(const Unfinished& left, std::vector<uint32_t>* crcs) {
  auto blocks = left.blocks();
  for (size_t from = 0; from < left.pages.size();) {
    const uint64_t count = run_length(blocks);
    auto buffer = AlignedBuffer::unfilled(count * kBlockBytes);
    for (uint64_t i = 0; i < count; ++i) {
      const std::byte* page = left.pages[from + i].copy.get();
      std::memcpy(buffer.block(i).data(), page, kBlockBytes);
      crcs->push_back(crc32c(page, kBlockBytes));
    }
    SCALEFS_TRY_VOID(parts_.disk.write_data(blocks[0], buffer.span()));
    from += count;
    blocks = blocks.subspan(count);
  }
  return {};
}

// Room for a record of *pieces ranges, or of fewer where more cannot be had at once.
Status Writeback::reserve_pieces(uint64_t log_bytes, uint64_t* pieces, Places* places) {
  for (; *pieces > 1; *pieces /= 4) {
    if (places->try_take(memfs::data_places(*pieces))) return parts_.admission.reserve_record(log_bytes, 0);
  }
  *pieces = 1;
  return places->take(log_bytes, memfs::data_places(1));
}

Status Writeback::log_pages(MnodeNo file, Unfinished& left, std::span<const uint32_t> crcs) {
  uint64_t pieces = kPiecesARecord;
  while (!left.pages.empty()) {
    Places places(parts_.admission);
    SCALEFS_TRY_VOID(reserve_pieces(memfs::extents_log_bytes(left.pages.size()), &pieces, &places));
    const size_t count = pages_of_pieces(left.pages, left.blocks(), pieces);
    const auto part = left.pages.first(count);
    const ExtentsOp op = extents_of(file, part, left.blocks().first(count), crcs.first(count));
    const auto stale = fs_->finish_writeback(file, part, op);
    left.finished(count);
    crcs = crcs.subspan(count);
    for (const BlockNo block : stale) parts_.disk.allocator().free({block, 1});
  }
  return {};
}

Result<BlockRun> Writeback::allocate_run(uint64_t want) {
  auto run = parts_.disk.allocator().allocate(current_core(), want);
  if (run.ok()) return run;
  // The credits say that there is room: it is on its way from a checkpoint.
  SCALEFS_TRY_VOID(parts_.room.recover_space());
  return parts_.disk.allocator().allocate(current_core(), want);
}

Status Writeback::allocate(Unfinished* left) {
  left->reserve();
  while (left->blocks().size() < left->pages.size()) {
    SCALEFS_TRY(const BlockRun run, allocate_run(left->pages.size() - left->blocks().size()));
    left->add(run);
  }
  return {};
}

Status Writeback::log_attributes(MnodeNo file) {
  Places places(parts_.admission);
  SCALEFS_TRY_VOID(places.take(memfs::attributes_log_bytes(), 2 * memfs::kAttributePlaces));
  fs_->log_attributes(file);
  return {};
}

}  // namespace scalefs::volume
