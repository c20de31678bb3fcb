// Requests of the kernel's protocol with any bytes behind a valid header, through libfuse's decoder and
// the operations to a volume in memory or on a disk: each is answered once, as the kernel wants it, or
// has no answer; nothing crashes.
//
// The first byte of an input is a sum of Flag, then come requests, again and again:
//   u8 opcode   u8 node (of those that replies have named; from 240 on: one that there is not)
//   u16 length  and as many bytes of body
// Unless kRaw is set the body is made as long as its kind and its own fields say, and numbers below 64 where
// it names a node stand for one that there is.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "fuse/wire.h"
#include "tests/fuzz/fuse/fake_kernel.h"
#include "tests/fuzz/support/fuzzing.h"

using namespace scalefs;
using namespace scalefs::fuzz;

namespace {

enum Flag : uint8_t { kDisk = 1, kSyncNames = 2, kRaw = 4, kNoInit = 8 };

constexpr size_t kRequestsMax = 40;
constexpr size_t kBodyBytesMax = 1024;
constexpr uint8_t kOpcodeMax = fuse::wire::kOpcodeStatx;
constexpr unsigned kIoctlShutdown = _IOR('X', 125, uint32_t);

struct Request {
  uint8_t opcode = 0;
  uint8_t node = 0;
  std::vector<uint8_t> body;
};

struct Input {
  uint8_t flags = 0;
  std::vector<Request> requests;
};

Input decode(const uint8_t* data, size_t size) {
  Input input;
  size_t at = 0;
  const auto byte = [&] { return at < size ? data[at++] : uint8_t{0}; };
  input.flags = byte();
  while (at < size && input.requests.size() < kRequestsMax) {
    Request request;
    request.opcode = byte();
    request.node = byte();
    size_t length = byte();
    length = std::min<size_t>(length | size_t{byte()} << 8, kBodyBytesMax);
    while (request.body.size() < length && at < size) request.body.push_back(byte());
    input.requests.push_back(std::move(request));
  }
  return input;
}

std::vector<uint8_t> encode(const Input& input) {
  std::vector<uint8_t> to{input.flags};
  for (const Request& request : input.requests) {
    to.push_back(request.opcode);
    to.push_back(request.node);
    to.push_back(static_cast<uint8_t>(request.body.size()));
    to.push_back(static_cast<uint8_t>(request.body.size() >> 8));
    to.insert(to.end(), request.body.begin(), request.body.end());
  }
  return to;
}

uint64_t node_of(const FakeKernel& kernel, uint8_t number) {
  constexpr uint64_t kStrange[] = {0, UINT64_MAX, uint64_t{1} << 53, 12345};
  return number < 240 ? kernel.node(number) : kStrange[number % 4];
}

template <class T>
T load(const std::vector<uint8_t>& from, size_t offset) {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof value);
  return value;
}
template <class T>
void store(std::vector<uint8_t>& to, size_t offset, T value) {
  std::memcpy(to.data() + offset, &value, sizeof value);
}

// --- what makes a body pass

void complete_names(std::vector<uint8_t>& body, const RequestShape& shape) {
  const auto found = std::count(body.begin() + static_cast<ptrdiff_t>(shape.fixed_bytes), body.end(), 0);
  for (auto i = found; i < shape.names; ++i) body.push_back(0);
}

void name_nodes(const FakeKernel& kernel, uint8_t opcode, std::vector<uint8_t>& body) {
  const auto name_node = [&](size_t offset) {
    const auto number = load<uint64_t>(body, offset);
    if (number < 64) store(body, offset, kernel.node(number));
  };
  switch (opcode) {
    case FUSE_RENAME: return name_node(offsetof(fuse_rename_in, newdir));
    case FUSE_RENAME2: return name_node(offsetof(fuse_rename2_in, newdir));
    case FUSE_LINK: return name_node(offsetof(fuse_link_in, oldnodeid));
    case FUSE_COPY_FILE_RANGE: return name_node(offsetof(fuse_copy_file_range_in, nodeid_out));
    case FUSE_BATCH_FORGET:
      for (size_t at = sizeof(fuse_batch_forget_in); at + sizeof(fuse_forget_one) <= body.size();
           at += sizeof(fuse_forget_one)) {
        name_node(at);
      }
      return;
    default: return;
  }
}

uint32_t shutdown_mode;  // what the caller's argument of the ioctl points to

void complete_sizes(uint8_t opcode, std::vector<uint8_t>& body) {
  const auto rest = [&](size_t fixed) { return static_cast<uint32_t>(body.size() - fixed); };
  switch (opcode) {
    case FUSE_WRITE:
      return store(body, offsetof(fuse_write_in, size), rest(sizeof(fuse_write_in)));
    case FUSE_SETXATTR: {
      const auto end = std::find(body.begin() + sizeof(fuse_setxattr_in), body.end(), 0);
      return store(body, 0, static_cast<uint32_t>(body.end() - end) - 1);
    }
    case FUSE_BATCH_FORGET:
      return store(body, 0,
                   static_cast<uint32_t>(rest(sizeof(fuse_batch_forget_in)) / sizeof(fuse_forget_one)));
    case FUSE_IOCTL: {
      store(body, offsetof(fuse_ioctl_in, in_size), rest(sizeof(fuse_ioctl_in)));
      if (load<uint32_t>(body, offsetof(fuse_ioctl_in, cmd)) != kIoctlShutdown) return;
      const auto argument = load<uint64_t>(body, offsetof(fuse_ioctl_in, arg));
      shutdown_mode = static_cast<uint32_t>(argument % 4);
      if (argument < 64) {
        store(body, offsetof(fuse_ioctl_in, arg), reinterpret_cast<uint64_t>(&shutdown_mode));
      }
      return;
    }
    default: return;
  }
}

void complete(const FakeKernel& kernel, uint8_t opcode, std::vector<uint8_t>& body) {
  const RequestShape shape = shape_of(opcode);
  if (body.size() < shape.fixed_bytes) body.resize(shape.fixed_bytes);
  complete_names(body, shape);
  name_nodes(kernel, opcode, body);
  complete_sizes(opcode, body);
}

// --- mutations

class Mutator {
 public:
  Mutator(Input& input, unsigned seed) : input_(input), random_(seed) {}

  void run() {
    std::vector<Request>& all = input_.requests;
    const uint64_t choice = random_.below(100);
    if (all.empty() || choice < 40) {
      const auto at = static_cast<ptrdiff_t>(random_.percent(60) ? all.size()
                                                                 : random_.below(all.size() + 1));
      all.insert(all.begin() + at, make());
      if (all.size() > kRequestsMax) all.erase(all.begin());
      return;
    }
    Request& request = all[random_.below(all.size())];
    if (choice < 50) {
      all.erase(all.begin() + (&request - all.data()));
    } else if (choice < 60) {
      std::swap(request, all[random_.below(all.size())]);
    } else if (choice < 85) {
      const size_t size = request.body.size();
      request.body.resize(kBodyBytesMax);
      request.body.resize(LLVMFuzzerMutate(request.body.data(), size, kBodyBytesMax));
    } else if (choice < 92) {
      request.node = node();
    } else if (choice < 97) {
      request.opcode = static_cast<uint8_t>(random_.below(kOpcodeMax + 2));
    } else {
      input_.flags ^= static_cast<uint8_t>(1u << random_.below(4));
    }
  }

 private:
  uint8_t node() {
    return static_cast<uint8_t>(random_.percent(40)   ? 0
                                : random_.percent(95) ? random_.below(8)
                                                      : 240 + random_.below(16));
  }

  uint64_t number() {
    constexpr uint64_t kNumbers[] = {0,    1,    2,     7,       100,     4095,    4096,
                                     4097, 8192, 65536, 1u << 20, 1u << 30, INT64_MAX, UINT64_MAX};
    const uint64_t chosen = kNumbers[random_.below(std::size(kNumbers))];
    if (random_.percent(10)) return (uint64_t{1} << 44) - random_.below(3) * 4096;
    return random_.percent(20) ? chosen + random_.below(10) : chosen;
  }

  void put_name(std::vector<uint8_t>& to) {
    static const std::string kNames[] = {"a",
                                         "b",
                                         "c",
                                         "directory",
                                         "sub",
                                         "file",
                                         "small",
                                         "link",
                                         ".",
                                         "..",
                                         "",
                                         "x/y",
                                         std::string(255, 'n'),
                                         std::string(256, 'n')};
    static const std::string kXattrs[] = {"user.a", "user.short", "user.long", "trusted.t",
                                          "security.capability", "system.posix_acl_access",
                                          "system.posix_acl_default", "other.o", "user."};
    const std::string& name = xattrs_ ? kXattrs[random_.below(std::size(kXattrs))]
                                      : kNames[random_.below(random_.percent(80) ? 8 : 14)];
    to.insert(to.end(), name.begin(), name.end());
    to.push_back(0);
  }

  void put_bytes(std::vector<uint8_t>& to, size_t count) {
    for (size_t i = 0; i < count; ++i) to.push_back(static_cast<uint8_t>(random_.next()));
  }

  Request make() {
    constexpr uint8_t kOften[] = {FUSE_LOOKUP,   FUSE_CREATE,      FUSE_CREATE,   FUSE_MKDIR,
                                  FUSE_WRITE,    FUSE_READ,        FUSE_SETATTR,  FUSE_READDIRPLUS,
                                  FUSE_RENAME2,  FUSE_SETXATTR,    FUSE_GETXATTR, FUSE_FALLOCATE,
                                  FUSE_LSEEK,    FUSE_COPY_FILE_RANGE, FUSE_IOCTL, FUSE_FSYNC,
                                  FUSE_LINK,     FUSE_UNLINK,      FUSE_RMDIR,    FUSE_SYMLINK};
    Request request;
    request.opcode = static_cast<uint8_t>(random_.percent(70)
                                              ? kOften[random_.below(std::size(kOften))]
                                              : random_.below(kOpcodeMax + 2));
    request.node = node();
    const RequestShape shape = shape_of(request.opcode);
    std::vector<uint8_t>& body = request.body;
    body.resize(shape.fixed_bytes);
    // Words of the structure at random, which is right for most; the others follow.
    for (size_t at = 0; at + 8 <= body.size(); at += 8) {
      if (random_.percent(40)) store(body, at, random_.percent(50) ? number() : random_.below(8));
    }
    fill(request.opcode, body);
    xattrs_ = request.opcode == FUSE_SETXATTR || request.opcode == FUSE_GETXATTR ||
              request.opcode == FUSE_REMOVEXATTR;
    for (int i = 0; i < shape.names; ++i) put_name(body);
    if (request.opcode == FUSE_WRITE || request.opcode == FUSE_SETXATTR ||
        request.opcode == FUSE_IOCTL || request.opcode == FUSE_BATCH_FORGET) {
      put_bytes(body, random_.below(random_.percent(70) ? 60 : 600));
    }
    return request;
  }

  void fill(uint8_t opcode, std::vector<uint8_t>& body) {
    switch (opcode) {
      case FUSE_CREATE:
        store(body, offsetof(fuse_create_in, flags),
              static_cast<uint32_t>(random_.below(2) * O_EXCL | random_.below(2) * O_TRUNC));
        return store(body, offsetof(fuse_create_in, mode),
                     static_cast<uint32_t>(S_IFREG | random_.below(010000)));
      case FUSE_MKNOD: {
        constexpr uint32_t kTypes[] = {0, S_IFREG, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFDIR};
        return store(body, offsetof(fuse_mknod_in, mode),
                     static_cast<uint32_t>(kTypes[random_.below(std::size(kTypes))] |
                                           random_.below(010000)));
      }
      case FUSE_SETATTR:
        store(body, offsetof(fuse_setattr_in, size), number());
        return store(body, offsetof(fuse_setattr_in, valid),
                     static_cast<uint32_t>(random_.below(1u << 13)));
      case FUSE_RENAME2:
        return store(body, offsetof(fuse_rename2_in, flags), static_cast<uint32_t>(random_.below(6)));
      case FUSE_READ:
      case FUSE_READDIR:
      case FUSE_READDIRPLUS:
        if (random_.percent(70)) store(body, offsetof(fuse_read_in, offset), uint64_t{0});
        return store(body, offsetof(fuse_read_in, size),
                     static_cast<uint32_t>(random_.percent(90) ? 4096 : number()));
      case FUSE_WRITE: return store(body, offsetof(fuse_write_in, offset), number());
      case FUSE_GETXATTR:
      case FUSE_LISTXATTR:
        return store(body, 0, static_cast<uint32_t>(random_.percent(50) ? 0 : number()));
      case FUSE_FALLOCATE: {
        constexpr uint32_t kModes[] = {0,
                                       FALLOC_FL_KEEP_SIZE,
                                       FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                       FALLOC_FL_ZERO_RANGE,
                                       FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE,
                                       FALLOC_FL_COLLAPSE_RANGE};
        store(body, offsetof(fuse_fallocate_in, offset), number());
        store(body, offsetof(fuse_fallocate_in, length), number());
        return store(body, offsetof(fuse_fallocate_in, mode), kModes[random_.below(std::size(kModes))]);
      }
      case FUSE_LSEEK:
        return store(body, offsetof(fuse_lseek_in, whence), static_cast<uint32_t>(random_.below(6)));
      case FUSE_COPY_FILE_RANGE:
        store(body, offsetof(fuse_copy_file_range_in, nodeid_out), random_.below(8));
        store(body, offsetof(fuse_copy_file_range_in, len), number());
        return store(body, offsetof(fuse_copy_file_range_in, flags), uint64_t{0});
      case FUSE_IOCTL: {
        constexpr uint64_t kCommands[] = {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR,
                                          FS_IOC_FSSETXATTR, kIoctlShutdown, 0x1234};
        store(body, offsetof(fuse_ioctl_in, cmd),
              static_cast<uint32_t>(kCommands[random_.below(std::size(kCommands))]));
        store(body, offsetof(fuse_ioctl_in, flags), uint32_t{0});
        return store(body, offsetof(fuse_ioctl_in, out_size),
                     static_cast<uint32_t>(random_.percent(70) ? 64 : random_.below(30)));
      }
      default: return;
    }
  }

  Input& input_;
  Random random_;
  bool xattrs_ = false;
};

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max,
                                          unsigned seed) {
  Input input = decode(data, size);
  Mutator(input, seed).run();
  std::vector<uint8_t> changed = encode(input);
  while (changed.size() > size_max && !input.requests.empty()) {
    input.requests.pop_back();
    changed = encode(input);
  }
  if (changed.size() > size_max) return 0;
  std::ranges::copy(changed, data);
  return changed.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  const Input input = decode(data, size);
  FakeKernel kernel({.disk = (input.flags & kDisk) != 0,
                     .sync_names = (input.flags & kSyncNames) != 0,
                     .init = (input.flags & kNoInit) == 0});
  for (const Request& request : input.requests) {
    std::vector<uint8_t> body = request.body;
    if ((input.flags & kRaw) == 0) complete(kernel, request.opcode, body);
    kernel.send(request.opcode, node_of(kernel, request.node), std::move(body));
  }
  kernel.finish();
  return 0;
}
