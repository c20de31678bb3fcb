// The calls of a Rig: prepared, performed, and told as text.
#include "tests/commute/matrix/rig_calls.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/atomic.h"
#include "base/check.h"

namespace scalefs::matrix {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr uint64_t kCasesACanary = 4;  // now and then

Atomic<uint64_t> canary_counter{0};

}  // namespace

Rig::Prepared Rig::prepare(const Call& c) {
  Prepared p;
  p.op = c.op;
  p.fs = &volume_->fs();
  p.volume = volume_.get();
  p.dir = dir(c.slot.dir);
  p.to_dir = dir(c.to.dir);
  p.object = c.object ? labels_.at(c.object) : MnodeNo{};
  p.other = c.other ? labels_.at(c.other) : MnodeNo{};
  p.name = name_of(c.slot);
  p.to_name = name_of(c.to);
  p.xattr = fmt::format("user.{}", c.value);
  p.offset = c.offset;
  p.target = c.target;
  p.length = c.length;
  p.value = c.value;
  p.content = c.content;
  SCALEFS_CHECK(c.length <= kBufferBytes || c.op == Op::allocate || c.op == Op::punch);
  p.buffer.assign(std::max<size_t>(c.length, 1), static_cast<std::byte>(c.value));
  if (c.op == Op::setxattr) {
    const std::string value = xattr_value(c);
    p.buffer.assign(reinterpret_cast<const std::byte*>(value.data()),
                    reinterpret_cast<const std::byte*>(value.data()) + value.size());
  }
  return p;
}

void Rig::perform(const Prepared& p, Raw* raw) {
  memfs::MemFs& fs = *p.fs;
  const auto entry = [&](const Result<memfs::Entry>& got) {
    raw->error = got.code();
    if (!got.ok()) return;
    raw->has_attr = true;
    raw->attr = got->attr;
  };
  const auto attr = [&](const Result<memfs::Attr>& got) {
    raw->error = got.code();
    if (!got.ok()) return;
    raw->has_attr = true;
    raw->attr = *got;
  };
  const auto number = [&](const auto& got) {
    raw->error = got.code();
    if (got.ok()) raw->number = *got;
  };
  const memfs::Caller caller{7, 7, 0};
  memfs::SetAttr change;
  switch (p.op) {
    case Op::lookup: return entry(fs.lookup(p.dir, p.name));
    case Op::getattr: return attr(fs.getattr(p.object));
    case Op::chmod: change.mode = p.value; return attr(fs.setattr(p.object, change));
    case Op::chown: change.uid = change.gid = p.value; return attr(fs.setattr(p.object, change));
    case Op::utimes:
      change.atime_ns = change.mtime_ns = kExplicit + p.content;
      return attr(fs.setattr(p.object, change));
    case Op::truncate: change.size = p.length; return attr(fs.setattr(p.object, change));
    case Op::create: return entry(fs.create(p.dir, p.name, 0644, false, caller));
    case Op::create_exclusive: return entry(fs.create(p.dir, p.name, 0644, true, caller));
    case Op::mkdir: return entry(fs.mkdir(p.dir, p.name, 0755, caller));
    case Op::mknod: return entry(fs.mknod(p.dir, p.name, S_IFCHR | 0600, 5, caller));
    case Op::symlink: return entry(fs.symlink(p.dir, p.name, "target", caller));
    case Op::readlink: {
      auto got = fs.readlink(p.object);
      raw->error = got.code();
      if (got.ok()) raw->text = std::move(*got);
      return;
    }
    case Op::link: return entry(fs.link(p.object, p.dir, p.name));
    case Op::unlink: raw->error = fs.unlink(p.dir, p.name).code(); return;
    case Op::rmdir: raw->error = fs.rmdir(p.dir, p.name).code(); return;
    case Op::rename:
    case Op::rename_exchange:
    case Op::rename_noreplace: {
      const auto mode = p.op == Op::rename            ? memfs::RenameMode::replace
                        : p.op == Op::rename_exchange ? memfs::RenameMode::exchange
                                                      : memfs::RenameMode::no_replace;
      raw->error = fs.rename(p.dir, p.name, p.to_dir, p.to_name, mode, caller).code();
      return;
    }
    case Op::forget: fs.forget(p.object, 1); return;
    case Op::read:
      raw->bytes.resize(p.length);
      return number(fs.read(p.object, p.offset, raw->bytes));
    case Op::write:
    case Op::write_extend:
      return number(fs.write(p.object, p.offset, ConstBytes(p.buffer.data(), p.length)));
    case Op::append: return number(fs.append(p.object, ConstBytes(p.buffer.data(), p.length)));
    case Op::copy_range:
      return number(fs.copy_range(p.object, p.offset, p.other, p.target, p.length));
    case Op::allocate:
      raw->error = fs.allocate(p.object, memfs::AllocateMode::allocate, p.offset, p.length).code();
      return;
    case Op::punch:
      raw->error =
          fs.allocate(p.object, memfs::AllocateMode::punch_hole, p.offset, p.length).code();
      return;
    case Op::seek:
      return number(fs.seek(p.object, p.offset,
                            p.value != 0 ? memfs::SeekMode::data : memfs::SeekMode::hole));
    case Op::readdir:
      raw->error = fs.readdir(p.dir, 0, [raw](const memfs::DirectoryEntry& e) {
                       raw->entries.emplace_back(std::string(e.name), e.mnode);
                       return true;
                     }).code();
      return;
    case Op::statfs: raw->number = p.volume->statfs().blocks_free; return;
    case Op::getxattr: {
      auto got = fs.getxattr(p.object, p.xattr);
      raw->error = got.code();
      if (got.ok()) raw->bytes = std::move(*got);
      return;
    }
    case Op::setxattr:
      raw->error = fs.setxattr(p.object, p.xattr, p.buffer, memfs::XattrMode::set).code();
      return;
    case Op::listxattr: {
      auto got = fs.listxattr(p.object);
      raw->error = got.code();
      if (got.ok()) raw->texts = std::move(*got);
      return;
    }
    case Op::removexattr: raw->error = fs.removexattr(p.object, p.xattr).code(); return;
    case Op::count: return;
  }
}

std::string Rig::label_of(MnodeNo mnode) const {
  for (const auto& [label, known] : labels_)
    if (known == mnode) return std::string(1, label);
  return "?";
}

std::string Rig::attr_text(const memfs::Attr& a) const {
  return fmt::format("{} mode {:o} owner {}:{} links {} rdev {} size {} mtime {} ctime {}",
                     label_of(a.mnode), a.mode, a.uid, a.gid, a.nlink, a.rdev,
                     S_ISDIR(a.mode) ? 0 : a.size, time_text(a.mtime_ns, now_),
                     time_text(a.ctime_ns, now_));
}

Answer Rig::answer_of(const Call& call, const Raw& raw, char made) {
  Answer answer;
  answer.error = raw.error;
  if (raw.error != 0) return answer;
  std::string& text = answer.checked;
  if (raw.has_attr) {
    const bool entry = call.op != Op::getattr && call.op != Op::chmod && call.op != Op::chown &&
                       call.op != Op::utimes && call.op != Op::truncate;
    if (entry) {
      ++lookups_[raw.attr.mnode.v];
      if (label_of(raw.attr.mnode) == "?") labels_[made] = raw.attr.mnode;
    }
    text = attr_text(raw.attr);
  } else if (call.op == Op::readlink) {
    text = raw.text;
  } else if (call.op == Op::read || call.op == Op::getxattr) {
    const size_t size = call.op == Op::read ? raw.number : raw.bytes.size();
    text.assign(reinterpret_cast<const char*>(raw.bytes.data()), size);
  } else if (call.op == Op::write || call.op == Op::write_extend || call.op == Op::append ||
             call.op == Op::copy_range || call.op == Op::seek) {
    text = fmt::format("{}", raw.number);
  } else if (call.op == Op::listxattr) {
    auto names = raw.texts;
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) text += name + " ";
  } else if (call.op == Op::readdir) {
    std::vector<std::string> lines;
    for (const auto& [name, mnode] : raw.entries) {
      if (name == "." || name == "..") continue;
      const auto at = std::find(names_.begin(), names_.end(), name);
      lines.push_back(slot_name(static_cast<int>(at - names_.begin())) + "=" + label_of(mnode) +
                      " ");
    }
    std::sort(lines.begin(), lines.end());
    for (const std::string& line : lines) text += line;
  } else if (call.op == Op::forget) {
    --lookups_[labels_.at(call.object).v];
  }
  return answer;
}

void Rig::sing() {
  if (canary_ == Canary::each_call ||
      (canary_ == Canary::now_and_then && cases_ % kCasesACanary == 0))
    canary_counter.fetch_add(1, relaxed);
}

Answer Rig::run_plain(const Call& call, char made) {
  const Prepared prepared = prepare(call);
  Raw raw;
  perform(prepared, &raw);
  return answer_of(call, raw, made);
}

Answer Rig::run_recorded(int core, const Call& call, char made) {
  Answer answer;
  record::run_on(core, [&] {
    const auto prepared = std::make_unique<Prepared>(prepare(call));
    const auto raw = std::make_unique<Raw>();
    record::start(core);
    perform(*prepared, raw.get());
    sing();
    record::stop();
    answer = answer_of(call, *raw, made);
  });
  return answer;
}

}  // namespace scalefs::matrix
