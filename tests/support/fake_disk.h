// A Backend that plays disk for MemFs' data: it applies the log's records to a committed state page by
// page, and keeps the state of the last checkpoint, which is all that loaders see. Blocks that neither
// state nor a pin needs are wiped at each checkpoint, so that a read of one is an error and not old data.
// It counts reservations, so that a test can see whether they balance. Thread-safe; never waits.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/random.h"
#include "memfs/memfs.h"

namespace scalefs::memfs {

class FakeDisk final : public Backend {
 public:
  struct File {
    Attr attr;
    uint64_t size = 0;
    std::map<uint64_t, LoadedPage> pages;  // no holes
    friend bool operator==(const File&, const File&) = delete;
  };
  struct State {
    std::map<MnodeNo, File> files;
    std::map<std::pair<MnodeNo, std::string>, MnodeNo> names;
  };

  explicit FakeDisk(uint64_t capacity_blocks = UINT64_MAX / 2, uint64_t seed = 1);
  ~FakeDisk() override;

  // A MemFs over what is durable, with a log of its own. The one before must be gone.
  std::unique_ptr<MemFs> mount(MemFsOptions options = {.hash_key = {1, 2}});
  // Everything that was not committed is lost; what was is in the checkpoint. MemFs is gone already.
  void crash();

  // --- what volume would do
  struct Flight {
    MnodeNo file;
    std::vector<SampledPage> pages;
    ExtentsOp op;
  };
  // Samples; empty pages: nothing to do.
  Flight begin(MemFs& fs, MnodeNo file, uint64_t from_page, size_t count, bool* busy = nullptr);
  // Gives the pages blocks and writes them.
  void write(Flight& flight);
  void finish(MemFs& fs, Flight& flight);
  void finish_inline(MemFs& fs, Flight& flight);
  void abort(MemFs& fs, Flight& flight);
  // All of one file's dirty pages, then its attributes.
  void write_back_all(MemFs& fs, MnodeNo file);
  void commit();
  void checkpoint(MemFs& fs);
  // Everything dirty, then a commit.
  void sync(MemFs& fs);

  // --- looking
  // Of the committed state; null when there is no such file. Single-threaded.
  const File* committed(MnodeNo file) const;
  // What a page holds, zeros behind its end; fails the test when its block is gone or damaged.
  std::vector<uint8_t> content(const LoadedPage& page) const;
  uint64_t reserved_blocks() const;
  uint64_t log_bytes() const;
  uint64_t reads_of_wiped() const;
  uint64_t blocks_read() const;
  uint64_t mappings_loaded() const;
  // The next so many reads of blocks answer EUCLEAN.
  void fail_reads(uint64_t count);
  // Called for each file that a record changed, after that record.
  std::function<void(MnodeNo, const File&)> on_change;

  // --- Backend
  Status reserve(const Need& need) override;
  void unreserve(const Need& unused) override;
  Result<LoadedObject> load_child(MnodeNo dir, uint64_t hash, std::string_view name) override;
  Result<LoadedEntries> load_entries(MnodeNo dir, uint64_t from_hash, size_t count) override;
  Result<std::vector<LoadedPage>> load_mapping(MnodeNo file, uint64_t page, size_t count) override;
  Result<uint64_t> next_mapped(MnodeNo file, uint64_t page) override;
  Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> load_xattrs(
      MnodeNo object) override;
  std::unique_ptr<ReadPin> pin_reads() override;
  Status read_blocks(BlockNo first, std::span<const uint32_t> crcs, Bytes to) override;
  Status write_back(MnodeNo file) override;
  Result<uint64_t> extend_mnode_numbers(uint32_t core) override;
  void dropped(MnodeNo) override {}

 private:
  struct Pin;
  void apply(const OpRecord& record) REQUIRES(lock_);
  void punch(File& file, uint64_t from, uint64_t to) REQUIRES(lock_);
  void wipe_blocks() REQUIRES(lock_);

  mutable Mutex lock_;
  const uint64_t capacity_;
  Random random_ GUARDED_BY(lock_);
  std::unique_ptr<oplog::OpLog> log_;
  MemFs* mounted_ = nullptr;
  State committed_ GUARDED_BY(lock_);
  Stamp committed_upto_ GUARDED_BY(lock_) = 0;
  std::shared_ptr<const State> durable_ GUARDED_BY(lock_);
  std::vector<std::weak_ptr<const State>> older_ GUARDED_BY(lock_);
  std::map<uint64_t, std::vector<uint8_t>> blocks_ GUARDED_BY(lock_);
  std::set<uint64_t> in_flight_ GUARDED_BY(lock_);  // written, and no record committed
  uint64_t next_block_ GUARDED_BY(lock_) = 1000;
  uint64_t next_number_ GUARDED_BY(lock_) = 2;
  uint64_t reserved_ GUARDED_BY(lock_) = 0;
  uint64_t log_bytes_ GUARDED_BY(lock_) = 0;
  uint64_t wiped_reads_ GUARDED_BY(lock_) = 0;
  uint64_t blocks_read_ GUARDED_BY(lock_) = 0;
  uint64_t mappings_ GUARDED_BY(lock_) = 0;
  uint64_t failing_reads_ GUARDED_BY(lock_) = 0;
};

}  // namespace scalefs::memfs
