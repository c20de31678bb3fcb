// Short ways to write down records, as MemFS would log them.
#pragma once

#include <dirent.h>

#include <memory>
#include <string>
#include <vector>

#include "memfs/record.h"
#include "volume/translator.h"

namespace scalefs::volume {

class RecordMaker {
 public:
  using Records = std::vector<std::unique_ptr<oplog::LogEntry>>;

  template <class Op>
  void add(Op op, int64_t ctime = 0, int64_t mtime = 0) {
    auto record = std::make_unique<memfs::OpRecord>();
    record->op = std::move(op);
    record->stamp = ++stamp_;
    record->ctime_ns = ctime;
    record->mtime_ns = mtime;
    records.push_back(std::move(record));
  }
  static memfs::Attr attr(uint64_t mnode, uint32_t mode, uint32_t nlink) {
    memfs::Attr attr;
    attr.mnode = MnodeNo(mnode);
    attr.mode = mode;
    attr.nlink = nlink;
    return attr;
  }
  void create(uint64_t mnode, uint64_t parent, const std::string& name, int64_t time = 0) {
    add(memfs::CreateOp{attr(mnode, 0100644, parent ? 1 : 0), MnodeNo(parent), name, {}, {}}, time,
        time);
  }
  void mkdir(uint64_t mnode, uint64_t parent, const std::string& name, int64_t time = 0) {
    add(memfs::CreateOp{attr(mnode, 040755, 2), MnodeNo(parent), name, {}, {}}, time, time);
  }
  void link(uint64_t target, uint64_t parent, const std::string& name, int64_t time = 0) {
    add(memfs::LinkOp{MnodeNo(parent), name, MnodeNo(target), DT_REG}, time, time);
  }
  void unlink(uint64_t target, uint64_t parent, const std::string& name, bool dir = false,
              int64_t time = 0) {
    add(memfs::UnlinkOp{MnodeNo(parent), name, MnodeNo(target),
                        static_cast<uint8_t>(dir ? DT_DIR : DT_REG)},
        time, time);
  }
  void rename(memfs::RenameOp op, int64_t time = 0) { add(std::move(op), time, time); }
  void extent(uint64_t target, uint64_t page, uint64_t block, std::vector<uint32_t> crcs,
              uint64_t size, int64_t time = 0) {
    add(memfs::ExtentsOp{MnodeNo(target), {{page, BlockNo(block), std::move(crcs)}}, size}, time,
        time);
  }
  void bytes(uint64_t target, uint64_t page, const std::string& text, uint64_t size,
             int64_t time = 0) {
    memfs::InlineOp op{MnodeNo(target), {}, size};
    const auto raw = std::as_bytes(std::span(text));
    op.pages.push_back({page, std::vector<std::byte>(raw.begin(), raw.end())});
    add(std::move(op), time, time);
  }
  void truncate(uint64_t target, uint64_t size, int64_t time = 0) {
    add(memfs::TruncateOp{MnodeNo(target), size, size}, time, time);
  }
  void punch(uint64_t target, uint64_t from, uint64_t to, uint64_t size) {
    add(memfs::PunchOp{MnodeNo(target), from, to, size});
  }
  void allocate(uint64_t target, uint64_t page, uint64_t count, uint64_t size) {
    add(memfs::AllocateOp{MnodeNo(target), page, count, size});
  }
  void reclaim(uint64_t target) { add(memfs::ReclaimOp{MnodeNo(target)}); }
  void set_mode(uint64_t target, uint32_t mode, int64_t time = 0) {
    memfs::SetAttrOp op;
    op.target = MnodeNo(target);
    op.mode = mode;
    add(std::move(op), time);
  }

  Records records;

 private:
  oplog::Stamp stamp_ = 0;
};

}  // namespace scalefs::volume
