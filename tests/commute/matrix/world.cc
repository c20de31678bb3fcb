#include "tests/commute/matrix/world.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace scalefs::matrix {

using testing::ModelId;
using testing::ModelNode;

namespace {
constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;

Answer failed(int error) { return {error, {}, {}}; }
}  // namespace

const char* op_name(Op op) {
  static const char* const names[kOps] = {
      "lookup",   "getattr",     "chmod",      "chown",     "utimes",      "truncate",
      "create",   "create_excl", "mkdir",      "mknod",     "symlink",     "readlink",
      "link",     "unlink",      "rmdir",      "rename",    "rename_exch", "rename_norepl",
      "forget",   "read",        "write",      "write_ext", "append",      "copy_range",
      "allocate", "punch",       "seek",       "readdir",   "statfs",      "getxattr",
      "setxattr", "listxattr",   "removexattr"};
  return names[static_cast<size_t>(op)];
}

const char* call_name(Op op) {
  switch (op) {
    case Op::chmod:
    case Op::chown:
    case Op::utimes:
    case Op::truncate: return "setattr";
    case Op::create:
    case Op::create_exclusive: return "create";
    case Op::rename:
    case Op::rename_exchange:
    case Op::rename_noreplace: return "rename";
    case Op::write:
    case Op::write_extend:
    case Op::append: return "write";
    case Op::allocate:
    case Op::punch: return "fallocate";
    default: return op_name(op);
  }
}

std::string text_of(const Call& c) {
  return fmt::format(
      "{}(slot {}/{} to {}/{} object {} other {} offset {} target {} length {} value {} content {})",
      op_name(c.op), c.slot.dir, c.slot.name, c.to.dir, c.to.name, c.object ? c.object : '-',
      c.other ? c.other : '-', c.offset, c.target, c.length, c.value, c.content);
}

std::string time_text(int64_t ns, int64_t now) {
  if (ns == now) return "now";
  const int64_t content = ns - kExplicit;
  return content >= 0 && content < kContents ? fmt::format("set {}", content) : "old";
}

std::string xattr_value(const Call& call) { return fmt::format("value {}", call.content); }

std::string slot_name(int name) { return std::string(1, static_cast<char>('x' + name)); }

World::World() {
  fs_.set_time(1);
  const char* const names[] = {"p", "q", "s"};
  for (int i = 0; i < 3; ++i) {
    ModelId made = 0;
    SCALEFS_CHECK(fs_.make(1, names[i], S_IFDIR | 0755, 0, 0, 0, 0, "", &made) == 0);
    labels_[names[i][0]] = made;
    atime_[made] = 1;
  }
}

ModelId World::id_of(char label) const {
  const auto found = labels_.find(label);
  return found == labels_.end() ? 0 : found->second;
}

void World::warm(const std::string& files) {
  for (const auto& [label, id] : labels_) fs_.node(id).ctime = fs_.time();
  for (const char dir : {'p', 'q', 's'})
    fs_.node(id_of(dir)).mtime = fs_.node(id_of(dir)).ctime = fs_.time();
  for (const char file : files) fs_.node(id_of(file)).mtime = fs_.time();
}

std::string World::label_of(ModelId id) const {
  for (const auto& [label, known] : labels_)
    if (known == id) return std::string(1, label);
  return id == 1 ? "root" : "?";
}

ModelId World::directory(const Slot& slot) const { return id_of("pqse"[slot.dir]); }

ModelId World::at(const Slot& slot) const {
  ModelId found = 0;
  return fs_.lookup(directory(slot), slot_name(slot.name), &found) == 0 ? found : 0;
}

void World::touch_atime(ModelId id) {
  const ModelNode& node = fs_.node(id);
  int64_t& atime = atime_[id];
  if (atime > node.mtime && atime > node.ctime && fs_.time() - atime < kDayNs) return;
  atime = fs_.time();
}

std::string World::attr_text(ModelId id, bool full) const {
  const ModelNode& n = fs_.node(id);
  const size_t size = n.is_dir() ? 0 : n.data.size();
  std::string text = fmt::format(
      "{} mode {:o} owner {}:{} links {} rdev {} size {} mtime {} ctime {}", label_of(id), n.mode,
      n.uid, n.gid, n.nlink, n.rdev, size, time_text(n.mtime, kNow), time_text(n.ctime, kNow));
  if (full) {
    const auto atime = atime_.find(id);
    text += fmt::format(" blocks {}{} atime {}", n.mapped.size(), n.mapping_known ? "" : "?",
                        atime == atime_.end() ? 0 : atime->second);
  }
  return text;
}

Answer World::entry(ModelId id) const { return {0, attr_text(id, true), attr_text(id, false)}; }

Answer World::make(const Call& call, char made, uint32_t mode, const std::string& target) {
  ModelId id = 0;
  const int error = fs_.make(directory(call.slot), slot_name(call.slot.name), mode,
                             call.op == Op::mknod ? 5 : 0, 7, 7, 0, target, &id);
  if (error == EEXIST && call.op == Op::create) {
    ModelId present = 0;
    SCALEFS_CHECK(fs_.lookup(directory(call.slot), slot_name(call.slot.name), &present) == 0);
    if (fs_.node(present).is_dir()) return failed(EISDIR);
    if (fs_.node(present).is_link()) return failed(ELOOP);
    return entry(present);
  }
  if (error != 0) return failed(error);
  labels_[made] = id;
  atime_[id] = fs_.time();
  return entry(id);
}

Answer World::rename(const Call& call) {
  const auto mode = call.op == Op::rename            ? testing::ModelRename::replace
                    : call.op == Op::rename_exchange ? testing::ModelRename::exchange
                                                     : testing::ModelRename::no_replace;
  ModelId whiteout = 0;
  const ModelId moved = at(call.slot);
  const ModelId replaced = at(call.to);
  const int error = fs_.rename(directory(call.slot), slot_name(call.slot.name), directory(call.to),
                               slot_name(call.to.name), mode, &whiteout);
  if (error == 0 && replaced != 0 && replaced != moved) {
    promise(moved);
    if (mode == testing::ModelRename::exchange) promise(replaced);
  }
  return failed(error);
}

void World::promise(ModelId id) {
  if (keeps_promises_ && fs_.node(id).is_file()) promised_[id] = fs_.node(id).data;
}

void World::sync() {
  for (const auto& [id, node] : fs_.nodes())
    if (node.is_file()) durable_[id] = node.mapped;
}

void World::rewrite(ModelId id, uint64_t offset, uint64_t length) {
  if (!keeps_promises_) return;
  for (uint64_t at = offset / kPage; at * kPage < offset + length; ++at) rewritten_ += durable_[id].erase(at);
}

Answer World::setattr(const Call& call) {
  const ModelId id = id_of(call.object);
  if (call.op == Op::truncate) {
    if (fs_.node(id).is_dir()) return failed(EISDIR);
    if (!fs_.node(id).is_file()) return failed(EINVAL);
    fs_.truncate(id, call.length);
    return entry(id);
  }
  ModelNode& node = fs_.node(id);
  node.ctime = fs_.time();
  if (call.op == Op::chmod) node.mode = (node.mode & S_IFMT) | call.value;
  if (call.op == Op::chown) node.uid = node.gid = call.value;
  if (call.op == Op::utimes) {
    node.mtime = atime_[id] = kExplicit + call.content;
  }
  return entry(id);
}

Answer World::seek(const Call& call) {
  const ModelNode& node = fs_.node(id_of(call.object));
  undecided_ |= !node.mapping_known;
  uint64_t at = call.offset;
  const bool data = call.value != 0;
  if (at >= node.data.size()) return failed(ENXIO);
  while (at < node.data.size() && (node.mapped.count(at / kPage) != 0) != data)
    at = (at / kPage + 1) * kPage;
  if (at >= node.data.size()) {
    at = node.data.size();
    if (data) return failed(ENXIO);
  }
  return {0, fmt::format("{}", at), fmt::format("{}", at)};
}

Answer World::data(const Call& call) {
  const ModelId id = id_of(call.object);
  if (fs_.node(id).is_dir()) return failed(EISDIR);
  if (!fs_.node(id).is_file()) return failed(EINVAL);
  const std::string bytes(call.length, static_cast<char>(call.value));
  const auto both = [](std::string text) { return Answer{0, text, text}; };
  switch (call.op) {
    case Op::read: {
      std::string got = fs_.read(id, call.offset, call.length);
      touch_atime(id);
      return both(std::move(got));
    }
    case Op::write:
    case Op::write_extend:
      fs_.write(id, call.offset, bytes);
      rewrite(id, call.offset, call.length);
      return both(fmt::format("{}", call.length));
    case Op::append: {
      const size_t at = fs_.node(id).data.size();
      fs_.write(id, at, bytes);
      rewrite(id, at, call.length);
      return both(fmt::format("{}", at));
    }
    case Op::allocate: {
      // Where all is there nothing is left open.
      ModelNode& node = fs_.node(id);
      bool all = node.mapping_known;
      for (uint64_t at = call.offset / kPage; at * kPage < call.offset + call.length; ++at)
        all = all && node.mapped.count(at) != 0;
      fs_.allocate(id, call.offset, call.length, false, false);
      for (uint64_t at = call.offset / kPage; at * kPage < call.offset + call.length; ++at)
        node.mapped.insert(at);
      node.mapping_known = all;
      node.mtime = node.ctime = fs_.time();
      return {};
    }
    case Op::punch:
      fs_.punch(id, call.offset, call.length);
      for (const uint64_t at : {call.offset, call.offset + call.length})
        if (at % kPage != 0 || call.length < kPage) rewrite(id, at / kPage * kPage, 1);
      fs_.node(id).mtime = fs_.node(id).ctime = fs_.time();
      return {};
    case Op::copy_range: {
      const std::string copied = fs_.read(id, call.offset, call.length);
      const ModelId target = id_of(call.other);
      if (!copied.empty()) {
        fs_.write(target, call.target, copied);
        rewrite(target, call.target, copied.size());
        touch_atime(id);
      }
      return both(fmt::format("{}", copied.size()));
    }
    default: return seek(call);
  }
}

Answer World::xattr(const Call& call) {
  const ModelId id = id_of(call.object);
  ModelNode& node = fs_.node(id);
  const std::string name = fmt::format("user.{}", call.value);
  switch (call.op) {
    case Op::getxattr: {
      const auto found = node.xattrs.find(name);
      if (found == node.xattrs.end()) return failed(ENODATA);
      return {0, found->second, found->second};
    }
    case Op::listxattr: {
      std::string names;
      for (const auto& [known, value] : node.xattrs) names += known + " ";
      return {0, names, names};
    }
    case Op::setxattr:
      node.xattrs[name] = xattr_value(call);
      node.ctime = fs_.time();
      return {};
    default:
      if (node.xattrs.erase(name) == 0) return failed(ENODATA);
      node.ctime = fs_.time();
      return {};
  }
}

Answer World::readdir(ModelId id) {
  if (!fs_.node(id).is_dir()) return failed(ENOTDIR);
  std::string names;
  for (const auto& [name, child] : fs_.node(id).children)
    names += name + "=" + label_of(child) + " ";
  touch_atime(id);
  return {0, names, names};
}

Answer World::run(const Call& call, char made) {
  switch (call.op) {
    case Op::lookup: {
      ModelId found = 0;
      const int error = fs_.lookup(directory(call.slot), slot_name(call.slot.name), &found);
      return error != 0 ? failed(error) : entry(found);
    }
    case Op::getattr: return entry(id_of(call.object));
    case Op::chmod:
    case Op::chown:
    case Op::utimes:
    case Op::truncate: return setattr(call);
    case Op::create:
    case Op::create_exclusive: return make(call, made, S_IFREG | 0644, "");
    case Op::mkdir: return make(call, made, S_IFDIR | 0755, "");
    case Op::mknod: return make(call, made, S_IFCHR | 0600, "");
    case Op::symlink: return make(call, made, S_IFLNK | 0777, "target");
    case Op::readlink: {
      const ModelId id = id_of(call.object);
      if (!fs_.node(id).is_link()) return failed(EINVAL);
      touch_atime(id);
      return {0, fs_.node(id).data, fs_.node(id).data};
    }
    case Op::link: {
      const ModelId id = id_of(call.object);
      // What has lost its last name cannot be linked again.
      if (fs_.node(id).nlink == 0 &&
          !fs_.node(directory(call.slot)).children.count(slot_name(call.slot.name)))
        return failed(ENOENT);
      const int error = fs_.link(id, directory(call.slot), slot_name(call.slot.name));
      return error != 0 ? failed(error) : entry(id);
    }
    case Op::unlink: return failed(fs_.unlink(directory(call.slot), slot_name(call.slot.name)));
    case Op::rmdir: return failed(fs_.rmdir(directory(call.slot), slot_name(call.slot.name)));
    case Op::rename:
    case Op::rename_exchange:
    case Op::rename_noreplace: return rename(call);
    case Op::forget: return {};
    case Op::readdir: return readdir(directory(call.slot));
    case Op::statfs: {
      size_t mapped = 0;
      for (const auto& [id, node] : fs_.nodes()) {
        mapped += node.mapped.size();
        undecided_ |= !node.mapping_known;
      }
      return {0, fmt::format("{} objects {} blocks", fs_.nodes().size(), mapped + rewritten_), ""};
    }
    case Op::getxattr:
    case Op::setxattr:
    case Op::listxattr:
    case Op::removexattr: return xattr(call);
    default: return data(call);
  }
}

std::string World::state() const {
  std::vector<std::string> lines;
  for (const auto& [id, node] : fs_.nodes()) {
    std::string line = attr_text(id, true);
    for (const auto& [name, child] : node.children) line += " " + name + "=" + label_of(child);
    for (const auto& [name, value] : node.xattrs) line += " " + name + ":" + value;
    for (const uint64_t page : node.mapped) line += fmt::format(" {}", page);
    lines.push_back(line + " " + node.data);
  }
  for (const auto& [id, content] : promised_)
    lines.push_back("promised " + label_of(id) + " " + content);
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

Verdict judge(const World& world, const Call& a, const Call& b) {
  Verdict v;
  World ab = world;
  v.first[0] = ab.run(a, 'A');
  v.first[1] = ab.run(b, 'B');
  World ba = world;
  v.second[1] = ba.run(b, 'B');
  v.second[0] = ba.run(a, 'A');
  v.undecided = ab.undecided() || ba.undecided();
  const std::string state = ab.state();
  v.changes = state != world.state();
  for (int i = 0; i < 2; ++i) {
    if (v.first[i].error != v.second[i].error || v.first[i].full != v.second[i].full) return v;
  }
  v.commutes = state == ba.state();
  return v;
}

}  // namespace scalefs::matrix
