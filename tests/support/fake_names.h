// A Backend that plays disk for MemFS' names: it applies the log's records on names and attributes to a
// committed tree, and keeps the tree of the last checkpoint, which is all that loaders see. It counts
// loads and reservations and can run a test's code in the middle of a load. One thread at a time, except
// under the seeded scheduler.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memfs/memfs.h"

namespace scalefs::memfs {

class FakeNames final : public Backend {
 public:
  struct Object {
    Attr attr;
    MnodeNo parent;
    std::string target;
    std::map<std::string, std::vector<std::byte>> xattrs;
    std::map<std::string, MnodeNo> names;  // of a directory
  };
  using Tree = std::map<MnodeNo, Object>;

  explicit FakeNames(MemFsOptions options = {.hash_key = {1, 2}});
  ~FakeNames() override;

  // A MemFs over the last checkpoint. The one before is gone; what it did not commit is lost.
  MemFs& mount();
  void unmount();
  MemFs& fs() { return *fs_; }
  // Applies what was logged.
  void commit();
  // Loaders see what is committed from now on, and MemFs is told.
  void checkpoint();

  // --- looking
  const Tree& committed() const { return committed_; }
  // "type name -> contents" lines of all that the committed tree has, in order, for comparing.
  std::string describe() const;
  uint64_t child_loads = 0;
  uint64_t entry_loads = 0;
  uint64_t xattr_loads = 0;
  int64_t log_bytes = 0;     // reserved and not yet consumed
  int64_t tree_places = 0;   // of calls that have not ended
  uint64_t equal_stamps = 0;  // records with the stamp of the one before
  std::vector<MnodeNo> ended;       // Backend::dropped
  std::vector<MnodeNo> written_back;

  // --- faults and interference
  int reserve_error = 0;        // of every reserve that is not `always`
  int load_error = 0;           // of every load
  std::optional<uint64_t> number_limit_step = 4;
  // Runs once, after the next load has read the checkpoint and before it answers.
  std::function<void()> in_load;
  // May change what a load answers.
  std::function<void(LoadedEntries&)> spoil_entries;
  std::function<void(Result<LoadedObject>&)> spoil_child;

  // --- Backend
  Status reserve(const Need& need) override;
  void unreserve(const Need& unused) override;
  Result<LoadedObject> load_child(MnodeNo dir, uint64_t hash, std::string_view name) override;
  Result<LoadedEntries> load_entries(MnodeNo dir, uint64_t from_hash, size_t count) override;
  Result<std::vector<LoadedPage>> load_mapping(MnodeNo file, uint64_t page, size_t count) override;
  Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> load_xattrs(
      MnodeNo object) override;
  std::unique_ptr<ReadPin> pin_reads() override { return std::make_unique<ReadPin>(); }
  Status read_blocks(BlockNo, std::span<const uint32_t>, Bytes) override { return Errno(EIO); }
  Status write_back(MnodeNo file) override;
  Result<uint64_t> extend_mnode_numbers(uint32_t core) override;
  void dropped(MnodeNo mnode) override { ended.push_back(mnode); }

 private:
  void apply(const OpRecord& record);
  void link(MnodeNo parent, const std::string& name, MnodeNo target, const OpRecord& record);
  void unlink(MnodeNo parent, const std::string& name, MnodeNo target, bool replaced,
              const OpRecord& record);
  void touch(MnodeNo object, const OpRecord& record, bool content);
  // Of a directory.
  void expect_below_root(MnodeNo number) const;
  LoadedObject loaded(const Object& object) const;
  void interfere();

  const MemFsOptions options_;
  std::unique_ptr<oplog::OpLog> log_;
  std::unique_ptr<MemFs> fs_;
  Tree committed_;
  Tree durable_;
  Stamp upto_ = 0;
  std::map<uint32_t, uint64_t> marks_;  // high-water marks of mnode numbers
};

}  // namespace scalefs::memfs
