#include "volume/disk_backend.h"

namespace scalefs::volume {

namespace {

// Both kinds of blocks that a mapping may name: those of checkpoints, and those that no batch has named.
class VolumeReadPin final : public memfs::Backend::ReadPin {
 public:
  VolumeReadPin(diskfs::DiskFs& disk, ReadPins& pins) : checkpoint_(disk.pin()), young_(pins) {}

 private:
  const diskfs::CheckpointPin checkpoint_;
  const ReadPins::Pin young_;
};

}  // namespace

Status DiskBackend::may_load() const {
  if (parts_.health.stopped()) return Errno(EIO);
  return {};
}

Result<memfs::LoadedObject> DiskBackend::load_child(MnodeNo dir, uint64_t hash,
                                                    std::string_view name) {
  SCALEFS_TRY_VOID(may_load());
  return parts_.loader.load_child(dir, hash, name);
}

Result<memfs::LoadedEntries> DiskBackend::load_entries(MnodeNo dir, uint64_t from_hash,
                                                       size_t count) {
  SCALEFS_TRY_VOID(may_load());
  return parts_.loader.load_entries(dir, from_hash, count);
}

Result<std::vector<memfs::LoadedPage>> DiskBackend::load_mapping(MnodeNo file, uint64_t page,
                                                                 size_t count) {
  SCALEFS_TRY_VOID(may_load());
  return parts_.loader.load_mapping(file, page, count);
}

Result<uint64_t> DiskBackend::next_mapped(MnodeNo file, uint64_t page) {
  SCALEFS_TRY_VOID(may_load());
  return parts_.loader.next_mapped(file, page);
}

Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> DiskBackend::load_xattrs(
    MnodeNo object) {
  SCALEFS_TRY_VOID(may_load());
  return parts_.loader.load_xattrs(object);
}

std::unique_ptr<memfs::Backend::ReadPin> DiskBackend::pin_reads() {
  return std::make_unique<VolumeReadPin>(parts_.disk, parts_.pins);
}

Status DiskBackend::read_blocks(BlockNo first, std::span<const uint32_t> crcs, Bytes to) {
  SCALEFS_TRY_VOID(may_load());
  return parts_.disk.read_data_run(first, crcs, to);
}

Status DiskBackend::write_back(MnodeNo file) {
  SCALEFS_TRY_VOID(parts_.health.may_change());
  return parts_.writeback.write_back_content(file);
}

Result<uint64_t> DiskBackend::extend_mnode_numbers(uint32_t core) {
  while (true) {
    if (const auto limit = parts_.marks.grant(core)) return *limit;
    SCALEFS_TRY_VOID(parts_.health.may_change());
    if (!parts_.marks.want(core)) return Errno(ENOSPC);
    SCALEFS_TRY_VOID(parts_.committer.wait(parts_.committer.ticket_of_next_cut()));
  }
}

}  // namespace scalefs::volume
