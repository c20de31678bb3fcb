#include "tests/support/history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace scalefs::testing {

using memfs::Attr;
using memfs::Caller;
using memfs::SetAttr;

namespace {
constexpr int64_t kTick = 1'000'000;  // between two calls
}  // namespace

History::History(const HistoryOptions& options, volume::Volume& volume)
    : options_(options), volume_(&volume), random_(options.seed) {
  mnodes_[1] = kRootMnode;
  calls_ = {{&History::do_make, 22},    {&History::do_tmpfile, 1}, {&History::do_link, 5},
            {&History::do_unlink, 9},   {&History::do_rmdir, 3},   {&History::do_rename, 9},
            {&History::do_lookup, 3},   {&History::do_setattr, 4}, {&History::do_getattr, 3},
            {&History::do_xattr, 4},    {&History::do_readdir, 2}, {&History::do_release, 4},
            {&History::do_fsync, 3}};
  if (options.data_calls) {
    calls_.insert(calls_.end(), {{&History::do_write, 14},
                                 {&History::do_append, 4},
                                 {&History::do_read, 5},
                                 {&History::do_truncate, 4},
                                 {&History::do_allocate, 3},
                                 {&History::do_seek, 2},
                                 {&History::do_copy, 2}});
  }
  // Swarm testing (Groce et al., ISSTA 2012): each history leaves out some calls altogether.
  for (auto& [call, weight] : calls_) {
    if (call != &History::do_make && random_.percent(15)) weight = 0;
    weight_total_ += weight;
  }
  tick();
  model_.node(1).mtime = model_.node(1).ctime = 0;
  auto root = volume_->fs().getattr(kRootMnode);
  if (root.ok()) {
    model_.node(1).mode = root->mode;
    model_.node(1).uid = root->uid;
    model_.node(1).gid = root->gid;
    model_.node(1).mtime = root->mtime_ns;
    model_.node(1).ctime = root->ctime_ns;
  }
}

History::~History() { set_wall_for_test(-1); }

void History::tick() {
  model_.set_time(model_.time() + kTick);
  set_wall_for_test(model_.time());
}

bool History::fail(const std::string& what) {
  failed_ = true;
  ADD_FAILURE() << "seed " << options_.seed << " step " << steps_ << ": " << what
                << "\nlast calls:\n" << trace_;
  return false;
}

bool History::expect(int got, int want, const std::string& call) {
  trace_ += fmt::format("  {} {} = {}\n", steps_, call, got);
  if (trace_.size() > 4000) trace_.erase(0, trace_.find('\n', trace_.size() - 3500) + 1);
  if (got == want) return true;
  return fail(fmt::format("{}: errno {}, expected {}", call, got, want));
}

bool History::check_attr(ModelId id, const Attr& attr, const std::string& call) {
  const ModelNode& want = model_.node(id);
  auto differ = [&](const char* field, auto got, auto expected) {
    return fail(fmt::format("{}: object {} has {} {}, expected {}", call, id, field, got, expected));
  };
  if (mnodes_.count(id) && attr.mnode != mnodes_.at(id)) {
    return differ("number", attr.mnode.v, mnodes_.at(id).v);
  }
  if (attr.mode != want.mode) return differ("mode", attr.mode, want.mode);
  if (attr.uid != want.uid) return differ("uid", attr.uid, want.uid);
  if (attr.gid != want.gid) return differ("gid", attr.gid, want.gid);
  if (attr.nlink != want.nlink) return differ("nlink", attr.nlink, want.nlink);
  if (attr.rdev != want.rdev) return differ("rdev", attr.rdev, want.rdev);
  if (attr.mtime_ns != want.mtime) return differ("mtime", attr.mtime_ns, want.mtime);
  if (attr.ctime_ns != want.ctime) return differ("ctime", attr.ctime_ns, want.ctime);
  if (!want.is_dir() && attr.size != want.data.size()) {
    return differ("size", attr.size, want.data.size());
  }
  if (want.is_file() && want.mapping_known && attr.blocks != want.mapped.size() * 8) {
    return differ("blocks", attr.blocks, want.mapped.size() * 8);
  }
  return true;
}

void History::adopt(ModelId id, const Attr& attr) {
  mnodes_[id] = attr.mnode;
  model_.node(id).held = true;
}

bool History::ensure(ModelId id) {
  ModelNode& node = model_.node(id);
  if (node.held) return true;
  auto [parent, name] = *node.names.begin();
  if (!ensure(parent)) return false;
  auto found = volume_->fs().lookup(mnodes_.at(parent), name);
  if (!expect(found.code(), 0, fmt::format("lookup({}, {})", parent, name))) return false;
  if (!mnodes_.count(id)) mnodes_[id] = found->attr.mnode;
  node.held = true;
  return check_attr(id, found->attr, "lookup " + name);
}

void History::release(ModelId id) {
  if (id == 1 || !model_.exists(id) || !model_.node(id).held) return;
  volume_->fs().forget(mnodes_.at(id), 1);
  model_.node(id).held = false;
  model_.drop_if_dead(id);
}

ModelId History::pick(const std::function<bool(const ModelNode&)>& wanted) {
  std::vector<ModelId> ids;
  for (const auto& [id, node] : model_.nodes()) {
    if (wanted(node)) ids.push_back(id);
  }
  return ids.empty() ? 0 : ids[random_.below(ids.size())];
}

ModelId History::pick_dir() {
  if (random_.percent(25)) return 1;
  ModelId id = pick([](const ModelNode& n) { return n.is_dir(); });
  return ensure(id) ? id : 0;
}

ModelId History::pick_file() {
  ModelId id = pick([](const ModelNode& n) { return n.is_file(); });
  return id && ensure(id) ? id : 0;
}

std::string History::pick_name() {
  if (random_.percent(5)) return std::string(200 + random_.below(56), 'n');
  return fmt::format("{}{}", static_cast<char>('a' + random_.below(6)), random_.below(8));
}

std::string History::pick_existing(ModelId dir) {
  const auto& children = model_.node(dir).children;
  if (children.empty() || random_.percent(10)) return pick_name();
  auto child = children.begin();
  std::advance(child, static_cast<long>(random_.below(children.size())));
  return child->first;
}

std::string History::random_bytes(size_t size) {
  std::string bytes(size, '\0');
  uint64_t word = random_.next();
  for (size_t i = 0; i < size; i++) {
    if (i % 8 == 0) word = word * 6364136223846793005ull + 1442695040888963407ull;
    bytes[i] = static_cast<char>(word >> (8 * (i % 8)));
  }
  return bytes;
}

bool History::step() {
  if (failed_) return false;
  steps_++;
  tick();
  if (model_.nodes().size() > options_.objects_max && random_.percent(60)) {
    return random_.percent(30) ? do_release() : random_.percent(70) ? do_unlink() : do_rmdir();
  }
  int choice = static_cast<int>(random_.below(static_cast<uint64_t>(weight_total_)));
  for (auto& [call, weight] : calls_) {
    choice -= weight;
    if (choice < 0) return (this->*call)();
  }
  return true;
}

bool History::do_make() {
  ModelId dir = pick_dir();
  if (!dir) return !failed_;
  std::string name = pick_name();
  Caller caller{static_cast<uint32_t>(random_.below(3)), static_cast<uint32_t>(random_.below(3)),
                random_.percent(50) ? 022u : 0u};
  auto mode = static_cast<uint32_t>(random_.below(01000));
  uint64_t kind = random_.below(10);
  ModelId made = 0;
  auto& fs = volume_->fs();
  auto finish = [&](const Result<memfs::Entry>& got, int want, const std::string& call) {
    if (!expect(got.code(), want, fmt::format("{}({}, {})", call, dir, name))) return false;
    if (want) return true;
    adopt(made, got->attr);
    return check_attr(made, got->attr, call);
  };
  if (kind < 6) {
    int want = model_.make(dir, name, 0100000 | mode, 0, caller.uid, caller.gid, caller.umask, "",
                           &made);
    return finish(fs.create(mnodes_.at(dir), name, 0100000 | mode, true, caller), want, "create");
  }
  if (kind < 8) {
    uint32_t bits = mode | (random_.percent(10) ? 02000u : 0u);
    int want =
        model_.make(dir, name, 0040000 | bits, 0, caller.uid, caller.gid, caller.umask, "", &made);
    return finish(fs.mkdir(mnodes_.at(dir), name, 0040000 | bits, caller), want, "mkdir");
  }
  if (kind < 9) {
    std::string target(1 + random_.below(random_.percent(10) ? 4000 : 60), 't');
    int want = model_.make(dir, name, 0120777, 0, caller.uid, caller.gid, 0, target, &made);
    return finish(fs.symlink(mnodes_.at(dir), name, target, caller), want, "symlink");
  }
  uint32_t type = random_.percent(50) ? 0010000u : 0020000u;
  uint64_t rdev = type == 0020000u ? random_.below(1000) : 0;
  int want =
      model_.make(dir, name, type | mode, rdev, caller.uid, caller.gid, caller.umask, "", &made);
  return finish(fs.mknod(mnodes_.at(dir), name, type | mode, rdev, caller), want, "mknod");
}

bool History::do_tmpfile() {
  ModelId dir = pick_dir();
  if (!dir) return !failed_;
  ModelId made = 0;
  int want = model_.make_tmpfile(dir, 0100600, 1, 1, 0, &made);
  auto got = volume_->fs().tmpfile(mnodes_.at(dir), 0100600, Caller{1, 1, 0});
  if (!expect(got.code(), want, fmt::format("tmpfile({})", dir))) return false;
  if (want) return true;
  adopt(made, got->attr);
  return check_attr(made, got->attr, "tmpfile");
}

bool History::do_link() {
  ModelId dir = pick_dir();
  // An object that lost its last name cannot be linked again (unless it never had one).
  ModelId target = pick([](const ModelNode& n) { return n.nlink > 0; });
  if (!dir || !target || !ensure(target)) return !failed_;
  std::string name = pick_name();
  // Which of two errors wins is the kernel's business: it checks the name before it asks us.
  if (model_.node(target).is_dir() && model_.node(dir).children.count(name)) return true;
  int want = model_.link(target, dir, name);
  auto got = volume_->fs().link(mnodes_.at(target), mnodes_.at(dir), name);
  if (!expect(got.code(), want, fmt::format("link({}, {}, {})", target, dir, name))) return false;
  if (want) return true;
  volume_->fs().forget(mnodes_.at(target), 1);  // the object has the lookup of ensure() already
  return check_attr(target, got->attr, "link");
}

bool History::do_unlink() {
  ModelId dir = pick_dir();
  if (!dir) return !failed_;
  std::string name = pick_existing(dir);
  int want = model_.unlink(dir, name);
  return expect(volume_->fs().unlink(mnodes_.at(dir), name).code(), want,
                fmt::format("unlink({}, {})", dir, name));
}

bool History::do_rmdir() {
  ModelId dir = pick_dir();
  if (!dir) return !failed_;
  std::string name = pick_existing(dir);
  int want = model_.rmdir(dir, name);
  return expect(volume_->fs().rmdir(mnodes_.at(dir), name).code(), want,
                fmt::format("rmdir({}, {})", dir, name));
}

bool History::do_rename() {
  ModelId from = pick_dir();
  ModelId to = random_.percent(50) ? from : pick_dir();
  if (!from || !to) return !failed_;
  std::string old_name = pick_existing(from);
  std::string new_name = random_.percent(50) ? pick_existing(to) : pick_name();
  uint64_t roll = random_.below(10);
  ModelRename mode = roll < 6   ? ModelRename::replace
                     : roll < 7 ? ModelRename::no_replace
                     : roll < 9 ? ModelRename::exchange
                                : ModelRename::whiteout;
  ModelId moved = 0;
  ModelId replaced = 0;
  bool same = model_.lookup(from, old_name, &moved) == 0 &&
              model_.lookup(to, new_name, &replaced) == 0 && moved == replaced;
  if (same && mode == ModelRename::whiteout) return true;
  bool over = !same && model_.lookup(to, new_name, &replaced) == 0;
  ModelId whiteout = 0;
  int want = model_.rename(from, old_name, to, new_name, mode, &whiteout);
  auto got = volume_->fs().rename(mnodes_.at(from), old_name, mnodes_.at(to), new_name,
                                  static_cast<memfs::RenameMode>(mode), Caller{});
  // Where two errors apply either may win; the unit tests have a case for each alone.
  bool both_fail = want != 0 && !got.ok();
  if (!expect(got.code(), both_fail ? got.code() : want,
              fmt::format("rename({}, {}, {}, {}, mode {})", from, old_name, to, new_name,
                          static_cast<int>(mode)))) {
    return false;
  }
  if (want == 0 && over && options_.on_rename_over) options_.on_rename_over(moved);
  if (want == 0 && model_.exists(moved) && model_.node(moved).held) {
    auto attr = volume_->fs().getattr(mnodes_.at(moved));
    if (!expect(attr.code(), 0, "getattr of what was moved")) return false;
    return check_attr(moved, *attr, "rename");
  }
  return true;
}

bool History::do_lookup() {
  ModelId dir = pick_dir();
  if (!dir) return !failed_;
  std::string name = pick_existing(dir);
  ModelId found = 0;
  int want = model_.lookup(dir, name, &found);
  auto got = volume_->fs().lookup(mnodes_.at(dir), name);
  if (!expect(got.code(), want, fmt::format("lookup({}, {})", dir, name))) return false;
  if (want) return true;
  if (model_.node(found).held) {
    volume_->fs().forget(mnodes_.at(found), 1);
  } else {
    adopt(found, got->attr);
  }
  return check_attr(found, got->attr, "lookup");
}

bool History::do_setattr() {
  ModelId id = pick([](const ModelNode& n) { return !n.is_link(); });
  if (!ensure(id)) return false;
  ModelNode& node = model_.node(id);
  SetAttr change;
  uint64_t kind = random_.below(4);
  if (kind == 0) {
    change.mode = static_cast<uint32_t>(random_.below(01000));
    node.mode = (node.mode & 0170000) | *change.mode;
  } else if (kind == 1) {
    change.uid = static_cast<uint32_t>(random_.below(5));
    node.uid = *change.uid;
  } else if (kind == 2) {
    change.gid = static_cast<uint32_t>(random_.below(5));
    node.gid = *change.gid;
  } else {
    change.mtime_ns = static_cast<int64_t>(random_.below(1'000'000'000)) - 500'000'000;
    // Far ahead, where the clock of the history will not come; or not far, where it will.
    if (random_.percent(30)) *change.mtime_ns += model_.time() + 1'000'000'000'000;
    if (random_.percent(30)) change.mtime_ns = model_.time() + static_cast<int64_t>(random_.below(100)) * kTick;
    change.atime_ns = change.mtime_ns;
    node.mtime = *change.mtime_ns;
  }
  node.ctime = model_.time();
  auto got = volume_->fs().setattr(mnodes_.at(id), change);
  if (!expect(got.code(), 0, fmt::format("setattr({}, kind {})", id, kind))) return false;
  return check_attr(id, *got, "setattr");
}

bool History::do_getattr() {
  ModelId id = pick([](const ModelNode&) { return true; });
  if (!ensure(id)) return false;
  auto got = volume_->fs().getattr(mnodes_.at(id));
  if (!expect(got.code(), 0, fmt::format("getattr({})", id))) return false;
  return check_attr(id, *got, "getattr");
}

bool History::do_xattr() {
  ModelId id = pick([](const ModelNode& n) { return n.is_file() || n.is_dir(); });
  if (!ensure(id)) return false;
  ModelNode& node = model_.node(id);
  std::string name = fmt::format("user.x{}", random_.below(4));
  auto& fs = volume_->fs();
  uint64_t kind = random_.below(10);
  if (kind < 5) {
    std::string value = random_bytes(random_.below(random_.percent(10) ? 20000 : 100));
    ConstBytes bytes = std::as_bytes(std::span(value.data(), value.size()));
    auto mode = static_cast<memfs::XattrMode>(random_.below(3));
    int want = 0;
    if (mode == memfs::XattrMode::create && node.xattrs.count(name)) want = EEXIST;
    if (mode == memfs::XattrMode::replace && !node.xattrs.count(name)) want = ENODATA;
    if (!want) {
      node.xattrs[name] = value;
      node.ctime = model_.time();
    }
    return expect(fs.setxattr(mnodes_.at(id), name, bytes, mode).code(), want,
                  fmt::format("setxattr({}, {})", id, name));
  }
  if (kind < 8) {
    int want = node.xattrs.count(name) ? 0 : ENODATA;
    auto got = fs.getxattr(mnodes_.at(id), name);
    if (!expect(got.code(), want, fmt::format("getxattr({}, {})", id, name))) return false;
    if (want) return true;
    std::string text(reinterpret_cast<const char*>(got->data()), got->size());
    return text == node.xattrs[name] || fail("getxattr: wrong value");
  }
  int want = node.xattrs.erase(name) ? 0 : ENODATA;
  if (!want) node.ctime = model_.time();
  return expect(fs.removexattr(mnodes_.at(id), name).code(), want,
                fmt::format("removexattr({}, {})", id, name));
}

bool History::do_release() {
  // Directories that still have a parent in use stay held by their children's lookups anyway.
  ModelId id = pick([](const ModelNode& n) { return n.held; });
  if (id) release(id);
  return true;
}

bool History::fsync(ModelId id) {
  int got = volume_->fsync(mnodes_.at(id), random_.percent(50)).code();
  if (!expect(got, 0, fmt::format("fsync({})", id))) return false;
  if (options_.on_durable) options_.on_durable(id);
  return true;
}

bool History::sync() {
  if (!expect(volume_->sync().code(), 0, "sync")) return false;
  if (options_.on_durable) options_.on_durable(0);
  return true;
}

bool History::do_fsync() {
  if (random_.percent(15)) return sync();
  ModelId id = pick([](const ModelNode&) { return true; });
  return ensure(id) && fsync(id);
}

void History::remounted(volume::Volume& volume) {
  volume_ = &volume;
  model_.drop_lookups();
}

}  // namespace scalefs::testing
