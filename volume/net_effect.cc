#include "volume/net_effect.h"

namespace scalefs::volume {

Result<ObjectChange*> NetEffect::object(MnodeNo mnode) {
  const auto found = by_mnode_.find(mnode);
  if (found != by_mnode_.end()) {
    if (found->second->dead) return Errno(EUCLEAN);
    return found->second;
  }
  const Ino ino = state_.ino_of(mnode);
  if (!ino) return Errno(EUCLEAN);
  SCALEFS_TRY(const diskfs::InodeItem item, state_.item(ino, mnode));
  ObjectChange& object = objects_.emplace_back();
  object.mnode = mnode;
  object.ino = ino;
  object.before = item;
  object.item = item;
  object.mtime_ahead = item.mtime_ns > item.ctime_ns;
  object.was_orphan = item.nlink == 0;
  by_mnode_.emplace(mnode, &object);
  return &object;
}

Result<ObjectChange*> NetEffect::create(MnodeNo mnode) {
  if (!mnode || mnode.v >= kMnodeNoLimit) return Errno(EUCLEAN);
  if (by_mnode_.contains(mnode) || state_.ino_of(mnode)) return Errno(EUCLEAN);
  ObjectChange& object = objects_.emplace_back();
  object.mnode = mnode;
  object.born = true;
  object.item.mnode = mnode;
  by_mnode_.emplace(mnode, &object);
  return &object;
}

void NetEffect::set_name(ObjectChange* dir, std::string_view name, bool is_there,
                         ObjectChange* target, uint8_t type) {
  auto [at, first] = by_name_.try_emplace(NameKey{dir, name}, nullptr);
  if (first) {
    at->second = &names_.emplace_back();
    at->second->dir = dir;
    at->second->name = name;
    at->second->was_there = is_there;
  }
  at->second->target = target;
  at->second->type = type;
}

}  // namespace scalefs::volume
