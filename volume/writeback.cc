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
ExtentsOp extents_of(MnodeNo file, const std::vector<memfs::SampledPage>& pages,
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

// Pages that make `pieces` ranges on disk at the most, from `from` on.
size_t pages_of_pieces(const std::vector<memfs::SampledPage>& pages,
                       std::span<const BlockNo> blocks, size_t from, uint64_t pieces) {
  uint64_t used = 0;
  uint64_t run = 0;
  size_t to = from;
  for (; to < pages.size(); ++to) {
    const bool follows = to > from && pages[to].page == pages[to - 1].page + 1 &&
                         blocks[to].v == blocks[to - 1].v + 1;
    run = follows ? run + 1 : 1;
    if (!follows || memfs::run_pieces(run) != memfs::run_pieces(run - 1)) ++used;
    if (used > pieces) break;
  }
  return to - from;
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
      SCALEFS_TRY_VOID(write_inline(file, std::move(pages)));
    } else {
      SCALEFS_TRY_VOID(write_pages(file, std::move(pages)));
    }
    if (last) return {};
  }
  return {};
}

Status Writeback::write_inline(MnodeNo file, Pages pages) {
  const uint32_t places = memfs::data_places(pages.size());
  const Status reserved =
      parts_.admission.reserve_record(memfs::inline_log_bytes(pages.size()), places);
  if (!reserved.ok()) {
    fs_->abort_writeback(file, pages);
    return reserved;
  }
  fs_->finish_inline(file, std::move(pages));
  parts_.admission.end_places(places);
  return {};
}

Status Writeback::write_pages(MnodeNo file, Pages pages) {
  auto runs = allocate(pages.size());
  if (!runs.ok()) {
    fs_->abort_writeback(file, pages);
    return runs.error();
  }
  std::vector<uint32_t> crcs;
  crcs.reserve(pages.size());
  size_t i = 0;
  Status status = parts_.health.may_sync();
  for (const BlockRun& run : *runs) {
    AlignedBuffer buffer(run.count * kBlockBytes);
    for (uint64_t j = 0; j < run.count; ++j, ++i) {
      std::memcpy(buffer.block(j).data(), pages[i].copy.get(), kBlockBytes);
      crcs.push_back(crc32c(pages[i].copy.get(), kBlockBytes));
    }
    if (status.ok()) status = parts_.disk.write_data(run.first, buffer.span());
  }
  if (!status.ok()) {
    if (!parts_.health.stopped()) parts_.health.fail("writing data", status.error());
    parts_.credits.unspend(pages.size());
    free(*runs);
    fs_->abort_writeback(file, pages);
    return Errno(EIO);
  }
  return log_pages(file, std::move(pages), *runs, crcs);
}

// Room for a record of *pieces ranges, or of fewer where more cannot be had at once: the places taken.
Result<uint32_t> Writeback::reserve_pieces(uint64_t log_bytes, uint64_t* pieces) {
  for (; *pieces > 1; *pieces /= 4) {
    const uint32_t places = memfs::data_places(*pieces);
    if (!parts_.admission.try_places(places)) continue;
    const Status reserved = parts_.admission.reserve_record(log_bytes, 0);
    if (reserved.ok()) return places;
    parts_.admission.end_places(places);
    return reserved.error();
  }
  *pieces = 1;
  SCALEFS_TRY_VOID(parts_.admission.reserve_record(log_bytes, memfs::data_places(1)));
  return memfs::data_places(1);
}

Status Writeback::log_pages(MnodeNo file, Pages pages, const std::vector<BlockRun>& runs,
                            const std::vector<uint32_t>& crcs) {
  std::vector<BlockNo> blocks;
  for (const BlockRun& run : runs) {
    for (uint64_t i = 0; i < run.count; ++i) blocks.push_back(BlockNo(run.first.v + i));
  }
  uint64_t pieces = kPiecesARecord;
  for (size_t from = 0; from < pages.size();) {
    const auto places = reserve_pieces(memfs::extents_log_bytes(pages.size() - from), &pieces);
    const size_t count =
        places.ok() ? pages_of_pieces(pages, blocks, from, pieces) : pages.size() - from;
    Pages part(std::make_move_iterator(pages.begin() + static_cast<ptrdiff_t>(from)),
               std::make_move_iterator(pages.begin() + static_cast<ptrdiff_t>(from + count)));
    const auto at = std::span<const BlockNo>(blocks).subspan(from, count);
    if (!places.ok()) {
      parts_.credits.unspend(count);
      for (const BlockNo block : at) parts_.disk.allocator().free({block, 1});
      fs_->abort_writeback(file, part);
      return places.error();
    }
    const auto crcs_at = std::span(crcs).subspan(from, count);
    for (const BlockNo stale :
         fs_->finish_writeback(file, part, extents_of(file, part, at, crcs_at))) {
      parts_.disk.allocator().free({stale, 1});
    }
    parts_.admission.end_places(*places);
    from += count;
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

Result<std::vector<BlockRun>> Writeback::allocate(uint64_t count) {
  std::vector<BlockRun> runs;
  uint64_t done = 0;
  while (done < count) {
    const auto run = allocate_run(count - done);
    if (!run.ok()) {
      free(runs);
      parts_.credits.unspend(done);
      return run.error();
    }
    runs.push_back(*run);
    parts_.credits.spend(run->count);
    done += run->count;
  }
  return runs;
}

void Writeback::free(const std::vector<BlockRun>& runs) {
  for (const BlockRun& run : runs) parts_.disk.allocator().free(run);
}

Status Writeback::log_attributes(MnodeNo file) {
  constexpr uint32_t kPlaces = 2 * memfs::kAttributePlaces;
  SCALEFS_TRY_VOID(parts_.admission.reserve_record(memfs::attributes_log_bytes(), kPlaces));
  fs_->log_attributes(file);
  parts_.admission.end_places(kPlaces);
  return {};
}

}  // namespace scalefs::volume
