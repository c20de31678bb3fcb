// Split points of a cut: sums of upper bounds, so that they can be chosen before any absorption.
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "volume/translator.h"

namespace scalefs::volume {

namespace {

using diskfs::Batch;
using memfs::OpRecord;

// Upper bounds of encoded operations (FORMAT.md, "Operations of a batch"), without names and content.
constexpr size_t kObjectBytes = 152;  // put_inode, an orphan operation, delete_inode
constexpr size_t kNameBytes = 40;
constexpr size_t kXattrBytes = 24;
constexpr size_t kRangeBytes = 64;    // a range, and the two pieces that it may split another into

// The objects that a record touches (none twice) and the bytes beside their attributes.
struct Footprint {
  std::array<MnodeNo, 5> objects{};
  size_t count = 0;
  size_t bytes = 0;

  void object(MnodeNo mnode) {
    if (mnode) objects[count++] = mnode;
  }
  void name(const std::string& name) { bytes += kNameBytes + name.size(); }
  void xattr(size_t name, size_t value) { bytes += kXattrBytes + name + value; }

  void operator()(const memfs::CreateOp& op) {
    object(op.parent);
    object(op.attr.mnode);
    if (op.parent) name(op.name);
    for (const auto& [xattr_name, value] : op.xattrs) xattr(xattr_name.size(), value.size());
    if (!op.symlink_target.empty()) bytes += kRangeBytes + op.symlink_target.size();
  }
  void operator()(const memfs::LinkOp& op) {
    object(op.parent);
    object(op.target);
    name(op.name);
  }
  void operator()(const memfs::UnlinkOp& op) {
    object(op.parent);
    object(op.target);
    name(op.name);
  }
  void operator()(const memfs::RenameOp& op) {
    object(op.source_parent);
    object(op.target_parent);
    object(op.moved);
    object(op.replaced);
    if (op.whiteout) object(op.whiteout->mnode);
    for (const auto& [xattr_name, value] : op.whiteout_xattrs) xattr(xattr_name.size(), value.size());
    name(op.source_name);
    name(op.target_name);
  }
  void operator()(const memfs::SetAttrOp& op) { object(op.target); }
  void operator()(const memfs::TruncateOp& op) { range(op.target); }
  void operator()(const memfs::PunchOp& op) { range(op.target); }
  void operator()(const memfs::AllocateOp& op) { range(op.target); }
  void operator()(const memfs::ExtentsOp& op) {
    object(op.target);
    for (const auto& run : op.runs) {
      const size_t chunks = run.crcs.size() / Batch::kExtentBlocksMax + 1;
      bytes += kRangeBytes * (chunks + 1) + run.crcs.size() * sizeof(uint32_t);
    }
  }
  void operator()(const memfs::InlineOp& op) {
    object(op.target);
    for (const auto& page : op.pages) bytes += 2 * kRangeBytes + page.bytes.size();
  }
  void operator()(const memfs::SetXattrOp& op) {
    object(op.target);
    xattr(op.name.size(), op.value.size());
  }
  void operator()(const memfs::RemoveXattrOp& op) {
    object(op.target);
    xattr(op.name.size(), 0);
  }
  void operator()(const memfs::ReclaimOp& op) { object(op.target); }

 private:
  void range(MnodeNo target) {
    object(target);
    bytes += 2 * kRangeBytes;
  }
};

Footprint footprint_of(const OpRecord& record) {
  Footprint footprint;
  std::visit(footprint, record.op);
  return footprint;
}

}  // namespace

size_t Translator::bytes_bound(const OpRecord& record) {
  const Footprint footprint = footprint_of(record);
  return footprint.bytes + footprint.count * kObjectBytes;
}

std::vector<size_t> Translator::split_points(RecordList records, size_t bytes_max) {
  size_t bound = 0;
  for (size_t i = 0; i < records.size() && bound <= bytes_max; ++i) {
    bound += bytes_bound(static_cast<const OpRecord&>(*records[i]));
  }
  // Nearly always: objects that several records touch need not be told apart.
  if (bound <= bytes_max && !records.empty()) return {records.size()};
  std::vector<size_t> ends;
  std::unordered_set<MnodeNo> touched;
  size_t bytes = 0;
  size_t start = 0;
  const auto add = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
      const Footprint footprint = footprint_of(static_cast<const OpRecord&>(*records[i]));
      bytes += footprint.bytes;
      for (size_t j = 0; j < footprint.count; ++j) {
        if (touched.insert(footprint.objects[j]).second) bytes += kObjectBytes;
      }
    }
  };
  for (size_t i = 0; i < records.size();) {
    // All records of one call.
    size_t end = i + 1;
    while (end < records.size() && records[end]->stamp == records[i]->stamp &&
           records[end]->slot == records[i]->slot) {
      ++end;
    }
    add(i, end);
    if (bytes > bytes_max && i > start) {
      ends.push_back(i);
      start = i;
      touched.clear();
      bytes = 0;
      add(i, end);
    }
    i = end;
  }
  if (start < records.size()) ends.push_back(records.size());
  return ends;
}

}  // namespace scalefs::volume
