#include "tests/commute/matrix/decided.h"

#include <fmt/format.h>

#include <sstream>

#include "tests/commute/matrix/lists.h"

namespace scalefs::matrix {
namespace {


// What a call takes: s and t names, o and x objects, d a directory, @ and > offsets, # a length, v a value.
const char* takes(Op op) {
  switch (op) {
    case Op::getattr:
    case Op::utimes:
    case Op::readlink:
    case Op::forget:
    case Op::listxattr: return "o";
    case Op::chmod:
    case Op::chown:
    case Op::getxattr:
    case Op::setxattr:
    case Op::removexattr: return "ov";
    case Op::truncate: return "o#";
    case Op::link: return "os";
    case Op::rename:
    case Op::rename_exchange:
    case Op::rename_noreplace: return "st";
    case Op::read:
    case Op::allocate:
    case Op::punch: return "o@#";
    case Op::write:
    case Op::write_extend: return "o@#v";
    case Op::append: return "o#v";
    case Op::copy_range: return "o@x>#";
    case Op::seek: return "o@v";
    case Op::readdir: return "d";
    case Op::statfs: return "";
    default: return "s";
  }
}

bool parse_bytes(const std::string& word, uint64_t* bytes) {
  const bool kilo = word.ends_with("K");
  const auto number = number_of(kilo ? word.substr(0, word.size() - 1) : word);
  if (number) *bytes = *number * (kilo ? 1024 : 1);
  return number.has_value();
}

bool parse_slot(const std::string& word, Slot* slot) {
  const size_t dir = word.size() == 2 ? std::string("pqse").find(word[0]) : std::string::npos;
  if (dir == std::string::npos || word[1] < '0' || word[1] > '2') return false;
  *slot = {static_cast<int>(dir), word[1] - '0'};
  return true;
}

bool parse_value(const std::string& word, Op op, uint32_t* value) {
  if (word == "hole" || word == "data") {
    *value = word == "data";
  } else if (op == Op::chmod) {
    *value = static_cast<uint32_t>(std::stoul(word, nullptr, 8));
  } else if (const auto number = number_of(word)) {
    *value = static_cast<uint32_t>(*number);
  } else {
    *value = static_cast<uint32_t>(word[0]);
    return word.size() == 1;
  }
  return true;
}

bool parse_call(const std::string& text, Call* call) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  for (size_t op = 0; op < kOps; ++op)
    if (word == op_name(static_cast<Op>(op))) call->op = static_cast<Op>(op);
  if (word != op_name(call->op)) return false;
  for (const char* kind = takes(call->op); *kind != '\0'; ++kind) {
    if (!(words >> word)) return false;
    bool good = true;
    switch (*kind) {
      case 's': good = parse_slot(word, &call->slot); break;
      case 't': good = parse_slot(word, &call->to); break;
      case 'o': call->object = word[0]; break;
      case 'x': call->other = word[0]; break;
      case 'd': call->slot.dir = word == "q"; break;
      case '@': good = parse_bytes(word, &call->offset); break;
      case '>': good = parse_bytes(word, &call->target); break;
      case '#': good = parse_bytes(word, &call->length); break;
      default: good = parse_value(word, call->op, &call->value); break;
    }
    if (!good) return false;
  }
  return !(words >> word);
}

class Maker {
 public:
  explicit Maker(World& world) : world_(world) {}

  bool make(const std::string& state) {
    std::istringstream words(state);
    std::string read;
    std::string files;
    for (std::string word; words >> word;) {
      if (word[0] == '~') {
        read += word[1];
        continue;
      }
      if (!(word[1] == '+' ? add_xattr(word) : add_object(word))) return false;
      if (world_.has(word[0]) && std::string("fghl").find(word[0]) != std::string::npos)
        files += word[0];
    }
    world_.set_time(++time_);
    world_.warm(files);
    for (const char label : read) {
      Call call;
      call.op = label == 'l' ? Op::readlink : label == 'p' || label == 'q' ? Op::readdir : Op::read;
      call.slot.dir = label == 'q';
      call.object = label;
      if (!run(call, '-')) return false;
    }
    world_.set_time(kNow);
    return true;
  }

 private:
  bool run(const Call& call, char made) {
    world_.set_time(++time_);
    return world_.run(call, made).error == 0;
  }

  bool add_xattr(const std::string& word) {
    Call call;
    call.op = Op::setxattr;
    call.object = word[0];
    call.value = static_cast<uint32_t>(word[2] - '0');
    return run(call, '-');
  }

  // "f=p0,q0:2", "l=p0@", "d=p2/", "e=q2/k".
  bool add_object(const std::string& word) {
    const size_t end = word.find_first_of(":@/");
    if (word[1] != '=' || end == std::string::npos) return false;
    std::istringstream names(word.substr(2, end - 2));
    std::vector<Slot> slots;
    for (std::string name; std::getline(names, name, ',');) {
      slots.emplace_back();
      if (!parse_slot(name, &slots.back())) return false;
    }
    if (word[end] == ':') return add_file(word[0], slots, word.substr(end + 1));
    Call call;
    call.op = word[end] == '@' ? Op::symlink : Op::mkdir;
    if (slots.size() != 1) return false;
    call.slot = slots[0];
    if (!run(call, word[0])) return false;
    if (end + 1 == word.size()) return true;
    Call child;
    child.op = Op::mknod;
    child.slot = {3, 0};
    return run(child, word[end + 1]);
  }

  bool add_file(char label, const std::vector<Slot>& slots, const std::string& content) {
    Call call;
    call.op = Op::create_exclusive;
    call.slot = {kStash, 0};
    if (!run(call, label)) return false;
    Call write;
    write.op = Op::write;
    write.object = label;
    write.value = static_cast<uint32_t>(label);
    const bool hole = content[0] == '.';
    if (!parse_bytes(hole ? content.substr(1) : content, &write.length)) return false;
    if (!content.ends_with("K")) write.length *= kPage;
    write.offset = hole ? kPage : 0;
    if (!run(write, '-')) return false;
    for (const Slot& slot : slots) {
      Call link;
      link.op = Op::link;
      link.object = label;
      link.slot = slot;
      if (!run(link, '-')) return false;
    }
    call.op = Op::unlink;
    return run(call, '-');
  }

  World& world_;
  int64_t time_ = 100;
};

}  // namespace

std::vector<Decided> read_decided(const std::string& path, std::string* error) {
  std::vector<Decided> cases;
  for (const auto& f : read_list(path, 6, error)) {
    Decided d;
    d.text = fmt::format("{} | {} | {}", f[0], f[1], f[2]);
    d.on_disk = f[3] == "commutes";
    d.commutes = d.on_disk || f[3] == "memory";
    d.changes = f[4] == "changes";
    d.why = f[5];
    const bool words = (d.commutes || f[3] == "differs") && (d.changes || f[4] == "same");
    if (!words || !Maker(d.world).make(f[0]) || !parse_call(f[1], &d.first) ||
        !parse_call(f[2], &d.second))
      *error = "cannot read " + d.text;
    else
      cases.push_back(std::move(d));
  }
  return cases;
}

}  // namespace scalefs::matrix
