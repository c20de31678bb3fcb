#include "tools/image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "base/aligned_buffer.h"
#include "base/random.h"
#include "diskfs/file_device.h"
#include "diskfs/journal_reader.h"
#include "diskfs/node_edit.h"
#include "diskfs/node_store.h"
#include "diskfs/recovery.h"
#include "diskfs/space_map.h"
#include "diskfs/stand_in.h"
#include "diskfs/superblock_scan.h"
#include "tools/console.h"
#include "tools/image_blank.h"
#include "tools/size_suffix.h"

namespace scalefs::tools {

using diskfs::NodeAddress;
using diskfs::NodeFault;
using diskfs::Superblock;

namespace {

class Copy {
 public:
  Copy(diskfs::BlockDevice& source, diskfs::BlockDevice& dest, const HashKey& key)
      : source_(source), dest_(dest), key_(key) {}
  Result<ImageReport> run(std::string* why);

 private:
  Status write(uint64_t block, ConstBytes bytes);
  Status superblocks();
  Status tables(const Superblock& sb);
  Status journal();
  Result<uint64_t> batches(const diskfs::JournalArea& from, const diskfs::JournalArea& to,
                           std::vector<bool>* written);
  Status headers(const diskfs::JournalArea& from, const diskfs::JournalArea& to,
                 const std::vector<bool>& written);
  Status journal_blocks(uint64_t position, ConstBytes bytes);
  // Copies the node and what is below it. The checksum by which it is to be named.
  Result<uint32_t> node(const NodeAddress& address, uint32_t level, const diskfs::KeyRange& range);
  Result<uint32_t> bad_node(const NodeAddress& address, NodeFault fault);
  Status open_children(Bytes page, uint32_t level, const diskfs::KeyRange& range);

  diskfs::BlockDevice& source_;
  diskfs::BlockDevice& dest_;
  const HashKey key_;
  diskfs::SuperblockScan scan_;
  Superblock newest_;
  std::unique_ptr<Blank> blank_;
  std::unique_ptr<diskfs::NodeStore> store_;
  // Nodes that were copied, by how they are named, and the checksums of their copies. Those that are named in
  // different places are copied once.
  std::map<std::tuple<uint64_t, uint64_t, uint32_t, uint32_t>, uint32_t> copied_;
  std::set<std::pair<uint32_t, uint32_t>> tables_;  // copy and checksum of those that were met
  ImageReport report_;
};

Status Copy::write(uint64_t block, ConstBytes bytes) {
  SCALEFS_TRY_VOID(dest_.write(BlockNo(block), bytes));
  report_.blocks += bytes.size() / kBlockBytes;
  return {};
}

// --- nodes

Status Copy::open_children(Bytes page, uint32_t level, const diskfs::KeyRange& range) {
  const diskfs::NodeView view(page.data());
  for (uint32_t i = 0; i < view.count(); ++i) {
    NodeAddress child = view.child(i);
    SCALEFS_TRY(child.crc, node(child, level - 1, view.child_range(i, range)));
    diskfs::child_set_address(page.data(), i, child);
  }
  const size_t end = diskfs::kNodeHeaderBytes + view.count() * diskfs::kChildEntryBytes;
  std::fill(page.begin() + static_cast<ptrdiff_t>(end), page.end(), std::byte{0});
  return {};
}

Result<uint32_t> Copy::node(const NodeAddress& address, uint32_t level,
                            const diskfs::KeyRange& range) {
  const auto key = std::tuple(address.block.v, address.generation, address.crc, level);
  if (const auto found = copied_.find(key); found != copied_.end()) return found->second;
  NodeFault fault = NodeFault::none;
  const auto ref = store_->read_uncached(address, level, range, &fault);
  if (!ref) return bad_node(address, fault);
  AlignedBuffer page(kBlockBytes);
  std::memcpy(page.data(), ref->view().page(), kBlockBytes);
  if (level == 0) {
    blank_->leaf(page.span());
  } else {
    SCALEFS_TRY_VOID(open_children(page.span(), level, range));
  }
  const NodeAddress sealed =
      diskfs::seal_node(page.data(), store_->uuid(), address.block, address.generation);
  SCALEFS_TRY_VOID(write(address.block.v, page.span()));
  ++report_.nodes;
  copied_.emplace(key, sealed.crc);
  return sealed.crc;
}

// The copy has the same fault. A block that is not what was promised, or cannot be read, is left out: zeros have another
// checksum. What has the right one and is wrong in itself keeps its header, or its keys.
Result<uint32_t> Copy::bad_node(const NodeAddress& address, NodeFault fault) {
  ++report_.damaged;
  if (fault == NodeFault::io || fault == NodeFault::checksum) return address.crc;
  AlignedBuffer page(kBlockBytes);
  if (address.block.v == 0 || address.block.v >= source_.block_count() ||
      !source_.read(address.block, page.span()).ok()) {
    return address.crc;
  }
  const Bytes bytes = page.span();
  const diskfs::NodeView view(page.data());
  if (fault == NodeFault::range) {
    if (view.is_leaf()) blank_->leaf(bytes);
  } else {
    const size_t kept = fault == NodeFault::magic ? 0 : diskfs::kNodeHeaderBytes;
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(kept), bytes.end(), std::byte{0});
  }
  if (fault == NodeFault::uuid) {
    std::memset(page.data() + diskfs::node_offset::uuid, 0, sizeof(diskfs::Uuid));
  }
  const uint32_t crc = diskfs::node_crc(bytes);
  store_le(page.data() + diskfs::node_offset::crc, crc);
  SCALEFS_TRY_VOID(write(address.block.v, bytes));
  return crc;
}

// --- superblocks, tables and maps

Status Copy::superblocks() {
  AlignedBuffer block(kBlockBytes);
  for (const diskfs::SuperblockCopy& copy : scan_.copies) {
    if (copy.block >= dest_.block_count()) continue;
    if (copy.error != 0) {
      // Torn or never there: what is found in it is the same.
      ++report_.damaged;
      std::memset(block.data(), 0, kBlockBytes);
      if (copy.error == EUCLEAN) {
        std::memcpy(block.data(), diskfs::kSuperblockMagic.data(), diskfs::kSuperblockMagic.size());
      }
      SCALEFS_TRY_VOID(write(copy.block, block.span()));
      continue;
    }
    Superblock sb = copy.sb;
    if (sb.root.height > 0) {
      SCALEFS_TRY(sb.root.crc, node({sb.root.block, sb.root.generation, sb.root.crc},
                                    sb.root.height - 1, diskfs::KeyRange()));
    }
    SCALEFS_TRY_VOID(tables(sb));
    sb.label.clear();
    sb.hash_key = key_;
    sb.feature_incompat |= diskfs::kIncompatImage;
    encode_superblock(sb, copy.block, block.span().first<kBlockBytes>());
    SCALEFS_TRY_VOID(write(copy.block, block.span()));
  }
  return {};
}

// The table that `sb` names and the maps that it names, where their checksums are right; else nothing, which
// has another one.
Status Copy::tables(const Superblock& sb) {
  if (!tables_.emplace(sb.table.copy, sb.table.crc).second) return {};
  const diskfs::Geometry& g = sb.geometry;
  const auto copy_if = [&](uint64_t first, uint64_t count, uint32_t crc, AlignedBuffer& buffer) {
    const bool good = source_.read(BlockNo(first), buffer.span()).ok() &&
                      crc32c(buffer.data(), count * kBlockBytes) == crc;
    report_.damaged += !good;
    return good;
  };
  AlignedBuffer table(g.table_blocks * kBlockBytes);
  if (!copy_if(g.table_first[sb.table.copy], g.table_blocks, sb.table.crc, table)) return {};
  SCALEFS_TRY_VOID(write(g.table_first[sb.table.copy], table.span()));
  AlignedBuffer map(g.map_blocks * kBlockBytes);
  for (uint64_t group = 0; group < g.group_count; ++group) {
    diskfs::RawTableEntry entry;
    std::memcpy(&entry,
                table.data() + group / diskfs::kTableEntriesPerBlock * kBlockBytes +
                    diskfs::kTableHeaderBytes + group % diskfs::kTableEntriesPerBlock * sizeof entry,
                sizeof entry);
    if (entry.generation == 0) continue;
    const uint32_t which = (entry.copy_and_free & diskfs::kGroupCopyBit) != 0 ? 1 : 0;
    const uint64_t first = g.map_first(group, which);
    if (!copy_if(first, g.map_blocks, entry.crc, map)) continue;
    SCALEFS_TRY_VOID(write(first, map.span()));
  }
  return {};
}

// --- journal

Status Copy::journal_blocks(uint64_t position, ConstBytes bytes) {
  const diskfs::Geometry& g = newest_.geometry;
  for (size_t done = 0; done < bytes.size(); done += kBlockBytes, ++position) {
    SCALEFS_TRY_VOID(write(g.journal_first + position % g.journal_blocks,
                           bytes.subspan(done, kBlockBytes)));
  }
  return {};
}

// The batches that recovery takes, chained anew. How many there are.
Result<uint64_t> Copy::batches(const diskfs::JournalArea& from, const diskfs::JournalArea& to,
                               std::vector<bool>* written) {
  std::string ignored;
  const auto recovered = recover_journal(source_, newest_, /*take_prefix=*/true, &ignored);
  // Without an answer the chain is what is right.
  const uint64_t taken = recovered.ok() ? recovered->batches.size() : UINT64_MAX;
  diskfs::JournalReader reader(source_, from, newest_.mount_epoch, journal_start(newest_));
  std::optional<uint32_t> previous;
  uint64_t count = 0;
  for (; count < taken; ++count) {
    const uint64_t position = reader.point().position;
    SCALEFS_TRY(auto batch, reader.next());
    if (!batch) break;
    std::vector<std::byte> payload;
    blank_->batch(batch->payload(), &payload, &batch->header.op_count);
    const uint64_t blocks = diskfs::batch_blocks(payload.size());
    std::vector<std::byte> bytes(blocks * kBlockBytes);
    std::copy(payload.begin(), payload.end(), bytes.begin() + diskfs::kBatchHeaderBytes);
    batch->header.payload_bytes = static_cast<uint32_t>(payload.size());
    if (previous) batch->header.previous_crc = *previous;
    encode_batch_header(to, batch->header,
                        Bytes(bytes).first(diskfs::kBatchHeaderBytes + payload.size()));
    previous = batch->header.crc;
    SCALEFS_TRY_VOID(journal_blocks(position, bytes));
    for (uint64_t i = 0; i < blocks; ++i) (*written)[(position + i) % to.blocks] = true;
  }
  return count;
}

// Other headers say what was durable once. Their batches cannot be taken.
Status Copy::headers(const diskfs::JournalArea& from, const diskfs::JournalArea& to,
                     const std::vector<bool>& written) {
  AlignedBuffer block(kBlockBytes);
  for (uint64_t position = 0; position < to.blocks; ++position) {
    diskfs::BatchHeader header;
    if (written[position] || !source_.read(BlockNo(from.first.v + position), block.span()).ok() ||
        !decode_batch_header(from, block.span(), &header)) {
      continue;
    }
    std::vector<std::byte> bytes(diskfs::batch_blocks(header.payload_bytes) * kBlockBytes);
    encode_batch_header(to, header,
                        Bytes(bytes).first(diskfs::kBatchHeaderBytes + header.payload_bytes));
    store_le(bytes.data() + diskfs::batch_offset::crc, header.crc ^ 1);
    SCALEFS_TRY_VOID(journal_blocks(position, ConstBytes(bytes).first(kBlockBytes)));
  }
  return {};
}

Status Copy::journal() {
  const diskfs::JournalArea from = journal_area(newest_);
  diskfs::JournalArea to = from;
  to.key = key_;
  std::vector<bool> written(to.blocks);
  SCALEFS_TRY(report_.batches, batches(from, to, &written));
  return headers(from, to, written);
}

Result<ImageReport> Copy::run(std::string* why) {
  scan_ = diskfs::scan_superblocks(source_);
  if (!scan_.newest) {
    *why = scan_.why;
    return Errno(scan_.error);
  }
  newest_ = scan_.copies[*scan_.newest].sb;
  if (is_metadata_image(newest_)) {
    *why = "it is a metadata image already";
    return Errno(EINVAL);
  }
  blank_ = std::make_unique<Blank>(newest_.hash_key);
  store_ = std::make_unique<diskfs::NodeStore>(source_, newest_.uuid.data(), newest_.hash_key);
  Status status = journal();
  if (status.ok()) status = superblocks();
  if (status.ok()) status = dest_.flush();
  if (!status.ok()) {
    *why = fmt::format("copying failed: {}", std::strerror(status.code()));
    return status.error();
  }
  return report_;
}

}  // namespace

Result<ImageReport> copy_metadata(diskfs::BlockDevice& source, diskfs::BlockDevice& dest,
                                  const HashKey& key, std::string* why) {
  return Copy(source, dest, key).run(why);
}

namespace {

int make_image(const ImageOptions& options, Console& console) {
  diskfs::FileDeviceOptions how;
  how.read_only = true;
  how.lock_wait = console.wait_for(options.source, options.lock_wait_ms);
  std::string why;
  auto source = diskfs::FileDevice::open(options.source, how, &why);
  if (!source.ok()) return console.say(kImageOperational, "{}", why);
  const auto sb = diskfs::read_newest_superblock(**source, &why);
  if (!sb.ok()) return console.say(kImageOperational, "{}: {}", options.source, why);
  const int fd = open(options.dest.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    return console.say(kImageOperational, "{}: {}", options.dest, std::strerror(errno));
  }
  const auto size = static_cast<off_t>(sb->geometry.block_count * kBlockBytes);
  const int failed = ftruncate(fd, size) != 0 ? errno : 0;
  close(fd);
  const auto give_up = [&](const std::string& text) {
    unlink(options.dest.c_str());
    return console.say(kImageOperational, "{}", text);
  };
  if (failed != 0) return give_up(fmt::format("{}: {}", options.dest, std::strerror(failed)));
  auto dest = diskfs::FileDevice::open(options.dest, {}, &why);
  if (!dest.ok()) return give_up(why);
  HashKey key;
  system_random(&key, sizeof key);
  const auto report = copy_metadata(**source, **dest, key, &why);
  if (!report.ok()) return give_up(fmt::format("{}: {}", options.source, why));
  console.print("{}: {} tree nodes, {} batches of the journal, {} in {}\n", options.source,
                report->nodes, report->batches, format_size(report->blocks * kBlockBytes),
                options.dest);
  if (report->damaged == 0) return kImageDone;
  return console.say(kImageDamaged, "{}: {} damaged parts are left out, as damaged ones",
                     options.source, report->damaged);
}

}  // namespace

int run_image(const ImageOptions& options, FILE* out, FILE* err) {
  Console console("scalefs-image", out, err);
  try {
    return make_image(options, console);
  } catch (const std::bad_alloc&) {
    unlink(options.dest.c_str());
    return console.say(kImageOperational, "out of memory");
  }
}

}  // namespace scalefs::tools
