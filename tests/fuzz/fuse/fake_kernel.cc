#include "tests/fuzz/fuse/fake_kernel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "fuse/wire.h"
#include "tests/fuzz/support/base_image.h"
#include "tests/fuzz/support/fuzzing.h"

namespace scalefs::fuzz {

namespace {

template <class T>
T load(ConstBytes from, size_t offset = 0) {
  T value = {};
  if (offset + sizeof(T) <= from.size()) std::memcpy(&value, from.data() + offset, sizeof(T));
  return value;
}
template <class T>
T body_as(const std::vector<uint8_t>& body) {
  return load<T>(bytes_of(body.data(), body.size()));
}

bool has_answer(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
         opcode != FUSE_NOTIFY_REPLY;
}

std::vector<uint8_t> init_body() {
  fuse_init_in in = {};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = 38;
  in.max_readahead = 1u << 17;
  in.flags = ~uint32_t{FUSE_INIT_EXT};
  const auto* bytes = reinterpret_cast<const uint8_t*>(&in);
  return {bytes, bytes + sizeof in};
}

}  // namespace

RequestShape shape_of(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_REMOVEXATTR: return {0, 1};
    case FUSE_FORGET: return {sizeof(fuse_forget_in), 0};
    case FUSE_BATCH_FORGET: return {sizeof(fuse_batch_forget_in), 0};
    case FUSE_GETATTR: return {sizeof(fuse_getattr_in), 0};
    case FUSE_SETATTR: return {sizeof(fuse_setattr_in), 0};
    case FUSE_SYMLINK: return {0, 2};
    case FUSE_MKNOD: return {sizeof(fuse_mknod_in), 1};
    case FUSE_MKDIR: return {sizeof(fuse_mkdir_in), 1};
    case FUSE_RENAME: return {sizeof(fuse_rename_in), 2};
    case FUSE_RENAME2: return {sizeof(fuse_rename2_in), 2};
    case FUSE_LINK: return {sizeof(fuse_link_in), 1};
    case FUSE_OPEN:
    case FUSE_OPENDIR: return {sizeof(fuse_open_in), 0};
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: return {sizeof(fuse_read_in), 0};
    case FUSE_WRITE: return {sizeof(fuse_write_in), 0};
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return {sizeof(fuse_release_in), 0};
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return {sizeof(fuse_fsync_in), 0};
    case FUSE_SETXATTR: return {sizeof(fuse_setxattr_in), 1};
    case FUSE_GETXATTR: return {sizeof(fuse_getxattr_in), 1};
    case FUSE_LISTXATTR: return {sizeof(fuse_getxattr_in), 0};
    case FUSE_FLUSH: return {sizeof(fuse_flush_in), 0};
    case FUSE_INIT: return {sizeof(fuse_init_in), 0};
    case FUSE_GETLK:
    case FUSE_SETLK:
    case FUSE_SETLKW: return {sizeof(fuse_lk_in), 0};
    case FUSE_ACCESS: return {sizeof(fuse_access_in), 0};
    case FUSE_CREATE:
    case FUSE_TMPFILE: return {sizeof(fuse_create_in), 1};
    case FUSE_BMAP: return {sizeof(fuse_bmap_in), 0};
    case FUSE_IOCTL: return {sizeof(fuse_ioctl_in), 0};
    case FUSE_POLL: return {sizeof(fuse_poll_in), 0};
    case FUSE_FALLOCATE: return {sizeof(fuse_fallocate_in), 0};
    case FUSE_LSEEK: return {sizeof(fuse_lseek_in), 0};
    case FUSE_COPY_FILE_RANGE: return {sizeof(fuse_copy_file_range_in), 0};
    default: return {};
  }
}

FakeKernel::FakeKernel(const Settings& settings)
    : init_(settings.init), channel_(::memfd_create("channel", MFD_CLOEXEC)) {
  // Two threads answer: only so no reply is written over another, for a memory file's position has no lock.
  require(channel_ >= 0 && ::fcntl(channel_, F_SETFL, O_APPEND) == 0, "no memory file");
  volume::VolumeOptions options;
  options.threads = false;
  options.cache_bytes = 16u << 20;
  if (settings.disk) {
    auto& base = const_cast<diskfs::MemoryDevice&>(unmounted_image().device);  // only read
    device_ = std::make_unique<diskfs::OverlayDevice>(base);
    std::string why;
    auto mounted = volume::Volume::mount(*device_, options, &why);
    require(mounted.ok(), why);
    volume_ = std::move(*mounted);
  } else {
    volume_ = volume::Volume::memory(options);
  }
  operations_ = std::make_unique<fuse::Operations>(
      *volume_, fuse::Operations::Settings{.sync_names = settings.sync_names});
  fuse::TransportOptions wanted;
  wanted.rings = fuse::RingUse::off;
  auto transport = fuse::LibfuseTransport::create(*operations_, std::move(wanted));
  require(transport.ok(), "no session");
  transport_ = std::move(*transport);
  // libfuse closes what it was given.
  const int theirs = ::dup(channel_);
  require(transport_->mount(fmt::format("/dev/fd/{}", theirs)).ok(), "no channel");
  if (settings.init) send(FUSE_INIT, 0, init_body());
}

FakeKernel::~FakeKernel() {
  transport_.reset();
  ::close(channel_);
}

void FakeKernel::send(uint32_t opcode, uint64_t node, std::vector<uint8_t> body) {
  clamp_forgets(opcode, node, body);
  fuse_in_header header = {};
  header.len = static_cast<uint32_t>(sizeof header + body.size());
  header.opcode = opcode;
  header.unique = last_unique_ += 2;
  header.nodeid = node;
  header.uid = static_cast<uint32_t>(last_unique_ / 2 % 2 * 1000);
  header.gid = header.uid;
  header.pid = static_cast<uint32_t>(::getpid());
  // As long as the request to the byte: reading on is seen.
  const auto request = std::make_unique<std::byte[]>(header.len);
  std::memcpy(request.get(), &header, sizeof header);
  std::copy_n(bytes_of(body.data(), body.size()).begin(), body.size(),
              request.get() + sizeof header);
  if (has_answer(opcode)) pending_[header.unique] = {opcode, std::move(body)};
  transport_->serve({request.get(), header.len});
  collect();
  // Answered by another thread.
  const bool waits = node == FUSE_ROOT_ID && (opcode == FUSE_FSYNC || opcode == FUSE_FSYNCDIR);
  while (waits && pending_.contains(header.unique)) {
    std::this_thread::yield();
    collect();
  }
}

void FakeKernel::finish() {
  operations_->finish();
  (void)volume_->unmount();
  collect();
  for (const auto& [unique, request] : pending_) {
    require(false, fmt::format("a request of kind {} was not answered", request.opcode));
  }
}

uint64_t FakeKernel::take_lookups(uint64_t node, uint64_t wanted) {
  const auto found = lookups_.find(node);
  if (found == lookups_.end()) return 0;
  const uint64_t taken = std::min(wanted, found->second);
  found->second -= taken;
  return taken;
}

void FakeKernel::clamp_forgets(uint32_t opcode, uint64_t node, std::vector<uint8_t>& body) {
  if (opcode == FUSE_FORGET && body.size() >= sizeof(fuse_forget_in)) {
    auto in = body_as<fuse_forget_in>(body);
    in.nlookup = take_lookups(node, in.nlookup);
    std::memcpy(body.data(), &in, sizeof in);
  }
  if (opcode != FUSE_BATCH_FORGET) return;
  // Not those that a malformed request does not get to.
  const auto in = body_as<fuse_batch_forget_in>(body);
  const size_t room = body.size() < sizeof in ? 0 : body.size() - sizeof in;
  if (in.count > room / sizeof(fuse_forget_one)) return;
  for (size_t i = 0; i < in.count; ++i) {
    uint8_t* const at = body.data() + sizeof in + i * sizeof(fuse_forget_one);
    fuse_forget_one one;
    std::memcpy(&one, at, sizeof one);
    one.nlookup = take_lookups(one.nodeid, one.nlookup);
    std::memcpy(at, &one, sizeof one);
  }
}

void FakeKernel::give(uint64_t node) {
  if (node == 0) return;  // an absent name
  ++lookups_[node];
  if (std::ranges::find(nodes_, node) == nodes_.end()) nodes_.push_back(node);
}

// How much of it is there. A reply by the thread of syncs may be half written at the moment; the kernel would see it whole.
size_t FakeKernel::read_written(uint64_t offset, std::span<std::byte> to) const {
  // That thread may have lost its processor.
  constexpr uint64_t kPatienceMs = 20'000;
  const uint64_t until = monotonic_ms() + kPatienceMs;
  ssize_t got = 0;
  do {
    got = ::pread(channel_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got == static_cast<ssize_t>(to.size()) || (got == 0 && offset == read_)) break;
    std::this_thread::yield();
  } while (monotonic_ms() < until);
  return got < 0 ? 0 : static_cast<size_t>(got);
}

void FakeKernel::collect() {
  for (;;) {
    fuse_out_header header;
    const size_t got = read_written(read_, std::as_writable_bytes(std::span(&header, 1)));
    if (got == 0) return;
    require(got == sizeof header && header.len >= sizeof header, "a reply without a header");
    std::vector<std::byte> payload(header.len - sizeof header);
    require(read_written(read_ + sizeof header, payload) == payload.size(), "a reply shorter than it says");
    read_ += header.len;
    reply(header, payload);
  }
}

void FakeKernel::reply(const fuse_out_header& header, ConstBytes payload) {
  // Before INIT libfuse answers everything with EIO, and it is the kernel that sends no such thing.
  if (!init_ && header.error == -EIO && !pending_.contains(header.unique)) return;
  if (header.unique == 0) {  // what the kernel did not ask for; `error` is its kind
    require(header.error == FUSE_NOTIFY_INVAL_INODE &&
                payload.size() == sizeof(fuse_notify_inval_inode_out),
            "a notification that nobody sends");
    return;
  }
  const auto found = pending_.find(header.unique);
  require(found != pending_.end(), "a reply to nobody, or a second one");
  const Pending request = std::move(found->second);
  pending_.erase(found);
  require(header.error <= 0 && header.error > -512,
          fmt::format("error {} of kind {}", header.error, request.opcode));
  if (header.error != 0) {
    require(payload.empty(), "an error with more behind it");
    return;
  }
  check_payload(request, payload);
}

void FakeKernel::check_listing(bool plus, ConstBytes payload) {
  const size_t header = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  while (!payload.empty()) {
    require(payload.size() >= header, "half an entry");
    const auto dirent = load<fuse_dirent>(payload, header - FUSE_NAME_OFFSET);
    const size_t bytes = FUSE_DIRENT_ALIGN(header + dirent.namelen);
    require(dirent.namelen > 0 && dirent.namelen <= kNameBytesMax && bytes <= payload.size(),
            "a name of a length that no name has");
    const auto* name = payload.data() + header;
    require(std::memchr(name, '/', dirent.namelen) == nullptr, "a name with a slash");
    if (plus) give(load<fuse_entry_out>(payload).nodeid);
    payload = payload.subspan(bytes);
  }
}

void FakeKernel::check_payload(const Pending& request, ConstBytes payload) {
  const auto exactly = [&](size_t bytes) {
    require(payload.size() == bytes,
            fmt::format("{} bytes answer kind {}", payload.size(), request.opcode));
  };
  const auto at_most = [&](size_t bytes) {
    require(payload.size() <= bytes,
            fmt::format("{} bytes answer kind {}", payload.size(), request.opcode));
  };
  switch (request.opcode) {
    case FUSE_LOOKUP:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK:
      exactly(sizeof(fuse_entry_out));
      return give(load<fuse_entry_out>(payload).nodeid);
    case FUSE_CREATE:
    case FUSE_TMPFILE:
      exactly(sizeof(fuse_entry_out) + sizeof(fuse_open_out));
      return give(load<fuse_entry_out>(payload).nodeid);
    case FUSE_GETATTR:
    case FUSE_SETATTR: return exactly(sizeof(fuse_attr_out));
    case fuse::wire::kOpcodeStatx: return exactly(sizeof(fuse::wire::StatxOut));
    case FUSE_OPEN:
    case FUSE_OPENDIR: return exactly(sizeof(fuse_open_out));
    case FUSE_READ: return at_most(body_as<fuse_read_in>(request.body).size);
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
      at_most(body_as<fuse_read_in>(request.body).size);
      return check_listing(request.opcode == FUSE_READDIRPLUS, payload);
    case FUSE_WRITE:
      exactly(sizeof(fuse_write_out));
      return require(load<fuse_write_out>(payload).size <= body_as<fuse_write_in>(request.body).size,
                     "more was written than given");
    case FUSE_COPY_FILE_RANGE:
      exactly(sizeof(fuse_write_out));
      return require(load<fuse_write_out>(payload).size <=
                         body_as<fuse_copy_file_range_in>(request.body).len,
                     "more was copied than asked for");
    case FUSE_LSEEK: return exactly(sizeof(fuse_lseek_out));
    case FUSE_STATFS: return exactly(sizeof(fuse_statfs_out));
    case FUSE_READLINK: return at_most(kBlockBytes - 1);
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR: {
      const uint32_t size = body_as<fuse_getxattr_in>(request.body).size;
      return size == 0 ? exactly(sizeof(fuse_getxattr_out)) : at_most(size);
    }
    case FUSE_IOCTL:
      return at_most(sizeof(fuse_ioctl_out) + body_as<fuse_ioctl_in>(request.body).out_size);
    case FUSE_INIT: return at_most(sizeof(fuse_init_out));
    default: return exactly(0);
  }
}

}  // namespace scalefs::fuzz
