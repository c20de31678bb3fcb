#include "volume/writeback.h"

#include <algorithm>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/hash.h"

namespace scalefs::volume {

namespace {

using diskfs::BlockRun;
using memfs::ExtentsOp;

constexpr size_t kFilesARound = 256;

// The runs of file pages that stand in consecutive blocks: `pages` in order, in the blocks of `runs` in order.
ExtentsOp extents_of(MnodeNo file, const std::vector<memfs::SampledPage>& pages,
                     const std::vector<BlockRun>& runs, const std::vector<uint32_t>& crcs) {
  ExtentsOp op;
  op.target = file;
  size_t i = 0;
  for (const BlockRun& run : runs) {
    for (uint64_t j = 0; j < run.count; ++j, ++i) {
      const bool follows = j > 0 && pages[i].page == pages[i - 1].page + 1;
      if (!follows) op.runs.push_back({pages[i].page, BlockNo(run.first.v + j), {}});
      op.runs.back().crcs.push_back(crcs[i]);
    }
  }
  return op;
}

}  // namespace

Status Writeback::write_back(MnodeNo file) {
  for (int round = 0; round < 2; ++round) {
    bool busy = false;
    size_t written = 0;
    SCALEFS_TRY_VOID(pass(file, SIZE_MAX, &busy, &written));
    if (!busy) break;
    fs_->wait_writeback(file);
  }
  SCALEFS_TRY_VOID(log_attributes(file));
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
    SCALEFS_TRY_VOID(parts_.admission.reserve_log(memfs::extents_log_bytes(kPagesAStep)));
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
      fs_->finish_inline(file, std::move(pages));
    } else {
      SCALEFS_TRY_VOID(write_pages(file, pages));
    }
    if (last) return {};
  }
  return {};
}

Status Writeback::write_pages(MnodeNo file, const Pages& pages) {
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
  for (const BlockNo stale :
       fs_->finish_writeback(file, pages, extents_of(file, pages, *runs, crcs))) {
    parts_.disk.allocator().free({stale, 1});
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
  SCALEFS_TRY_VOID(parts_.admission.reserve_log(memfs::attributes_log_bytes()));
  fs_->log_attributes(file);
  return {};
}

}  // namespace scalefs::volume
