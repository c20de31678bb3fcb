#include "volume/translator.h"

#include "base/canary.h"
#include "volume/net_effect.h"
#include "volume/record_visitor.h"

namespace scalefs::volume {

namespace {

using diskfs::Batch;
using memfs::OpRecord;

class Emitter {
 public:
  Emitter(const HashKey& key, NetEffect& effect, Translation* to)
      : key_(key), effect_(effect), to_(to) {}

  Status number_the_born(CommittedState& state) {
    for (ObjectChange& object : effect_.objects()) {
      if (!object.born || object.dead) continue;
      SCALEFS_TRY(object.ino, state.allocate_ino());
    }
    for (ObjectChange& object : effect_.objects()) {
      if (object.parent) object.item.parent_ino = object.parent->ino;
    }
    return {};
  }

  // About as many bytes as follow, so that the batch need not move while it grows.
  void reserve() {
    constexpr size_t kObjectBytes = 64;
    constexpr size_t kNameBytes = 24;
    size_t bytes = 0;
    for (const ObjectChange& object : effect_.objects()) {
      if (object.dead) continue;
      if (object.born || object.item != object.before) bytes += kObjectBytes;
      if (object.pages) bytes += object.pages->bytes_estimate();
    }
    for (const NameChange& change : effect_.names()) {
      const bool emitted = !change.dir->dead && (change.target || change.was_there);
      if (emitted) bytes += kNameBytes + change.name.size();
    }
    // What a batch does not use it keeps until its checkpoint.
    if (to_->batch.memory_bytes() > bytes + bytes / 2 + kBlockBytes) to_->batch = {};
    to_->batch.reserve(bytes);
  }

  void attributes() {
    for (const ObjectChange& object : effect_.objects()) {
      if (object.dead) continue;
      if (object.born || object.item != object.before) {
        to_->batch.put_inode(object.ino, object.item);
        to_->inodes.push_back({object.ino, object.item,
                               object.born ? Translation::Fate::born : Translation::Fate::changed});
      }
      const bool orphan = object.item.nlink == 0;
      if (orphan && !object.was_orphan && !canary(Canary::orphan_not_recorded)) {
        to_->batch.put_orphan(object.ino);
      }
      if (!orphan && object.was_orphan) to_->batch.del_orphan(object.ino);
    }
  }

  Status names() {
    for (const NameChange& change : effect_.names()) {
      // A dead directory's names go with it.
      if (change.dir->dead) continue;
      const uint64_t hash = siphash24(key_, change.name);
      if (change.target) {
        const ObjectChange& target = *change.target;
        if (target.dead) return Errno(EUCLEAN);
        to_->batch.put_dirent(change.dir->ino, hash, change.name,
                              {target.ino, target.mnode, change.type});
      } else if (change.was_there) {
        to_->batch.del_dirent(change.dir->ino, hash, change.name);
      }
    }
    return {};
  }

  void contents() {
    for (ObjectChange& object : effect_.objects()) {
      if (object.pages) {
        if (!object.dead) {
          object.pages->emit(to_->batch, object.ino, object.born);
          to_->pages_carried += object.pages->pages_carried();
        }
        const auto replaced = object.pages->take_replaced();
        to_->never_named.insert(to_->never_named.end(), replaced.begin(), replaced.end());
      }
      if (object.dead) continue;
      for (const auto& [name, value] : object.xattrs) {
        if (value) {
          to_->batch.put_xattr(object.ino, name, *value);
        } else if (!object.born) {
          to_->batch.del_xattr(object.ino, name);
        }
      }
    }
  }

  void deletions() {
    for (const ObjectChange& object : effect_.objects()) {
      if (object.absorbed()) ++to_->absorbed_objects;
      if (!object.dead || object.born) continue;
      if (object.was_orphan) to_->batch.del_orphan(object.ino);
      to_->batch.delete_inode(object.ino);
      to_->inodes.push_back({object.ino, object.item, Translation::Fate::dead});
    }
  }

 private:
  const HashKey& key_;
  NetEffect& effect_;
  Translation* to_;
};

}  // namespace

Result<Translation> Translator::translate(RecordList records, Batch batch) {
  NetEffect effect(state_);
  RecordVisitor visitor(effect);
  for (const auto& entry : records) {
    SCALEFS_TRY_VOID(visitor.play(static_cast<const OpRecord&>(*entry)));
  }
  Translation translation;
  translation.batch = std::move(batch);
  Emitter emitter(key_, effect, &translation);
  SCALEFS_TRY_VOID(emitter.number_the_born(state_));
  emitter.reserve();
  emitter.attributes();
  SCALEFS_TRY_VOID(emitter.names());
  emitter.contents();
  emitter.deletions();
  return translation;
}

}  // namespace scalefs::volume
