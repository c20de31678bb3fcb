#include "tests/crash/explorer/crash_script.h"

#include <fmt/format.h>

#include <sstream>

#include "base/clock.h"
#include "base/core.h"
#include "base/random.h"
#include "tests/support/memory_faults.h"

namespace scalefs::testing {

namespace {

constexpr int kNoSuchCall = -1;

ConstBytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A call of the engine's, as the daemon makes it: where memory ends, it answers ENOMEM.
template <class Call>
auto engine(Call call) -> decltype(call()) {
  const MemoryFaults::InEngine in;
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return Errno(ENOMEM);
  }
}

uint64_t number(const std::string& word) { return std::strtoull(word.c_str(), nullptr, 10); }

}  // namespace

CrashScript::CrashScript(volume::Volume& volume, const diskfs::RecordingDevice& recording,
                         CrashCanary canary)
    : volume_(&volume), recording_(recording), canary_(canary) {
  mnodes_[1] = kRootMnode;
  auto root = volume.fs().getattr(kRootMnode);
  if (!root.ok()) return;
  model_.node(1).mode = root->mode;
  model_.node(1).uid = root->uid;
  model_.node(1).gid = root->gid;
}

CrashScript::~CrashScript() { set_wall_for_test(-1); }

std::string CrashScript::prepare() {
  CrashCanary canary = std::exchange(canary_, CrashCanary::none);
  std::string wrong = run(
      "create /f; write /f 0 9000; mkdir /d; create /d/g; write /d/g 0 5000; mkdir /d/s; "
      "create /d/s/h; write /d/s/h 0 300; mkdir /e; sync; checkpoint");
  canary_ = canary;
  return wrong;
}

std::string CrashScript::share(const std::string& dir) {
  Place at = place(dir);
  auto found = volume_->fs().lookup(mnode(at.dir), at.name);
  if (!found.ok()) return fmt::format("{}: errno {}", dir, found.code());
  ModelId made = 0;
  if (model_.make(at.dir, at.name, 0040755, 0, 0, 0, 0, "", &made) != 0) return dir + ": twice";
  adopt(made, found->attr.mnode);
  return "";
}

void CrashScript::begin() {
  oracle_ = CrashOracle();
  oracle_.look_only_at(view_);
  oracle_.durable(0);
  oracle_.observe(model_, mnodes_, recording_.event_count(), recording_.event_count());
}

std::string CrashScript::run(const std::string& text) {
  std::istringstream calls(text);
  for (std::string one; std::getline(calls, one, ';');) {
    std::istringstream in(one);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.empty()) continue;
    model_.set_time(model_.time() + 1'000'000);
    set_wall_for_test(model_.time());
    uint64_t before = recording_.event_count();
    if (auto wrong = call(words); !wrong.empty()) return one + ": " + wrong;
    oracle_.observe(model_, mnodes_, before, recording_.event_count());
  }
  return "";
}

void CrashScript::remounted(volume::Volume& volume) {
  volume_ = &volume;
  model_.drop_lookups();
  unknown_.clear();
  for (const auto& [id, node] : model_.nodes()) {
    if (id != 1) unknown_.insert(id);
  }
}

std::string CrashScript::compare() const {
  CrashOracle now;
  now.look_only_at(view_);
  now.observe(model_, mnodes_, 0, 0);
  return now.check(*volume_, 0);
}

int CrashScript::look_up(ModelId dir, const std::string& name, ModelId id) {
  if (!unknown_.count(id)) return 0;
  auto found = engine([&] { return volume_->fs().lookup(mnode(dir), name); });
  if (!found.ok()) return found.code();
  unknown_.erase(id);
  model_.node(id).held = true;
  return 0;
}

CrashScript::Place CrashScript::place(const std::string& path) {
  Place at;
  at.id = 1;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty()) continue;
    at.dir = at.id;
    at.name = part;
    at.id = 0;
    if (!at.dir || !model_.node(at.dir).is_dir()) return {};
    if (model_.lookup(at.dir, part, &at.id) != 0) continue;
    if (lookup_error_ == 0) lookup_error_ = look_up(at.dir, part, at.id);
  }
  return at;
}

std::string CrashScript::bytes(size_t size) {
  Random random(++writes_);
  std::string text(size, '\0');
  for (auto& byte : text) byte = static_cast<char>(random.next());
  return text;
}

void CrashScript::adopt(ModelId id, MnodeNo mnode) {
  mnodes_[id] = mnode;
  model_.node(id).held = true;
}

std::string CrashScript::call(const std::vector<std::string>& words) {
  const std::string& verb = words[0];
  const bool failed = volume_->failed();
  const ModelFs before = tolerated_.empty() ? ModelFs() : model_;
  lookup_error_ = 0;
  if (verb == "writeback" || verb == "commit" || verb == "checkpoint" || verb == "maintain") {
    (void)engine([&]() -> Result<bool> {
      if (verb == "writeback") return volume_->step_writeback();
      if (verb == "maintain") return volume_->step_maintenance();
      return verb == "commit" ? volume_->step_commit() : volume_->step_checkpoint();
    });
    return "";
  }
  if (verb == "core") {
    set_thread_core(static_cast<int32_t>(number(words.at(1))));
    return "";
  }
  int want = 0;
  int got = kNoSuchCall;
  bool may_fill = true;
  if (verb == "sync") {
    may_fill = false;
    got = object_call(verb, 0);
  } else if (words.size() > 1) {
    Place at = place(words[1]);
    if (lookup_error_) got = lookup_error_;
    if (at.id == 0 && at.dir == 0) return "";
    may_fill = needs_room(words, at.id);
    if (got == kNoSuchCall) got = names_call(words, at, &want);
    if (got == kNoSuchCall && at.id == 0) return "";
    if (got == kNoSuchCall && verb == "list") got = list_call(words[1], at.id);
    if (got == kNoSuchCall) got = object_call(verb, at.id);
    if (got == kNoSuchCall && model_.node(at.id).is_file()) got = data_call(words, at.id);
    if (got == kNoSuchCall && !model_.node(at.id).is_file()) return "";
  }
  if (got == kNoSuchCall) return "no such call";
  const bool promises = verb == "sync" || verb == "fsync" || verb == "fdatasync";
  if (promises && failed && got == 0) return "answered ok on a volume that has failed";
  if (got == ENOSPC && !may_fill) return "refused for want of room";
  if (tolerated_.count(got)) {
    model_ = before;
    oracle_.withdraw();
    refused_++;
    return "";
  }
  return got == want ? "" : fmt::format("errno {}, expected {}", got, want);
}

// What gives space back is never refused for want of it, nor is what makes durable (I9).
bool CrashScript::needs_room(const std::vector<std::string>& words, ModelId id) const {
  const std::string& verb = words[0];
  if (verb == "truncate" && id) return number(words.at(2)) > model_.node(id).data.size();
  return verb != "unlink" && verb != "rmdir" && verb != "fsync" && verb != "fdatasync" && verb != "read" &&
         verb != "list";
}

// EILSEQ: something else than the reference shows.
int CrashScript::read_call(ModelId id) {
  const ModelNode& node = model_.node(id);
  if (!node.is_file()) return 0;
  std::string text(node.data.size() + 1, '\0');
  auto got = engine([&] {
    return volume_->fs().read(mnode(id), 0, std::as_writable_bytes(std::span(text.data(), text.size())));
  });
  if (!got.ok()) return got.code();
  text.resize(*got);
  return text == node.data ? 0 : EILSEQ;
}

int CrashScript::list_call(const std::string& path, ModelId id) {
  const ModelNode& node = model_.node(id);
  if (!node.is_dir()) return 0;
  std::set<std::string> names;
  const std::string above = path == "/" ? path : path + "/";
  const auto note = [&](const memfs::DirectoryEntry& entry) {
    const MemoryFaults::Outside outside;
    if (entry.name == "." || entry.name == "..") return true;
    if (!view_.looked_at || view_.looked_at(above + std::string(entry.name))) names.emplace(entry.name);
    return true;
  };
  auto got = engine([&] { return volume_->fs().readdir(mnode(id), 0, note); });
  if (!got.ok()) return got.code();
  std::set<std::string> want;
  for (const auto& child : node.children) want.insert(child.first);
  return names == want ? 0 : EILSEQ;
}

int CrashScript::names_call(const std::vector<std::string>& words, const Place& at, int* want) {
  const std::string& verb = words[0];
  auto& fs = volume_->fs();
  auto make = [&](uint32_t mode, const std::string& target, auto&& call) {
    ModelId made = 0;
    *want = model_.make(at.dir, at.name, mode, 0, 0, 0, 0, target, &made);
    auto got = engine(call);
    if (got.ok() && *want == 0) adopt(made, got->attr.mnode);
    return got.code();
  };
  if (verb == "create") {
    return make(0100644, "", [&] { return fs.create(mnode(at.dir), at.name, 0100644, true, {}); });
  }
  if (verb == "mkdir") {
    return make(0040755, "", [&] { return fs.mkdir(mnode(at.dir), at.name, 0040755, {}); });
  }
  if (verb == "symlink") {
    return make(0120777, "a/target",
                [&] { return fs.symlink(mnode(at.dir), at.name, "a/target", {}); });
  }
  if (verb == "unlink") {
    *want = model_.unlink(at.dir, at.name);
    return engine([&] { return fs.unlink(mnode(at.dir), at.name); }).code();
  }
  if (verb == "rmdir") {
    *want = model_.rmdir(at.dir, at.name);
    return engine([&] { return fs.rmdir(mnode(at.dir), at.name); }).code();
  }
  if (verb != "link" && verb != "rename") return kNoSuchCall;
  Place to = place(words.at(2));
  if (lookup_error_) return lookup_error_;
  if (!at.id || !at.dir || !to.dir) return 0;
  if (verb == "rename") return rename_call(at, to, want);
  if (model_.node(at.id).is_dir()) return 0;
  *want = model_.link(at.id, to.dir, to.name);
  return engine([&] { return fs.link(mnode(at.id), mnode(to.dir), to.name); }).code();
}

int CrashScript::rename_call(const Place& from, const Place& to, int* want) {
  bool file = model_.node(from.id).is_file();
  bool over = to.id && to.id != from.id;
  ModelId whiteout = 0;
  *want = model_.rename(from.dir, from.name, to.dir, to.name, ModelRename::replace, &whiteout);
  if (*want == 0 && over) oracle_.renamed_over(from.id);
  auto& fs = volume_->fs();
  if (canary_ == CrashCanary::rename_in_two && *want == 0 && file && !to.id) {
    int got = fs.link(mnode(from.id), mnode(to.dir), to.name).code();
    volume_->step_commit();
    return got ? got : fs.unlink(mnode(from.dir), from.name).code();
  }
  int got = engine([&] {
              return fs.rename(mnode(from.dir), from.name, mnode(to.dir), to.name, memfs::RenameMode::replace, {});
            }).code();
  // Where two errors apply either may win.
  return got && *want ? *want : got;
}

int CrashScript::data_call(const std::vector<std::string>& words, ModelId file) {
  const std::string& verb = words[0];
  auto& fs = volume_->fs();
  uint64_t first = words.size() > 2 ? number(words[2]) : 0;
  uint64_t second = words.size() > 3 ? number(words[3]) : 0;
  auto set_size = [&](uint64_t size) {
    memfs::SetAttr change;
    change.size = size;
    return engine([&] { return fs.setattr(mnode(file), change); }).code();
  };
  auto allocate = [&](memfs::AllocateMode mode) {
    return engine([&] { return fs.allocate(mnode(file), mode, first, second); }).code();
  };
  if (verb == "write" || verb == "append") {
    uint64_t end = model_.node(file).data.size();
    uint64_t offset = verb == "write" ? first : end;
    std::string text = bytes(verb == "write" ? second : first);
    if (canary_ == CrashCanary::size_before_data && offset + text.size() > end) {
      if (int got = set_size(offset + text.size())) return got;
      volume_->step_commit();
    }
    auto got = engine([&] { return fs.write(mnode(file), offset, bytes_of(text)); });
    if (!got.ok()) return got.code();
    // A write that is refused in its middle is as short as it says.
    if (*got < text.size() && tolerated_.empty()) return EIO;
    refused_ += *got < text.size();
    model_.write(file, offset, text.substr(0, *got));
    return 0;
  }
  if (verb == "truncate") {
    model_.truncate(file, first);
    return set_size(first);
  }
  if (verb == "fallocate") {
    model_.allocate(file, first, second, false, false);
    return allocate(memfs::AllocateMode::allocate);
  }
  if (verb == "punch") {
    model_.punch(file, first, second);
    return allocate(memfs::AllocateMode::punch_hole);
  }
  return kNoSuchCall;
}

int CrashScript::object_call(const std::string& verb, ModelId id) {
  bool broken = canary_ == CrashCanary::fsync_without_commit;
  if (verb == "sync") {
    oracle_.durable(0);
    return broken ? 0 : engine([&] { return volume_->sync(); }).code();
  }
  if (verb == "fsync" || verb == "fdatasync") {
    oracle_.durable(id);
    return broken ? 0 : engine([&] { return volume_->fsync(mnode(id), verb == "fdatasync"); }).code();
  }
  if (verb == "read") return read_call(id);
  if (verb != "setxattr") return kNoSuchCall;
  std::string value = bytes(40);
  model_.node(id).xattrs["user.x"] = value;
  return engine([&] {
           return volume_->fs().setxattr(mnode(id), "user.x", bytes_of(value), memfs::XattrMode::set);
         }).code();
}

}  // namespace scalefs::testing
