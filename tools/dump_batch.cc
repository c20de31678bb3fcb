#include "tools/dump_batch.h"

#include <fmt/format.h>
#include <time.h>

#include "diskfs/batch.h"

namespace scalefs::tools {
namespace {


class Operations final : public diskfs::BatchVisitor {
 public:
  Operations(uint64_t sequence, RecordPrinter& printer) : sequence_(sequence), printer_(printer) {}

  Status put_inode(Ino ino, const diskfs::InodeItem& item) override {
    return row("put_inode", ino, {{"mnode", item.mnode.v}, {"mode", fmt::format("{:o}", item.mode)},
                                  {"nlink", item.nlink}, {"size", item.size}});
  }
  Status delete_inode(Ino ino) override { return row("delete_inode", ino); }
  Status put_dirent(Ino dir, uint64_t hash, std::string_view name,
                    const diskfs::DirentTarget& target) override {
    return row("put_dirent", dir, {{"hash", hash_text(hash)}, {"name", printable(name)},
                                   {"target", target.ino.v}, {"mnode", target.mnode.v}});
  }
  Status del_dirent(Ino dir, uint64_t hash, std::string_view name) override {
    return row("del_dirent", dir, {{"hash", hash_text(hash)}, {"name", printable(name)}});
  }
  Status put_extent(Ino ino, uint64_t page, BlockNo first, std::span<const uint32_t> crcs) override {
    return row("put_extent", ino, {{"page", page}, {"count", crcs.size()}, {"block", first.v}});
  }
  Status put_unwritten(Ino ino, uint64_t page, uint64_t count) override {
    return row("put_unwritten", ino, {{"page", page}, {"count", count}});
  }
  Status put_inline(Ino ino, uint64_t page, ConstBytes content) override {
    return row("put_inline", ino, {{"page", page}, {"bytes", content.size()}});
  }
  Status punch(Ino ino, uint64_t from, uint64_t to) override {
    return row("punch", ino, {{"from", from}, {"to", to}});
  }
  Status put_xattr(Ino ino, std::string_view name, ConstBytes value) override {
    return row("put_xattr", ino, {{"name", printable(name)}, {"bytes", value.size()}});
  }
  Status del_xattr(Ino ino, std::string_view name) override {
    return row("del_xattr", ino, {{"name", printable(name)}});
  }
  Status put_orphan(Ino ino) override { return row("put_orphan", ino); }
  Status del_orphan(Ino ino) override { return row("del_orphan", ino); }
  Status set_mnode_mark(uint32_t slot, uint64_t counter) override {
    printer_.row({{"batch", sequence_}, {"operation", "set_mnode_mark"}, {"slot", slot}, {"counter", counter}});
    return {};
  }

 private:
  static std::string hash_text(uint64_t hash) { return fmt::format("{:016x}", hash); }
  Status row(const char* operation, Ino ino, const Record& fields = Record::object()) {
    Record record{{"batch", sequence_}, {"operation", operation}, {"inode", ino.v}};
    record.update(fields);
    printer_.row(record);
    return {};
  }
  const uint64_t sequence_;
  RecordPrinter& printer_;
};

}  // namespace

bool show_operations(ConstBytes payload, uint64_t sequence, RecordPrinter& printer) {
  Operations operations(sequence, printer);
  return diskfs::visit_batch(payload, operations).ok();
}

std::string time_text(int64_t ns) {
  constexpr int64_t kSecondNs = 1'000'000'000;
  // Towards the past, also before 1970.
  const int64_t part = ((ns % kSecondNs) + kSecondNs) % kSecondNs;
  const time_t seconds = (ns - part) / kSecondNs;
  tm broken{};
  gmtime_r(&seconds, &broken);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", broken.tm_year + 1900,
                     broken.tm_mon + 1, broken.tm_mday, broken.tm_hour, broken.tm_min,
                     broken.tm_sec, part);
}

}  // namespace scalefs::tools
