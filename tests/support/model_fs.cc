#include "tests/support/model_fs.h"

#include <cerrno>

namespace scalefs::testing {
namespace {
constexpr uint64_t kPage = 4096;
constexpr uint32_t kDir = 0040000;
constexpr uint32_t kSetGid = 02000;
}  // namespace

ModelFs::ModelFs() {
  ModelNode root;
  root.mode = kDir | 0755;
  root.nlink = 2;
  root.parent = 1;
  root.held = true;
  nodes_[1] = root;
}

ModelId ModelFs::add_node(ModelId dir, uint32_t mode, uint64_t rdev, uint32_t uid, uint32_t gid,
                          uint32_t umask) {
  const ModelNode& parent = nodes_.at(dir);
  ModelNode made;
  bool link = (mode & 0170000) == 0120000;
  made.mode = link ? mode : mode & ~umask;
  made.rdev = rdev;
  made.uid = uid;
  made.gid = gid;
  if (parent.mode & kSetGid) {
    made.gid = parent.gid;
    if (made.is_dir()) made.mode |= kSetGid;
  }
  made.nlink = made.is_dir() ? 2 : 1;
  made.mtime = made.ctime = now_;
  made.held = true;
  ModelId id = next_++;
  nodes_[id] = std::move(made);
  return id;
}

void ModelFs::add_name(ModelId dir, const std::string& name, ModelId id) {
  nodes_.at(dir).children[name] = id;
  nodes_.at(id).names.insert({dir, name});
  if (nodes_.at(id).is_dir()) nodes_.at(id).parent = dir;
}

void ModelFs::remove_name(ModelId dir, const std::string& name) {
  ModelId id = nodes_.at(dir).children.at(name);
  nodes_.at(dir).children.erase(name);
  nodes_.at(id).names.erase({dir, name});
}

void ModelFs::touch_dir(ModelId dir) {
  nodes_.at(dir).mtime = nodes_.at(dir).ctime = now_;
}

int ModelFs::make(ModelId dir, const std::string& name, uint32_t mode, uint64_t rdev, uint32_t uid,
                  uint32_t gid, uint32_t umask, const std::string& target, ModelId* made) {
  if (!nodes_.at(dir).is_dir()) return ENOTDIR;
  if (nodes_.at(dir).children.count(name)) return EEXIST;
  if (nodes_.at(dir).nlink == 0) return ENOENT;
  *made = add_node(dir, mode, rdev, uid, gid, umask);
  nodes_.at(*made).data = target;
  add_name(dir, name, *made);
  if (nodes_.at(*made).is_dir()) nodes_.at(dir).nlink++;
  touch_dir(dir);
  return 0;
}

int ModelFs::make_tmpfile(ModelId dir, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t umask,
                          ModelId* made) {
  if (!nodes_.at(dir).is_dir()) return ENOTDIR;
  if (nodes_.at(dir).nlink == 0) return ENOENT;
  *made = add_node(dir, mode, 0, uid, gid, umask);
  nodes_.at(*made).nlink = 0;
  return 0;
}

int ModelFs::link(ModelId target, ModelId dir, const std::string& name) {
  if (!nodes_.at(dir).is_dir()) return ENOTDIR;
  if (nodes_.at(target).is_dir()) return EPERM;
  if (nodes_.at(dir).children.count(name)) return EEXIST;
  if (nodes_.at(dir).nlink == 0) return ENOENT;
  add_name(dir, name, target);
  nodes_.at(target).nlink++;
  nodes_.at(target).ctime = now_;
  touch_dir(dir);
  return 0;
}

void ModelFs::drop_if_dead(ModelId id) {
  auto found = nodes_.find(id);
  if (found != nodes_.end() && found->second.nlink == 0 && !found->second.held) nodes_.erase(found);
}

void ModelFs::lose_link(ModelId id) {
  ModelNode& node = nodes_.at(id);
  node.nlink = node.is_dir() ? 0 : node.nlink - 1;
  node.ctime = now_;
  drop_if_dead(id);
}

int ModelFs::unlink(ModelId dir, const std::string& name) {
  ModelId id = 0;
  if (int error = lookup(dir, name, &id)) return error;
  if (nodes_.at(id).is_dir()) return EISDIR;
  remove_name(dir, name);
  touch_dir(dir);
  lose_link(id);
  return 0;
}

int ModelFs::rmdir(ModelId dir, const std::string& name) {
  ModelId id = 0;
  if (int error = lookup(dir, name, &id)) return error;
  if (!nodes_.at(id).is_dir()) return ENOTDIR;
  if (!nodes_.at(id).children.empty()) return ENOTEMPTY;
  remove_name(dir, name);
  nodes_.at(dir).nlink--;
  touch_dir(dir);
  lose_link(id);
  return 0;
}

int ModelFs::lookup(ModelId dir, const std::string& name, ModelId* found) const {
  if (!nodes_.at(dir).is_dir()) return ENOTDIR;
  auto child = nodes_.at(dir).children.find(name);
  if (child == nodes_.at(dir).children.end()) return ENOENT;
  *found = child->second;
  return 0;
}

bool ModelFs::is_ancestor(ModelId ancestor, ModelId of) const {
  for (ModelId at = of;; at = nodes_.at(at).parent) {
    if (at == ancestor) return true;
    if (at == 1 || !nodes_.count(at)) return false;
  }
}

int ModelFs::check_rename(ModelId source_dir, ModelId moved, ModelId target_dir, ModelId replaced,
                          ModelRename mode) const {
  if (replaced && mode == ModelRename::no_replace) return EEXIST;
  if (!replaced && mode == ModelRename::exchange) return ENOENT;
  if (nodes_.at(moved).is_dir() && is_ancestor(moved, target_dir)) return EINVAL;
  if (replaced && nodes_.at(replaced).is_dir() && is_ancestor(replaced, source_dir)) {
    return mode == ModelRename::exchange ? EINVAL : ENOTEMPTY;
  }
  if (nodes_.at(target_dir).nlink == 0) return ENOENT;
  if (!replaced || mode == ModelRename::exchange || replaced == moved) return 0;
  if (nodes_.at(moved).is_dir() && !nodes_.at(replaced).is_dir()) return ENOTDIR;
  if (!nodes_.at(moved).is_dir() && nodes_.at(replaced).is_dir()) return EISDIR;
  if (!nodes_.at(replaced).children.empty()) return ENOTEMPTY;
  return 0;
}

void ModelFs::exchange(ModelId source_dir, const std::string& source, ModelId target_dir,
                       const std::string& target) {
  ModelId first = nodes_.at(source_dir).children.at(source);
  ModelId second = nodes_.at(target_dir).children.at(target);
  remove_name(source_dir, source);
  remove_name(target_dir, target);
  add_name(target_dir, target, first);
  add_name(source_dir, source, second);
  int first_dir = nodes_.at(first).is_dir();
  int second_dir = nodes_.at(second).is_dir();
  nodes_.at(source_dir).nlink += static_cast<uint32_t>(second_dir - first_dir);
  nodes_.at(target_dir).nlink += static_cast<uint32_t>(first_dir - second_dir);
  nodes_.at(first).ctime = nodes_.at(second).ctime = now_;
  touch_dir(source_dir);
  touch_dir(target_dir);
}

int ModelFs::rename(ModelId source_dir, const std::string& source, ModelId target_dir,
                    const std::string& target, ModelRename mode, ModelId* whiteout) {
  if (!nodes_.at(source_dir).is_dir() || !nodes_.at(target_dir).is_dir()) return ENOTDIR;
  ModelId moved = 0;
  ModelId replaced = 0;
  if (int error = lookup(source_dir, source, &moved)) return error;
  if (lookup(target_dir, target, &replaced)) replaced = 0;
  if (int error = check_rename(source_dir, moved, target_dir, replaced, mode)) return error;
  if (replaced == moved) return 0;
  if (mode == ModelRename::exchange) {
    exchange(source_dir, source, target_dir, target);
    return 0;
  }
  if (replaced) {
    remove_name(target_dir, target);
    if (nodes_.at(replaced).is_dir()) nodes_.at(target_dir).nlink--;
    lose_link(replaced);
  }
  remove_name(source_dir, source);
  add_name(target_dir, target, moved);
  if (nodes_.at(moved).is_dir()) {
    nodes_.at(source_dir).nlink--;
    nodes_.at(target_dir).nlink++;
  }
  nodes_.at(moved).ctime = now_;
  touch_dir(source_dir);
  touch_dir(target_dir);
  if (mode == ModelRename::whiteout) {
    *whiteout = add_node(source_dir, 0020000, 0, 0, 0, 0);
    nodes_.at(*whiteout).held = false;
    add_name(source_dir, source, *whiteout);
  }
  return 0;
}

void ModelFs::write(ModelId file, uint64_t offset, const std::string& bytes) {
  ModelNode& node = nodes_.at(file);
  if (bytes.empty()) return;
  if (node.data.size() < offset + bytes.size()) node.data.resize(offset + bytes.size(), '\0');
  node.data.replace(offset, bytes.size(), bytes);
  for (uint64_t page = offset / kPage; page <= (offset + bytes.size() - 1) / kPage; page++) {
    node.mapped.insert(page);
  }
  node.mtime = node.ctime = now_;
}

std::string ModelFs::read(ModelId file, uint64_t offset, size_t size) const {
  const ModelNode& node = nodes_.at(file);
  if (offset >= node.data.size()) return "";
  return node.data.substr(offset, size);
}

void ModelFs::truncate(ModelId file, uint64_t size) {
  ModelNode& node = nodes_.at(file);
  node.data.resize(size, '\0');
  node.mapped.erase(node.mapped.lower_bound((size + kPage - 1) / kPage), node.mapped.end());
  node.mtime = node.ctime = now_;
}

void ModelFs::punch(ModelId file, uint64_t offset, uint64_t length) {
  ModelNode& node = nodes_.at(file);
  for (uint64_t at = offset; at < offset + length && at < node.data.size(); at++) {
    node.data[at] = '\0';
  }
  for (uint64_t page = (offset + kPage - 1) / kPage; (page + 1) * kPage <= offset + length; page++) {
    node.mapped.erase(page);
  }
  // A partly punched last page of the file may or may not stay mapped.
  if (offset + length >= node.data.size()) node.mapping_known = false;
}

void ModelFs::allocate(ModelId file, uint64_t offset, uint64_t length, bool keep_size, bool zero) {
  ModelNode& node = nodes_.at(file);
  if (zero) punch(file, offset, length);
  if (!keep_size && node.data.size() < offset + length) node.data.resize(offset + length, '\0');
  node.mapping_known = false;
}

void ModelFs::drop_lookups() {
  std::vector<ModelId> ids;
  for (auto& [id, node] : nodes_) {
    node.held = id == 1;
    ids.push_back(id);
  }
  for (ModelId id : ids) drop_if_dead(id);
}

}  // namespace scalefs::testing
