#include "diskfs/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/aligned_buffer.h"
#include "base/canary.h"
#include "diskfs/batch_scan.h"
#include "diskfs/journal_reader.h"

namespace scalefs::diskfs {

namespace {

class Recovery {
 public:
  Recovery(BlockDevice& device, const Superblock& sb, std::string* why)
      : device_(device),
        sb_(sb),
        why_(why),
        reader_(device, journal_area(sb), sb.mount_epoch, journal_start(sb)) {}

  Result<RecoveredJournal> run(bool take_prefix);
  Result<RecoveredJournal> salvage();

 private:
  Errno refuse(std::string reason) {
    *why_ = std::move(reason);
    return Errno(EUCLEAN);
  }
  Status read_chain();
  Status look_behind();
  Status check_payload(const JournalBatch& batch);
  Result<bool> data_is_whole(ConstBytes payload);
  Status drop_batches_without_data();

  BlockDevice& device_;
  const Superblock& sb_;
  std::string* why_;
  JournalReader reader_;
  uint64_t flushed_seq_ = 0;  // the largest sequence that anything seen calls durable
  RecoveredJournal found_;
};

Status Recovery::check_payload(const JournalBatch& batch) {
  const Status extents = visit_extents(
      batch.payload(), [&](BlockNo first, std::span<const uint32_t> crcs) -> Status {
        if (sb_.geometry.is_data_run(first.v, crcs.size())) return {};
        return Errno(EUCLEAN);
      });
  if (extents.ok()) return {};
  return refuse(fmt::format("journal batch {} is whole, but holds an operation that is not valid",
                            batch.header.sequence));
}

Status Recovery::read_chain() {
  while (true) {
    SCALEFS_TRY(auto batch, reader_.next());
    if (!batch.has_value()) return {};
    const BatchHeader& header = batch->header;
    if (header.checkpoint_generation > sb_.generation) {
      return refuse(fmt::format("journal batch {} was written behind superblock {}, but the newest "
                                "that can be read is {}: a superblock was lost",
                                header.sequence, header.checkpoint_generation, sb_.generation));
    }
    SCALEFS_TRY_VOID(check_payload(*batch));
    flushed_seq_ = std::max(flushed_seq_, header.flushed_seq);
    found_.batches.push_back(std::make_shared<CommittedBatch>(std::move(batch->bytes),
                                                              reader_.point()));
  }
}

// Headers behind the end of the chain: proof that a superblock was lost, or that the end is damage.
Status Recovery::look_behind() {
  // After an unmount nothing was written behind the superblock; but if the next mount's superblock
  // was lost, then that mount's first batch stands at this very place.
  const bool clean = (sb_.state & kStateClean) != 0 && found_.batches.empty();
  SCALEFS_TRY(const auto beyond, reader_.look_beyond(clean ? 1 : UINT64_MAX));
  flushed_seq_ = std::max(flushed_seq_, beyond.flushed_seq);
  if (beyond.mount_epoch > sb_.mount_epoch || beyond.checkpoint_generation > sb_.generation) {
    return refuse(fmt::format("the journal was written behind superblock {} of mount {}, but the "
                              "newest that can be read is {} of mount {}: a superblock was lost",
                              beyond.checkpoint_generation, beyond.mount_epoch, sb_.generation,
                              sb_.mount_epoch));
  }
  return {};
}

Result<bool> Recovery::data_is_whole(ConstBytes payload) {
  if (canary(Canary::data_checksum_ignored)) return true;
  AlignedBuffer buffer;
  bool whole = true;
  const Status read = visit_extents(
      payload, [&](BlockNo first, std::span<const uint32_t> crcs) -> Status {
        if (!whole) return {};
        if (buffer.size() < crcs.size() * kBlockBytes) {
          buffer = AlignedBuffer(crcs.size() * kBlockBytes);
        }
        SCALEFS_TRY_VOID(device_.read(first, buffer.span().first(crcs.size() * kBlockBytes)));
        for (size_t i = 0; i < crcs.size(); ++i) {
          whole = whole && crc32c(buffer.block(i).data(), kBlockBytes) == crcs[i];
        }
        return {};
      });
  if (!read.ok()) return read.error();
  return whole;
}

// Data of a batch that is known durable was flushed with it, or before; only that of later ones may
// have been lost, and such a batch ends the log.
Status Recovery::drop_batches_without_data() {
  CommittedBatches& batches = found_.batches;
  for (size_t i = 0; i < batches.size(); ++i) {
    if (batches[i]->sequence() <= flushed_seq_) continue;
    SCALEFS_TRY(const bool whole, data_is_whole(batches[i]->payload()));
    if (whole) continue;
    found_.end = i == 0 ? journal_start(sb_) : batches[i - 1]->end();
    batches.resize(i);
  }
  return {};
}

Result<RecoveredJournal> Recovery::run(bool take_prefix) {
  SCALEFS_TRY_VOID(read_chain());
  found_.end = reader_.point();
  SCALEFS_TRY_VOID(look_behind());
  if (flushed_seq_ >= found_.end.sequence) {
    found_.damaged = true;
    *why_ = fmt::format("journal batch {} is damaged, but batches up to {} were durable",
                        found_.end.sequence, flushed_seq_);
    if (!take_prefix) return Errno(EUCLEAN);
  }
  SCALEFS_TRY_VOID(drop_batches_without_data());
  return std::move(found_);
}

// Every mount begins an epoch; what several later ones wrote may follow.
constexpr uint64_t kSalvageEpochs = 64;

Result<RecoveredJournal> Recovery::salvage() {
  const auto take_chain = [&](JournalReader& reader) -> Status {
    while (true) {
      const JournalPoint before = reader.point();
      SCALEFS_TRY(auto batch, reader.next());
      if (!batch.has_value()) return {};
      if (!check_payload(*batch).ok()) {
        found_.damaged = true;
        found_.end = before;
        return {};
      }
      flushed_seq_ = std::max(flushed_seq_, batch->header.flushed_seq);
      found_.seen_generation =
          std::max(found_.seen_generation, batch->header.checkpoint_generation);
      found_.batches.push_back(
          std::make_shared<CommittedBatch>(std::move(batch->bytes), reader.point()));
      found_.end = reader.point();
    }
  };
  found_.end = reader_.point();
  SCALEFS_TRY_VOID(take_chain(reader_));
  SCALEFS_TRY(const auto beyond, reader_.look_beyond());
  flushed_seq_ = std::max(flushed_seq_, beyond.flushed_seq);
  found_.seen_mount_epoch = beyond.mount_epoch;
  found_.seen_generation = std::max(found_.seen_generation, beyond.checkpoint_generation);
  for (uint64_t later = 1; later <= kSalvageEpochs && !found_.damaged; ++later) {
    const uint64_t epoch = sb_.mount_epoch + later;
    if (epoch > beyond.mount_epoch) break;
    JournalPoint start = found_.end;
    start.position %= sb_.geometry.journal_blocks;
    JournalReader reader(device_, journal_area(sb_), epoch, start);
    SCALEFS_TRY_VOID(take_chain(reader));
  }
  if (flushed_seq_ >= found_.end.sequence) {
    found_.damaged = true;
    *why_ = fmt::format("journal batches {} to {} were durable and cannot be read",
                        found_.end.sequence, flushed_seq_);
  }
  SCALEFS_TRY_VOID(drop_batches_without_data());
  return std::move(found_);
}

}  // namespace

JournalArea journal_area(const Superblock& sb) {
  JournalArea area;
  area.first = BlockNo(sb.geometry.journal_first);
  area.blocks = sb.geometry.journal_blocks;
  area.uuid = sb.uuid;
  area.key = sb.hash_key;
  return area;
}

JournalPoint journal_start(const Superblock& sb) {
  return {sb.journal_scan, sb.covered_seq + 1, sb.covered_crc};
}

Result<RecoveredJournal> recover_journal(BlockDevice& device, const Superblock& sb,
                                         bool take_prefix, std::string* why) {
  return Recovery(device, sb, why).run(take_prefix);
}

Result<RecoveredJournal> salvage_journal(BlockDevice& device, const Superblock& sb,
                                         std::string* why) {
  return Recovery(device, sb, why).salvage();
}

}  // namespace scalefs::diskfs
