#include "tests/support/fake_disk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/epoch.h"
#include "base/hash.h"

namespace scalefs::memfs {
namespace {

constexpr uint64_t kEnd = UINT64_MAX;

uint64_t pages_for(uint64_t size) { return (size + kBlockBytes - 1) / kBlockBytes; }

}  // namespace

FakeDisk::FakeDisk(uint64_t capacity_blocks, uint64_t seed)
    : capacity_(capacity_blocks), random_(seed), durable_(std::make_shared<State>()) {}
FakeDisk::~FakeDisk() = default;

std::unique_ptr<MemFs> FakeDisk::mount(MemFsOptions options) {
  log_ = std::make_unique<oplog::OpLog>();
  auto fs = std::make_unique<MemFs>(options, log_.get(), this);
  LoadedObject root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.parent = kRootMnode;
  {
    MutexLock lock(lock_);
    root.entries = committed_.names.size();
    for (uint32_t core = 0; core < core_count(); ++core)
      fs->set_mnode_numbers(core, next_number_, next_number_);
  }
  fs->install_root(root);
  mounted_ = fs.get();
  return fs;
}

void FakeDisk::crash() {
  mounted_ = nullptr;
  log_.reset();
  epoch::drain();
  MutexLock lock(lock_);
  log_bytes_ = 0;
  in_flight_.clear();
  durable_ = std::make_shared<const State>(committed_);
  committed_upto_ = 0;
  reserved_ = 0;  // unwritten pages have theirs in the mount that allocated them
  wipe_blocks();
}

FakeDisk::Flight FakeDisk::begin(MemFs& fs, MnodeNo file, uint64_t from_page, size_t count,
                                 bool* busy) {
  bool ignored = false;
  return {file, fs.begin_writeback(file, from_page, count, busy != nullptr ? busy : &ignored), {}};
}

void FakeDisk::write(Flight& flight) {
  MutexLock lock(lock_);
  flight.op.target = flight.file;
  for (const SampledPage& sample : flight.pages) {
    auto& runs = flight.op.runs;
    if (runs.empty() || runs.back().page + runs.back().crcs.size() != sample.page ||
        random_.percent(20)) {
      next_block_ += random_.below(3);
      runs.push_back({sample.page, BlockNo(next_block_), {}});
    }
    EXPECT_GT(reserved_, 0u) << "a dirty page without a block";
    if (reserved_ > 0) --reserved_;
    const auto* bytes = reinterpret_cast<const uint8_t*>(sample.copy.get());
    in_flight_.insert(next_block_);
    blocks_[next_block_++].assign(bytes, bytes + kBlockBytes);
    runs.back().crcs.push_back(crc32c(bytes, kBlockBytes));
  }
}

void FakeDisk::finish(MemFs& fs, Flight& flight) {
  (void)reserve({.log_bytes = extents_log_bytes(flight.pages.size())});
  const auto stale = fs.finish_writeback(flight.file, flight.pages, flight.op);
  MutexLock lock(lock_);
  for (const BlockNo block : stale) {
    EXPECT_EQ(in_flight_.erase(block.v), 1u);
    blocks_.erase(block.v);
  }
  flight.pages.clear();
}

void FakeDisk::finish_inline(MemFs& fs, Flight& flight) {
  (void)reserve({.log_bytes = inline_log_bytes(flight.pages.size())});
  {
    MutexLock lock(lock_);
    EXPECT_GE(reserved_, flight.pages.size()) << "an inline page without a block";
    reserved_ -= std::min<uint64_t>(reserved_, flight.pages.size());
  }
  fs.finish_inline(flight.file, std::move(flight.pages));
  flight.pages.clear();
}

void FakeDisk::abort(MemFs& fs, Flight& flight) {
  {
    MutexLock lock(lock_);
    for (const auto& run : flight.op.runs) {
      for (size_t i = 0; i < run.crcs.size(); ++i) {
        in_flight_.erase(run.block.v + i);
        blocks_.erase(run.block.v + i);
        ++reserved_;
      }
    }
  }
  fs.abort_writeback(flight.file, flight.pages);
  flight.pages.clear();
}

void FakeDisk::write_back_all(MemFs& fs, MnodeNo file) {
  for (uint64_t from = 0;;) {
    Flight flight = begin(fs, file, from, 16);
    if (flight.pages.empty()) break;
    from = flight.pages.back().page + 1;
    write(flight);
    finish(fs, flight);
  }
  fs.wait_writeback(file);
  (void)reserve({.log_bytes = attributes_log_bytes()});
  fs.log_attributes(file);
}

Status FakeDisk::write_back(MnodeNo file) {
  write_back_all(*mounted_, file);
  return {};
}

void FakeDisk::sync(MemFs& fs) {
  for (int round = 0; round < 10; ++round) {
    const auto files = fs.dirty_files(SIZE_MAX);
    if (files.empty()) break;
    for (const MnodeNo file : files) write_back_all(fs, file);
  }
  commit();
}

void FakeDisk::commit() {
  const auto cut = log_->cut();
  MutexLock lock(lock_);
  committed_upto_ = cut.upto;
  for (const auto& entry : cut.entries) {
    EXPECT_GE(log_bytes_, entry->cost_bytes);
    log_bytes_ -= std::min<uint64_t>(log_bytes_, entry->cost_bytes);
    apply(static_cast<const OpRecord&>(*entry));
  }
}

void FakeDisk::checkpoint(MemFs& fs) {
  Stamp upto;
  {
    MutexLock lock(lock_);
    older_.push_back(durable_);
    durable_ = std::make_shared<const State>(committed_);
    upto = committed_upto_;
    wipe_blocks();
  }
  fs.set_durable_stamp(upto);
}

void FakeDisk::wipe_blocks() {
  std::set<uint64_t> needed = in_flight_;
  const auto add = [&](const State& state) {
    for (const auto& [number, file] : state.files) {
      for (const auto& [page, what] : file.pages)
        if (what.kind == LoadedPage::Kind::block) needed.insert(what.block.v);
    }
  };
  add(committed_);
  add(*durable_);
  std::erase_if(older_, [](const auto& state) { return state.expired(); });
  for (const auto& weak : older_) {
    if (const auto state = weak.lock()) add(*state);
  }
  std::erase_if(blocks_, [&](const auto& block) { return !needed.contains(block.first); });
}

void FakeDisk::punch(File& file, uint64_t from, uint64_t to) {
  file.pages.erase(file.pages.lower_bound(from),
                   to == kEnd ? file.pages.end() : file.pages.lower_bound(to));
}

void FakeDisk::apply(const OpRecord& record) {
  MnodeNo touched;
  const auto file_of = [&](MnodeNo number) NO_THREAD_SAFETY_ANALYSIS -> File* {
    const auto it = committed_.files.find(number);
    touched = number;
    return it == committed_.files.end() ? nullptr : &it->second;
  };
  const auto set_size = [](File* file, uint64_t covered) {
    if (covered != kSizeUnchanged) file->size = covered;
  };
  if (const auto* create = std::get_if<CreateOp>(&record.op)) {
    committed_.files[create->attr.mnode].attr = create->attr;
    committed_.names[{create->parent, create->name}] = create->attr.mnode;
    next_number_ = std::max(next_number_, (create->attr.mnode.v >> kCoreBits) + 1);
  } else if (const auto* unlink = std::get_if<UnlinkOp>(&record.op)) {
    committed_.names.erase({unlink->parent, unlink->name});
  } else if (const auto* reclaim = std::get_if<ReclaimOp>(&record.op)) {
    committed_.files.erase(reclaim->target);
  } else if (const auto* attr = std::get_if<SetAttrOp>(&record.op)) {
    if (File* file = file_of(attr->target)) {
      file->attr.atime_ns = attr->atime_ns.value_or(file->attr.atime_ns);
      file->attr.mtime_ns = attr->mtime_ns.value_or(file->attr.mtime_ns);
      file->attr.mode = attr->mode.value_or(file->attr.mode);
    }
  } else if (const auto* cut = std::get_if<TruncateOp>(&record.op)) {
    if (File* file = file_of(cut->target)) {
      punch(*file, pages_for(cut->size), kEnd);
      file->size = cut->covered_size;
    }
  } else if (const auto* hole = std::get_if<PunchOp>(&record.op)) {
    if (File* file = file_of(hole->target)) {
      punch(*file, hole->from_page, hole->to_page);
      set_size(file, hole->covered_size);
    }
  } else if (const auto* fill = std::get_if<AllocateOp>(&record.op)) {
    if (File* file = file_of(fill->target)) {
      for (uint64_t p = fill->page; p < fill->page + fill->count; ++p)
        file->pages.try_emplace(p, LoadedPage{LoadedPage::Kind::unwritten, {}, 0, {}});
      set_size(file, fill->covered_size);
    }
  } else if (const auto* extents = std::get_if<ExtentsOp>(&record.op)) {
    File* file = file_of(extents->target);
    for (const auto& run : extents->runs) {
      for (size_t i = 0; i < run.crcs.size(); ++i) {
        EXPECT_EQ(in_flight_.erase(run.block.v + i), 1u) << "a block named twice";
        if (file != nullptr)
          file->pages[run.page + i] = {LoadedPage::Kind::block, BlockNo(run.block.v + i),
                                       run.crcs[i], {}};
      }
    }
    if (file != nullptr) set_size(file, extents->covered_size);
  } else if (const auto* inlined = std::get_if<InlineOp>(&record.op)) {
    File* file = file_of(inlined->target);
    for (const auto& page : inlined->pages) {
      if (file != nullptr) file->pages[page.page] = {LoadedPage::Kind::bytes, {}, 0, page.bytes};
    }
    if (file != nullptr) file->size = inlined->covered_size;
  }
  if (touched) {
    if (File* file = file_of(touched)) {
      if (record.mtime_ns != 0) file->attr.mtime_ns = record.mtime_ns;
      if (on_change) on_change(touched, *file);
    }
  }
}

const FakeDisk::File* FakeDisk::committed(MnodeNo file) const {
  MutexLock lock(lock_);
  const auto it = committed_.files.find(file);
  return it == committed_.files.end() ? nullptr : &it->second;
}

std::vector<uint8_t> FakeDisk::content(const LoadedPage& page) const NO_THREAD_SAFETY_ANALYSIS {
  // Also called from on_change, under the lock.
  std::vector<uint8_t> bytes(kBlockBytes);
  if (page.kind == LoadedPage::Kind::bytes && !page.bytes.empty())
    std::memcpy(bytes.data(), page.bytes.data(), page.bytes.size());
  if (page.kind == LoadedPage::Kind::block) {
    const auto it = blocks_.find(page.block.v);
    EXPECT_NE(it, blocks_.end());
    if (it != blocks_.end()) bytes = it->second;
    EXPECT_EQ(crc32c(bytes.data(), bytes.size()), page.crc);
  }
  return bytes;
}

uint64_t FakeDisk::reserved_blocks() const { MutexLock lock(lock_); return reserved_; }
uint64_t FakeDisk::log_bytes() const { MutexLock lock(lock_); return log_bytes_; }
uint64_t FakeDisk::reads_of_wiped() const { MutexLock lock(lock_); return wiped_reads_; }
uint64_t FakeDisk::blocks_read() const { MutexLock lock(lock_); return blocks_read_; }
uint64_t FakeDisk::mappings_loaded() const { MutexLock lock(lock_); return mappings_; }
void FakeDisk::fail_reads(uint64_t count) { MutexLock lock(lock_); failing_reads_ = count; }
Status FakeDisk::reserve(const Need& need) {
  EXPECT_FALSE(epoch::in_guard());
  MutexLock lock(lock_);
  if (!need.always && need.blocks > 0 && blocks_.size() + reserved_ + need.blocks > capacity_)
    return Errno(ENOSPC);
  reserved_ += need.blocks;
  log_bytes_ += need.log_bytes;
  return {};
}

void FakeDisk::unreserve(const Need& unused) {
  MutexLock lock(lock_);
  EXPECT_GE(reserved_, unused.blocks);
  EXPECT_GE(log_bytes_, unused.log_bytes);
  reserved_ -= std::min(reserved_, unused.blocks);
  log_bytes_ -= std::min(log_bytes_, unused.log_bytes);
}

Result<LoadedObject> FakeDisk::load_child(MnodeNo dir, uint64_t, std::string_view name) {
  EXPECT_FALSE(epoch::in_guard());
  MutexLock lock(lock_);
  const auto it = durable_->names.find({dir, std::string(name)});
  if (it == durable_->names.end()) return Errno(ENOENT);
  const File& file = durable_->files.at(it->second);
  LoadedObject object;
  object.attr = file.attr;
  object.attr.size = file.size;
  object.attr.blocks = file.pages.size() * (kBlockBytes / 512);
  return object;
}

Result<LoadedEntries> FakeDisk::load_entries(MnodeNo, uint64_t, size_t) { return LoadedEntries{}; }

Result<std::vector<LoadedPage>> FakeDisk::load_mapping(MnodeNo number, uint64_t page,
                                                       size_t count) {
  EXPECT_FALSE(epoch::in_guard());
  MutexLock lock(lock_);
  ++mappings_;
  std::vector<LoadedPage> pages(count);
  const auto file = durable_->files.find(number);
  if (file == durable_->files.end()) return pages;
  for (size_t i = 0; i < count; ++i) {
    const auto it = file->second.pages.find(page + i);
    if (it != file->second.pages.end()) pages[i] = it->second;
  }
  return pages;
}

Result<uint64_t> FakeDisk::next_mapped(MnodeNo number, uint64_t page) {
  MutexLock lock(lock_);
  const auto file = durable_->files.find(number);
  if (file == durable_->files.end()) return kEnd;
  const auto it = file->second.pages.lower_bound(page);
  return it == file->second.pages.end() ? kEnd : it->first;
}

Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> FakeDisk::load_xattrs(
    MnodeNo) {
  return std::vector<std::pair<std::string, std::vector<std::byte>>>{};
}

struct FakeDisk::Pin : ReadPin {
  explicit Pin(std::shared_ptr<const State> s) : state(std::move(s)) {}
  std::shared_ptr<const State> state;
};

std::unique_ptr<Backend::ReadPin> FakeDisk::pin_reads() {
  MutexLock lock(lock_);
  return std::make_unique<Pin>(durable_);
}

Status FakeDisk::read_blocks(BlockNo first, std::span<const uint32_t> crcs, Bytes to) {
  EXPECT_FALSE(epoch::in_guard());
  MutexLock lock(lock_);
  if (failing_reads_ > 0) {
    --failing_reads_;
    return Errno(EUCLEAN);
  }
  for (size_t i = 0; i < crcs.size(); ++i) {
    const auto it = blocks_.find(first.v + i);
    if (it == blocks_.end()) {
      ++wiped_reads_;
      return Errno(EUCLEAN);
    }
    if (crc32c(it->second.data(), kBlockBytes) != crcs[i]) return Errno(EUCLEAN);
    std::memcpy(to.data() + i * kBlockBytes, it->second.data(), kBlockBytes);
    ++blocks_read_;
  }
  return {};
}

Result<uint64_t> FakeDisk::extend_mnode_numbers(uint32_t) { return uint64_t{1} << 40; }

}  // namespace scalefs::memfs
