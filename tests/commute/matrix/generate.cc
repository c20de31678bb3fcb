#include "tests/commute/matrix/generate.h"

#include <fmt/format.h>

#include <tuple>

#include "base/check.h"

namespace scalefs::matrix {
namespace {

constexpr uint64_t kTruncations = 9;  // to so many sizes

class Builder {
 public:
  Builder(Random& random, State& state) : random_(random), state_(state) {}

  void build() {
    for (int file = 0; file < 3; ++file) place_file(file);
    place_one(Op::symlink, 'l', 40);
    place_one(Op::mkdir, 'd', 60);
    if (place_one(Op::mkdir, 'e', 30)) {
      Call child;
      child.op = Op::mknod;
      child.slot = {3, 0};
      add(child, 'k');
    }
    for (const char label : {'f', 'g', 'h', 'p'}) {
      if (!random_.percent(30)) continue;
      Call call;
      call.op = Op::setxattr;
      call.object = label;
      add(call, '-');
    }
    state_.warmed = state_.world.has('l') ? "fghl" : "fgh";
    state_.world.set_time(++time_);
    state_.world.warm(state_.warmed);
    freshen();
    state_.synced = random_.percent(50);
    state_.world.set_time(kNow);
  }

 private:
  void add(const Call& call, char made) {
    state_.world.set_time(++time_);
    const Answer answer = state_.world.run(call, made);
    SCALEFS_CHECK(answer.error == 0);
    state_.script.push_back(call);
    state_.made.push_back(made);
  }

  // An empty slot, if a random one is.
  std::optional<Slot> free_slot() {
    const Slot slot{static_cast<int>(random_.below(2)), static_cast<int>(random_.below(3))};
    if (taken_[slot.dir][slot.name]) return std::nullopt;
    taken_[slot.dir][slot.name] = true;
    return slot;
  }

  void place_file(int file) {
    const char label = "fgh"[file];
    const Slot spare{kStash, file};
    const uint64_t names = random_.below(4);  // in slots; none: in the stash or open but unlinked
    Call create;
    create.op = Op::create_exclusive;
    create.slot = spare;
    add(create, label);
    fill(label);
    uint64_t placed = 0;
    for (uint64_t i = 0; i < names; ++i) {
      const auto slot = free_slot();
      if (!slot) continue;
      Call link;
      link.op = Op::link;
      link.object = label;
      link.slot = *slot;
      add(link, '-');
      ++placed;
    }
    if (!random_.percent(placed > 0 ? 70 : 30)) return;
    Call unlink;
    unlink.op = Op::unlink;
    unlink.slot = spare;
    add(unlink, '-');
  }

  void fill(char label) {
    const uint64_t pages = random_.below(4);
    const bool hole = pages == 3 && random_.percent(40);
    for (uint64_t page = 0; page < pages; ++page) {
      if (hole && page == 1) continue;
      Call write;
      write.op = Op::write;
      write.object = label;
      write.offset = page * kPage;
      write.length = page + 1 == pages && random_.percent(30) ? 1000 : kPage;
      write.value = static_cast<uint32_t>(label);
      add(write, '-');
    }
  }

  bool place_one(Op op, char label, uint32_t chance) {
    if (!random_.percent(chance)) return false;
    const auto slot = free_slot();
    if (!slot) return false;
    Call call;
    call.op = op;
    call.slot = *slot;
    add(call, label);
    return true;
  }

  // Half of what can be read has an access time later than its changes, as after a read before.
  void freshen() {
    std::vector<Call> reads;
    for (const char label : {'f', 'g', 'h'}) {
      Call call;
      call.op = Op::read;
      call.object = label;
      call.length = kPage;
      reads.push_back(call);
    }
    for (int dir = 0; dir < 2; ++dir) {
      Call call;
      call.op = Op::readdir;
      call.slot.dir = dir;
      reads.push_back(call);
    }
    if (state_.world.has('l')) {
      Call call;
      call.op = Op::readlink;
      call.object = 'l';
      reads.push_back(call);
    }
    for (const Call& call : reads) {
      if (random_.percent(40)) continue;
      state_.world.set_time(++time_);
      (void)state_.world.run(call, '-');
      state_.freshen.push_back(call);
    }
  }

  Random& random_;
  State& state_;
  int64_t time_ = 100;
  bool taken_[2][3] = {};
};

Slot any_slot(Random& random) {
  return {static_cast<int>(random.below(2)), static_cast<int>(random.below(3))};
}

// A slot in which something stands (`taken`) or nothing does; a file or link, or a directory. Any slot
// when there is none such.
enum class Want { taken, file, directory, free };
Slot slot_with(Random& random, const State& state, Want want) {
  std::vector<Slot> fitting;
  for (int dir = 0; dir < 2; ++dir)
    for (int name = 0; name < 3; ++name) {
      const Slot slot{dir, name};
      const bool taken = state.world.at(slot) != 0;
      const bool directory = state.world.is_directory(slot);
      if (want == Want::free ? !taken
                             : taken && (want == Want::taken || (want == Want::directory) == directory))
        fitting.push_back(slot);
    }
  return fitting.empty() ? any_slot(random) : fitting[random.below(fitting.size())];
}

// Mostly names with which the call does something, so that few cases are errors alone.
void choose_slots(Random& random, const State& state, Call& call) {
  constexpr uint32_t kMostly = 80;
  constexpr uint32_t kOften = 65;
  constexpr uint32_t kEach = 90;  // of two names, so that both are there mostly
  call.slot = any_slot(random);
  call.to = any_slot(random);
  const auto mostly = [&](Slot& slot, uint32_t chance, Want want) {
    if (random.percent(chance)) slot = slot_with(random, state, want);
  };
  switch (call.op) {
    case Op::lookup: return mostly(call.slot, kMostly, Want::taken);
    case Op::unlink: return mostly(call.slot, kMostly, Want::file);
    case Op::rmdir: return mostly(call.slot, kMostly, Want::directory);
    case Op::create:
    case Op::create_exclusive:
    case Op::mkdir:
    case Op::mknod:
    case Op::symlink:
    case Op::link: return mostly(call.slot, kOften, Want::free);
    case Op::rename: return mostly(call.slot, kMostly, Want::taken);
    case Op::rename_exchange:
      mostly(call.slot, kEach, Want::taken);
      return mostly(call.to, kEach, Want::taken);
    case Op::rename_noreplace:
      mostly(call.slot, kMostly, Want::taken);
      return mostly(call.to, kOften, Want::free);
    default: return;
  }
}

// A file, seldom something else.
char any_object(Random& random, const State& state, uint32_t others) {
  if (random.percent(others)) {
    const char label = "pqlde"[random.below(5)];
    if (state.world.has(label)) return label;
  }
  return "fgh"[random.below(3)];
}

uint64_t size_of(const State& state, char label) {
  const auto& node = state.world.fs().node(state.world.id_of(label));
  return node.is_file() ? node.data.size() : 0;
}

// The range of a call on data, and what it writes; false where the file has none such.
bool choose_range(Random& random, const State& state, Call& call, uint32_t content) {
  const uint64_t size = size_of(state, call.object);
  call.offset = random.below(4) * kPage;
  call.length = random.percent(70) ? kPage : 100;
  switch (call.op) {
    case Op::read:
      if (random.percent(20)) {
        call.offset = 0;
        call.length = 4 * kPage;
      }
      return true;
    case Op::write: call.value = 1 + content; return call.offset + call.length <= size;
    case Op::append: call.value = 1 + content; return true;
    case Op::write_extend:
      call.value = 1 + content;
      if (call.offset + call.length <= size) call.offset = (size + kPage - 1) / kPage * kPage;
      return true;
    case Op::copy_range:
      call.other = "fgh"[random.below(3)];
      call.target = random.below(4) * kPage;
      return call.other != call.object;
    case Op::seek:
      call.length = 0;
      call.value = static_cast<uint32_t>(random.below(2));
      return true;
    default: return true;
  }
}

}  // namespace

State make_state(Random& random) {
  State state;
  Builder(random, state).build();
  return state;
}

std::string State::text() const {
  std::string text;
  for (size_t i = 0; i < script.size(); ++i)
    text += fmt::format("  {} -> {}\n", text_of(script[i]), made[i]);
  if (synced) text += "  then sync\n";
  for (const Call& call : freshen) text += "  then " + text_of(call) + "\n";
  return text;
}

std::optional<Call> make_call(Random& random, Op op, const State& state) {
  Call call;
  call.op = op;
  const auto content = static_cast<uint32_t>(random.below(kContents));
  choose_slots(random, state, call);
  switch (op) {
    case Op::getattr: call.object = any_object(random, state, 40); break;
    case Op::chmod:
      call.object = any_object(random, state, 40);
      call.value = 0600 + content;
      if (state.world.fs().node(state.world.id_of(call.object)).is_link()) return std::nullopt;
      break;
    case Op::chown:
      call.object = any_object(random, state, 40);
      call.value = 5 + content;
      break;
    case Op::utimes:
      call.object = any_object(random, state, 40);
      call.content = content;
      break;
    case Op::truncate:
      call.object = any_object(random, state, 5);
      call.length = random.below(kTruncations) * kPage;
      break;
    case Op::readlink: call.object = state.world.has('l') && random.percent(90) ? 'l' : 'f'; break;
    case Op::link:
    case Op::forget: call.object = any_object(random, state, 0); break;
    case Op::read:
    case Op::write:
    case Op::write_extend:
    case Op::append:
    case Op::copy_range:
    case Op::allocate:
    case Op::punch:
    case Op::seek:
      call.object = any_object(random, state, op == Op::read ? 5 : 0);
      if (!choose_range(random, state, call, content)) return std::nullopt;
      break;
    case Op::getxattr:
    case Op::setxattr:
    case Op::listxattr:
    case Op::removexattr:
      call.object = any_object(random, state, 20);
      if (call.object == 'l') return std::nullopt;
      call.value = static_cast<uint32_t>(random.below(2));
      if (op == Op::setxattr) call.content = content;
      break;
    default: break;
  }
  return call;
}

bool sets_something(Op op) {
  switch (op) {
    case Op::chmod:
    case Op::chown:
    case Op::utimes:
    case Op::truncate:
    case Op::rename_exchange:
    case Op::write:
    case Op::write_extend:
    case Op::copy_range:
    case Op::allocate:
    case Op::punch:
    case Op::setxattr:
    case Op::removexattr: return true;
    default: return false;
  }
}

bool same_change(const Call& a, const Call& b) {
  if (a.op != b.op || !sets_something(a.op)) return false;
  if (a.op == Op::rename_exchange)
    return (a.slot == b.slot && a.to == b.to) || (a.slot == b.to && a.to == b.slot);
  // Pages are allocated and freed, and bytes in them written to zero.
  if (a.op == Op::allocate || a.op == Op::punch)
    return a.object == b.object && a.offset / kPage <= (b.offset + b.length - 1) / kPage &&
           b.offset / kPage <= (a.offset + a.length - 1) / kPage;
  const auto change = [](const Call& c) {
    return std::tie(c.object, c.other, c.offset, c.target, c.length, c.value, c.content);
  };
  return change(a) == change(b);
}

}  // namespace scalefs::matrix
