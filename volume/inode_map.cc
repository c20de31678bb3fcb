#include "volume/inode_map.h"

namespace scalefs::volume {

InodeMap::Found InodeMap::find(MnodeNo mnode) const {
  const Shard& s = shard(mnode);
  MutexLock lock(s.mutex);
  const auto found = s.entries.find(mnode);
  if (found == s.entries.end()) return {};
  return {found->second.ino, found->second.in_checkpoint};
}

void InodeMap::loaded(MnodeNo mnode, Ino ino) {
  Shard& s = shard(mnode);
  MutexLock lock(s.mutex);
  Entry& entry = s.entries[mnode];
  entry.ino = ino;
  entry.in_checkpoint = true;
  ++entry.users;
}

void InodeMap::seen_in_checkpoint(MnodeNo mnode) {
  Shard& s = shard(mnode);
  MutexLock lock(s.mutex);
  const auto found = s.entries.find(mnode);
  if (found != s.entries.end()) found->second.in_checkpoint = true;
}

void InodeMap::dropped(MnodeNo mnode) {
  Shard& s = shard(mnode);
  MutexLock lock(s.mutex);
  const auto found = s.entries.find(mnode);
  if (found == s.entries.end() || found->second.users == 0) return;
  if (--found->second.users != 0) return;
  s.dropped.push_back(mnode);
  s.has_dropped.store(true, relaxed);
}

void InodeMap::born(MnodeNo mnode, Ino ino) {
  Shard& s = shard(mnode);
  MutexLock lock(s.mutex);
  Entry& entry = s.entries[mnode];
  entry.ino = ino;
  ++entry.users;
}

void InodeMap::dead(MnodeNo mnode) {
  Shard& s = shard(mnode);
  MutexLock lock(s.mutex);
  s.entries.erase(mnode);
}

void InodeMap::begin_cut() {
  for (Shard& s : shards_) {
    if (!s.has_dropped.load(relaxed)) continue;
    leaving_.push_back(&s);
    MutexLock lock(s.mutex);
    s.leaving.insert(s.leaving.end(), s.dropped.begin(), s.dropped.end());
    s.dropped.clear();
    s.has_dropped.store(false, relaxed);
  }
}

void InodeMap::end_cut() {
  for (Shard* const s : leaving_) {
    MutexLock lock(s->mutex);
    for (const MnodeNo mnode : s->leaving) {
      const auto found = s->entries.find(mnode);
      if (found != s->entries.end() && found->second.users == 0) s->entries.erase(found);
    }
    s->leaving.clear();
  }
  leaving_.clear();
}

size_t InodeMap::size() const {
  size_t sum = 0;
  for (const Shard& s : shards_) {
    MutexLock lock(s.mutex);
    sum += s.entries.size();
  }
  return sum;
}

}  // namespace scalefs::volume
