#include "tests/support/fake_names.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/epoch.h"
#include "base/hash.h"

namespace scalefs::memfs {
namespace {

uint8_t type_of(const Attr& attr) { return static_cast<uint8_t>(attr.mode >> 12 & 15); }

}  // namespace

FakeNames::FakeNames(MemFsOptions options) : options_(options) {
  Object root;
  root.attr.mnode = kRootMnode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.nlink = 2;
  root.attr.generation = 1;
  root.parent = kRootMnode;
  committed_[kRootMnode] = root;
  durable_ = committed_;
}
FakeNames::~FakeNames() { unmount(); }

MemFs& FakeNames::mount() {
  unmount();
  log_ = std::make_unique<oplog::OpLog>();
  fs_ = std::make_unique<MemFs>(options_, log_.get(), this);
  for (uint32_t core = 0; core < core_count(); ++core) {
    const uint64_t mark = std::max<uint64_t>(marks_[core], 1);
    fs_->set_mnode_numbers(core, mark, mark);
  }
  fs_->install_root(loaded(durable_.at(kRootMnode)));
  return *fs_;
}

void FakeNames::unmount() {
  fs_.reset();
  log_.reset();
  epoch::drain();
  committed_ = durable_;
  log_bytes = tree_places = 0;
}

void FakeNames::commit() {
  oplog::OpLog::Cut cut = log_->cut();
  Stamp last = 0;
  for (const auto& entry : cut.entries) {
    equal_stamps += entry->stamp == last;
    last = entry->stamp;
    apply(static_cast<const OpRecord&>(*entry));
    log_bytes -= entry->cost_bytes;
  }
  upto_ = cut.upto;
}

void FakeNames::checkpoint() {
  durable_ = committed_;
  std::erase_if(durable_, [](const auto& item) { return item.second.attr.nlink == 0; });
  fs_->set_durable_stamp(upto_);
}

std::string FakeNames::describe() const {
  std::string text;
  for (const auto& [number, object] : committed_) {
    if (object.attr.nlink == 0) continue;
    text += std::to_string(number.v) + " mode " + std::to_string(object.attr.mode) + " nlink " +
            std::to_string(object.attr.nlink) + "\n";
    for (const auto& [name, target] : object.names)
      text += "  " + name + " -> " + std::to_string(target.v) + "\n";
  }
  return text;
}

void FakeNames::touch(MnodeNo number, const OpRecord& record, bool content) {
  const auto at = committed_.find(number);
  if (at == committed_.end()) return;
  Attr& attr = at->second.attr;
  const bool ahead = attr.mtime_ns > attr.ctime_ns;  // was set, and to the future
  if (content) attr.mtime_ns = ahead ? record.mtime_ns : std::max(attr.mtime_ns, record.mtime_ns);
  attr.ctime_ns = std::max(attr.ctime_ns, record.ctime_ns);
}

void FakeNames::link(MnodeNo parent, const std::string& name, MnodeNo target,
                     const OpRecord& record) {
  ASSERT_TRUE(committed_.contains(parent)) << "a name in no directory: " << name;
  ASSERT_TRUE(committed_.contains(target)) << "a name for nothing: " << name;
  Object& directory = committed_[parent];
  EXPECT_TRUE(directory.names.emplace(name, target).second) << "a name twice: " << name;
  touch(parent, record, true);
}

void FakeNames::unlink(MnodeNo parent, const std::string& name, MnodeNo target, bool replaced,
                       const OpRecord& record) {
  Object& directory = committed_[parent];
  EXPECT_EQ(directory.names[name], target) << name;
  directory.names.erase(name);
  Attr& attr = committed_[target].attr;
  const bool is_directory = S_ISDIR(attr.mode);
  EXPECT_TRUE(!is_directory || committed_[target].names.empty()) << name;
  attr.nlink -= is_directory ? 2 : 1;
  if (is_directory) --directory.attr.nlink;
  touch(target, record, false);
  if (!replaced) touch(parent, record, true);
}

void FakeNames::expect_below_root(MnodeNo number) const {
  size_t passed = 0;
  while (number.v != 0 && number != kRootMnode && passed++ <= committed_.size()) {
    const Object& object = committed_.at(number);
    if (!S_ISDIR(object.attr.mode)) return;
    number = object.parent;
  }
  EXPECT_LE(passed, committed_.size()) << "directories in a loop";
}

void FakeNames::apply(const OpRecord& record) {
  const auto move_parent = [&](MnodeNo object, MnodeNo from, MnodeNo to) {
    if (!S_ISDIR(committed_[object].attr.mode) || from == to) return;
    --committed_[from].attr.nlink;
    ++committed_[to].attr.nlink;
    committed_[object].parent = to;
  };
  if (const auto* op = std::get_if<CreateOp>(&record.op)) {
    Object object{op->attr, op->parent, op->symlink_target, {}, {}};
    for (const auto& [name, value] : op->xattrs) object.xattrs[name] = value;
    EXPECT_TRUE(committed_.emplace(op->attr.mnode, object).second) << "a number twice";
    if (op->parent.v == 0) return;
    link(op->parent, op->name, op->attr.mnode, record);
    if (S_ISDIR(op->attr.mode)) ++committed_[op->parent].attr.nlink;
  } else if (const auto* l = std::get_if<LinkOp>(&record.op)) {
    link(l->parent, l->name, l->target, record);
    ++committed_[l->target].attr.nlink;
    touch(l->target, record, false);
  } else if (const auto* u = std::get_if<UnlinkOp>(&record.op)) {
    unlink(u->parent, u->name, u->target, false, record);
  } else if (const auto* r = std::get_if<RenameOp>(&record.op)) {
    EXPECT_EQ(committed_[r->source_parent].names[r->source_name], r->moved) << r->source_name;
    if (r->exchange) {
      EXPECT_EQ(committed_[r->target_parent].names[r->target_name], r->replaced);
      committed_[r->source_parent].names[r->source_name] = r->replaced;
      committed_[r->target_parent].names[r->target_name] = r->moved;
      move_parent(r->replaced, r->target_parent, r->source_parent);
      touch(r->replaced, record, false);
    } else {
      if (r->replaced.v != 0)
        unlink(r->target_parent, r->target_name, r->replaced, true, record);
      committed_[r->source_parent].names.erase(r->source_name);
      link(r->target_parent, r->target_name, r->moved, record);
      if (r->whiteout) {
        committed_[r->whiteout->mnode] = {*r->whiteout, {}, {}, {}, {}};
        link(r->source_parent, r->source_name, r->whiteout->mnode, record);
      }
    }
    move_parent(r->moved, r->source_parent, r->target_parent);
    for (const MnodeNo moved : {r->moved, r->replaced}) expect_below_root(moved);
    for (const MnodeNo parent : {r->source_parent, r->target_parent}) touch(parent, record, true);
    touch(r->moved, record, false);
  } else if (const auto* s = std::get_if<SetAttrOp>(&record.op)) {
    Attr& attr = committed_.at(s->target).attr;
    attr.mode = s->mode.value_or(attr.mode);
    attr.uid = s->uid.value_or(attr.uid);
    attr.gid = s->gid.value_or(attr.gid);
    attr.flags = s->flags.value_or(attr.flags);
    attr.atime_ns = s->atime_ns.value_or(attr.atime_ns);
    attr.mtime_ns = s->mtime_ns.value_or(attr.mtime_ns);
    touch(s->target, record, false);
  } else if (const auto* x = std::get_if<SetXattrOp>(&record.op)) {
    Object& object = committed_.at(x->target);
    object.xattrs[x->name] = x->value;
    object.attr.mode = x->mode.value_or(object.attr.mode);
    touch(x->target, record, false);
  } else if (const auto* d = std::get_if<RemoveXattrOp>(&record.op)) {
    EXPECT_EQ(committed_.at(d->target).xattrs.erase(d->name), 1u) << d->name;
    touch(d->target, record, false);
  } else if (const auto* e = std::get_if<ReclaimOp>(&record.op)) {
    EXPECT_EQ(committed_.at(e->target).attr.nlink, 0u) << "reclaimed with names";
    committed_.erase(e->target);
  } else {
    ADD_FAILURE() << "a record that is not of names";
  }
}

Status FakeNames::reserve(const Need& need) {
  EXPECT_FALSE(epoch::in_guard());
  if (reserve_error != 0 && !need.always) return Errno(reserve_error);
  log_bytes += static_cast<int64_t>(need.log_bytes);
  tree_places += need.tree_places;
  return {};
}

void FakeNames::unreserve(const Need& unused) {
  log_bytes -= static_cast<int64_t>(unused.log_bytes);
  tree_places -= unused.tree_places;
}

void FakeNames::interfere() {
  EXPECT_FALSE(epoch::in_guard());
  if (in_load) std::exchange(in_load, nullptr)();
}

LoadedObject FakeNames::loaded(const Object& object) const {
  LoadedObject result{object.attr, object.parent, object.names.size()};
  if (S_ISLNK(object.attr.mode)) result.attr.size = object.target.size();
  return result;
}

Result<LoadedObject> FakeNames::load_child(MnodeNo dir, uint64_t hash, std::string_view name) {
  ++child_loads;
  EXPECT_EQ(hash, siphash24(options_.hash_key, name));
  Result<LoadedObject> answer = Errno(ENOENT);
  const auto directory = durable_.find(dir);
  if (directory != durable_.end()) {
    const auto at = directory->second.names.find(std::string(name));
    if (at != directory->second.names.end()) answer = loaded(durable_.at(at->second));
  }
  interfere();
  if (load_error != 0) return Errno(load_error);
  if (spoil_child) spoil_child(answer);
  return answer;
}

Result<LoadedEntries> FakeNames::load_entries(MnodeNo dir, uint64_t from_hash, size_t count) {
  ++entry_loads;
  LoadedEntries all;
  const auto directory = durable_.find(dir);
  if (directory != durable_.end()) {
    for (const auto& [name, number] : directory->second.names) {
      const uint64_t hash = siphash24(options_.hash_key, name);
      if (hash >= from_hash)
        all.entries.push_back({hash, name, number, type_of(durable_.at(number).attr)});
    }
  }
  std::sort(all.entries.begin(), all.entries.end(),
            [](const LoadedEntry& a, const LoadedEntry& b) { return a.hash < b.hash; });
  if (all.entries.size() > count) {
    all.next_hash = all.entries[count].hash;
    all.entries.resize(count);
  }
  interfere();
  if (load_error != 0) return Errno(load_error);
  if (spoil_entries) spoil_entries(all);
  return all;
}

Result<std::vector<LoadedPage>> FakeNames::load_mapping(MnodeNo file, uint64_t page, size_t count) {
  std::vector<LoadedPage> pages(count);
  const std::string& target = durable_.at(file).target;
  if (page == 0 && !target.empty()) {
    const auto* bytes = reinterpret_cast<const std::byte*>(target.data());
    pages[0].kind = LoadedPage::Kind::bytes;
    pages[0].bytes.assign(bytes, bytes + target.size());
  }
  return pages;
}

Result<std::vector<std::pair<std::string, std::vector<std::byte>>>> FakeNames::load_xattrs(
    MnodeNo object) {
  ++xattr_loads;
  const auto& xattrs = durable_.at(object).xattrs;
  std::vector<std::pair<std::string, std::vector<std::byte>>> answer(xattrs.begin(), xattrs.end());
  interfere();
  if (load_error != 0) return Errno(load_error);
  return answer;
}

Status FakeNames::write_back(MnodeNo file) {
  EXPECT_FALSE(epoch::in_guard());
  written_back.push_back(file);
  return {};
}

Result<uint64_t> FakeNames::extend_mnode_numbers(uint32_t core) {
  if (!number_limit_step) return Errno(EROFS);
  marks_[core] = std::max<uint64_t>(marks_[core], 1) + *number_limit_step;
  return marks_[core];
}

}  // namespace scalefs::memfs
