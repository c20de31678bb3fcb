// The calls of the commutativity matrix: what they are and what they are called with.
//
// The tree of a case: directories 0 and 1 with three names each (slots 0 to 2), and directory 2,
// the stash, where links beyond the slots stand. Objects are labels: 'p' and 'q' are directories 0
// and 1, 's' the stash; 'f' 'g' 'h' files, 'l' a symbolic link, 'd' and 'e' directories in slots (e
// holds 'k'); 'A' and 'B' what the first and the second call of a pair makes. open and release have
// no call of their own in the engine: an open is the lookup before it.
#pragma once

#include <cstdint>
#include <string>

namespace scalefs::matrix {

enum class Op : uint8_t {
  lookup,
  getattr,
  chmod,
  chown,
  utimes,
  truncate,
  create,
  create_exclusive,
  mkdir,
  mknod,
  symlink,
  readlink,
  link,
  unlink,
  rmdir,
  rename,
  rename_exchange,
  rename_noreplace,
  forget,
  read,
  write,
  write_extend,
  append,
  copy_range,
  allocate,
  punch,
  seek,
  readdir,
  statfs,
  getxattr,
  setxattr,
  listxattr,
  removexattr,
  count
};
inline constexpr size_t kOps = static_cast<size_t>(Op::count);

inline constexpr uint64_t kPage = 4096;
inline constexpr int kStash = 2;  // the directory where links beyond the slots stand
const char* op_name(Op op);
// The call that it is a way of: setattr, create, rename, write, fallocate, or its own name.
const char* call_name(Op op);

struct Slot {
  int dir = 0;   // 0 to 2; 3 is 'e'
  int name = 0;  // 0 to 2
  friend bool operator==(const Slot&, const Slot&) = default;
};

struct Call {
  Op op = Op::lookup;
  Slot slot, to;               // names; of readdir the directory alone
  char object = 0, other = 0;  // labels
  uint64_t offset = 0, target = 0, length = 0;
  uint32_t value = 0;    // mode bits, owner, byte to write, xattr's number
  uint32_t content = 0;  // which of kContents: times to set, an xattr's value
};
inline constexpr uint32_t kContents = 64;
std::string text_of(const Call& call);

}  // namespace scalefs::matrix
