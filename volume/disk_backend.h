// What MemFS asks its volume for (memfs/backend.h), handed to the parts that do it. No state of its own.
#pragma once

#include "memfs/backend.h"
#include "volume/admission.h"
#include "volume/committer.h"
#include "volume/inode_map.h"
#include "volume/loader.h"
#include "volume/mnode_marks.h"
#include "volume/read_pins.h"
#include "volume/writeback.h"

namespace scalefs::volume {

class DiskBackend final : public memfs::Backend {
 public:
  struct Parts {
    diskfs::DiskFs& disk;
    Health& health;
    Admission& admission;
    Loader& loader;
    ReadPins& pins;
    Writeback& writeback;
    MnodeMarks& marks;
    Committer& committer;
    InodeMap& map;
  };
  explicit DiskBackend(const Parts& parts) : parts_(parts) {}

  Status reserve(const memfs::Need& need) override { return parts_.admission.reserve(need); }
  void unreserve(const memfs::Need& unused) override { parts_.admission.unreserve(unused); }
  void pages_hold(int64_t blocks) override { parts_.admission.pages_hold(blocks); }

  Result<memfs::LoadedObject> load_child(MnodeNo dir, uint64_t hash,
                                         std::string_view name) override;
  Result<memfs::LoadedEntries> load_entries(MnodeNo dir, uint64_t from_hash,
                                            size_t count) override;
  Result<std::vector<memfs::LoadedPage>> load_mapping(MnodeNo file, uint64_t page,
                                                      size_t count) override;
  Result<uint64_t> next_mapped(MnodeNo file, uint64_t page) override;
  Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> load_xattrs(
      MnodeNo object) override;
  std::unique_ptr<ReadPin> pin_reads() override;
  Status read_blocks(BlockNo first, std::span<const uint32_t> crcs, Bytes to) override;
  Status write_back(MnodeNo file) override;
  Result<uint64_t> extend_mnode_numbers(uint32_t core) override;
  void dropped(MnodeNo mnode) override { parts_.map.dropped(mnode); }

 private:
  Status may_load() const;

  const Parts parts_;
};

}  // namespace scalefs::volume
