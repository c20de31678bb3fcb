// The data calls of a History, and the comparison of whole trees.
#include <fmt/format.h>

#include "tests/support/history.h"

namespace scalefs::testing {

namespace {
ConstBytes as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string first_difference(const std::string& got, const std::string& want) {
  size_t at = 0;
  while (at < got.size() && at < want.size() && got[at] == want[at]) at++;
  return fmt::format("sizes {} and {}, first difference at {}", got.size(), want.size(), at);
}
}  // namespace

bool History::do_write() {
  ModelId id = pick_file();
  if (!id) return !failed_;
  uint64_t limit = options_.file_bytes_max;
  uint64_t offset = random_.percent(60) ? random_.below(model_.node(id).data.size() + 5000)
                                        : random_.below(limit);
  if (random_.percent(30)) offset = offset / 4096 * 4096;
  size_t size = random_.percent(70) ? random_.below(6000) : random_.below(40000);
  if (random_.percent(30)) size = size / 4096 * 4096;
  size = std::min(size, static_cast<size_t>(limit / 2));
  if (offset + size > limit) offset = limit - size;
  std::string bytes = random_bytes(size);
  model_.write(id, offset, bytes);
  auto got = volume_->fs().write(mnodes_.at(id), offset, as_bytes(bytes));
  if (!expect(got.code(), 0, fmt::format("write({}, {}, {})", id, offset, size))) return false;
  return *got == size || fail(fmt::format("write: short, {} of {}", *got, size));
}

bool History::do_append() {
  ModelId id = pick_file();
  if (!id || model_.node(id).data.size() > options_.file_bytes_max) return !failed_;
  std::string bytes = random_bytes(1 + random_.below(9000));
  uint64_t offset = model_.node(id).data.size();
  model_.write(id, offset, bytes);
  auto got = volume_->fs().append(mnodes_.at(id), as_bytes(bytes));
  if (!expect(got.code(), 0, fmt::format("append({}, {})", id, bytes.size()))) return false;
  return *got == offset || fail(fmt::format("append: at {}, expected {}", *got, offset));
}

bool History::do_read() {
  ModelId id = pick_file();
  if (!id) return !failed_;
  uint64_t offset = random_.below(model_.node(id).data.size() + 5000);
  std::string buffer(random_.below(50000), 'x');
  auto got = volume_->fs().read(mnodes_.at(id), offset,
                                std::as_writable_bytes(std::span(buffer.data(), buffer.size())));
  if (!expect(got.code(), 0, fmt::format("read({}, {}, {})", id, offset, buffer.size()))) {
    return false;
  }
  std::string want = model_.read(id, offset, buffer.size());
  buffer.resize(*got);
  return buffer == want || fail("read: " + first_difference(buffer, want));
}

bool History::do_truncate() {
  ModelId id = pick_file();
  if (!id) return !failed_;
  uint64_t size = random_.percent(20) ? 0
                  : random_.percent(50)
                      ? random_.below(model_.node(id).data.size() + 1)
                      : random_.below(options_.file_bytes_max);
  model_.truncate(id, size);
  memfs::SetAttr change;
  change.size = size;
  auto got = volume_->fs().setattr(mnodes_.at(id), change);
  if (!expect(got.code(), 0, fmt::format("truncate({}, {})", id, size))) return false;
  // Allocated pages beyond the size may or may not survive a truncate that grows the file.
  return check_attr(id, *got, "truncate");
}

bool History::do_allocate() {
  ModelId id = pick_file();
  if (!id) return !failed_;
  uint64_t offset = random_.below(options_.file_bytes_max - 1);
  uint64_t length = 1 + random_.below(options_.file_bytes_max - offset);
  if (random_.percent(70)) length = 1 + length % 20000;
  auto mode = static_cast<memfs::AllocateMode>(random_.below(5));
  switch (mode) {
    case memfs::AllocateMode::allocate:
      model_.allocate(id, offset, length, false, false);
      break;
    case memfs::AllocateMode::allocate_keep_size:
      model_.allocate(id, offset, length, true, false);
      break;
    case memfs::AllocateMode::punch_hole:
      model_.punch(id, offset, length);
      break;
    case memfs::AllocateMode::zero_range:
      model_.allocate(id, offset, length, false, true);
      break;
    case memfs::AllocateMode::zero_range_keep_size:
      model_.allocate(id, offset, length, true, true);
      break;
  }
  auto got = volume_->fs().allocate(mnodes_.at(id), mode, offset, length);
  if (!expect(got.code(), 0,
              fmt::format("allocate({}, mode {}, {}, {})", id, static_cast<int>(mode), offset,
                          length))) {
    return false;
  }
  auto attr = volume_->fs().getattr(mnodes_.at(id));
  if (!expect(attr.code(), 0, "getattr")) return false;
  // Which of the two times a call without effect on size or data changes is left open.
  model_.node(id).mtime = attr->mtime_ns;
  model_.node(id).ctime = attr->ctime_ns;
  return check_attr(id, *attr, "allocate");
}

bool History::do_seek() {
  ModelId id = pick_file();
  if (!id || !model_.node(id).mapping_known) return !failed_;
  const ModelNode& node = model_.node(id);
  uint64_t offset = random_.below(node.data.size() + 2);
  bool data = random_.percent(50);
  int want = offset >= node.data.size() ? ENXIO : 0;
  uint64_t at = offset;
  if (!want) {
    while (at < node.data.size() && (node.mapped.count(at / 4096) != 0) != data) {
      at = (at / 4096 + 1) * 4096;
    }
    if (at >= node.data.size()) {
      at = node.data.size();
      if (data) want = ENXIO;
    }
  }
  auto got = volume_->fs().seek(mnodes_.at(id), offset,
                                data ? memfs::SeekMode::data : memfs::SeekMode::hole);
  if (!expect(got.code(), want, fmt::format("seek({}, {}, data {})", id, offset, data))) {
    return false;
  }
  return want || *got == at || fail(fmt::format("seek: {}, expected {}", *got, at));
}

bool History::do_copy() {
  ModelId from = pick_file();
  ModelId to = pick_file();
  if (!from || !to || from == to) return !failed_;
  uint64_t offset = random_.below(model_.node(from).data.size() + 1);
  uint64_t target = random_.below(options_.file_bytes_max / 2);
  uint64_t length = random_.below(20000);
  std::string bytes = model_.read(from, offset, length);
  if (!bytes.empty()) {
    model_.write(to, target, bytes);
    model_.node(to).mapping_known = false;
  }
  auto got =
      volume_->fs().copy_range(mnodes_.at(from), offset, mnodes_.at(to), target, length);
  if (!expect(got.code(), 0, fmt::format("copy({}, {}, {}, {}, {})", from, offset, to, target,
                                         length))) {
    return false;
  }
  return *got == bytes.size() || fail(fmt::format("copy: {} of {}", *got, bytes.size()));
}

bool History::do_readdir() {
  ModelId dir = pick_dir();
  return dir ? compare_directory(dir) : !failed_;
}

bool History::compare_directory(ModelId id) {
  if (!ensure(id)) return false;
  std::map<std::string, MnodeNo> seen;
  uint64_t cookie = 0;
  bool twice = false;
  for (bool more = true; more;) {
    // Small portions, so that cookies matter.
    size_t room = 1 + random_.below(20);
    more = false;
    auto got = volume_->fs().readdir(
        mnodes_.at(id), cookie, [&](const memfs::DirectoryEntry& entry) {
          if (room-- == 0) {
            more = true;
            return false;
          }
          twice |= !seen.emplace(std::string(entry.name), entry.mnode).second;
          cookie = entry.next_cookie;
          return true;
        });
    if (!expect(got.code(), 0, fmt::format("readdir({})", id))) return false;
  }
  if (twice) return fail(fmt::format("readdir({}): a name came twice", id));
  bool dots = seen.count(".") && seen.count("..");
  seen.erase(".");
  seen.erase("..");
  const auto& children = model_.node(id).children;
  if (!dots && model_.node(id).nlink > 0) return fail("readdir: `.` or `..` is missing");
  if (seen.size() != children.size()) {
    return fail(fmt::format("readdir({}): {} names, expected {}", id, seen.size(),
                            children.size()));
  }
  for (const auto& [name, child] : children) {
    auto found = seen.find(name);
    if (found == seen.end()) return fail(fmt::format("readdir({}): {} is missing", id, name));
    if (mnodes_.count(child) && mnodes_.at(child) != found->second) {
      return fail(fmt::format("readdir({}): {} has the number {}", id, name, found->second.v));
    }
  }
  return true;
}

bool History::compare_object(ModelId id) {
  if (!ensure(id)) return false;
  const ModelNode& node = model_.node(id);
  auto attr = volume_->fs().getattr(mnodes_.at(id));
  if (!expect(attr.code(), 0, fmt::format("getattr({})", id))) return false;
  if (!check_attr(id, *attr, "comparison")) return false;
  auto names = volume_->fs().listxattr(mnodes_.at(id));
  if (!expect(names.code(), 0, fmt::format("listxattr({})", id))) return false;
  if (names->size() != node.xattrs.size()) {
    return fail(fmt::format("object {}: {} xattrs, expected {}", id, names->size(),
                            node.xattrs.size()));
  }
  for (const auto& [name, value] : node.xattrs) {
    auto got = volume_->fs().getxattr(mnodes_.at(id), name);
    if (!expect(got.code(), 0, fmt::format("getxattr({}, {})", id, name))) return false;
    std::string text(reinterpret_cast<const char*>(got->data()), got->size());
    if (text != value) return fail(fmt::format("object {}: xattr {} differs", id, name));
  }
  if (node.is_link()) {
    auto target = volume_->fs().readlink(mnodes_.at(id));
    if (!expect(target.code(), 0, fmt::format("readlink({})", id))) return false;
    return *target == node.data || fail(fmt::format("readlink({}): differs", id));
  }
  if (node.is_dir()) return compare_directory(id);
  if (!node.is_file()) return true;
  std::string content(node.data.size() + 1, 'x');
  auto got = volume_->fs().read(mnodes_.at(id), 0,
                                std::as_writable_bytes(std::span(content.data(), content.size())));
  if (!expect(got.code(), 0, fmt::format("read({})", id))) return false;
  content.resize(*got);
  return content == node.data ||
         fail(fmt::format("content of {}: {}", id, first_difference(content, node.data)));
}

bool History::compare_all() {
  std::vector<ModelId> ids;
  for (const auto& [id, node] : model_.nodes()) ids.push_back(id);
  for (ModelId id : ids) {
    if (!compare_object(id)) return false;
  }
  return true;
}

}  // namespace scalefs::testing
