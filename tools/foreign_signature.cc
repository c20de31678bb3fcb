#include "tools/foreign_signature.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <fmt/core.h>

#include <memory>

namespace scalefs::tools {

namespace {

// More signatures than any device carries; the loop ends there if wiping one does not help.
constexpr int kWipesMax = 64;

struct FreeProbe {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<blkid_struct_probe, FreeProbe>;

// Direct I/O wants aligned buffers, which libblkid does not use.
class WithoutDirect {
 public:
  explicit WithoutDirect(int fd) : fd_(fd), flags_(fcntl(fd, F_GETFL)) {
    if (flags_ >= 0 && (flags_ & O_DIRECT) != 0) (void)fcntl(fd_, F_SETFL, flags_ & ~O_DIRECT);
  }
  ~WithoutDirect() {
    if (flags_ >= 0 && (flags_ & O_DIRECT) != 0) (void)fcntl(fd_, F_SETFL, flags_);
  }
  WithoutDirect(const WithoutDirect&) = delete;
  WithoutDirect& operator=(const WithoutDirect&) = delete;

 private:
  int fd_;
  int flags_;
};

Probe make_probe(int fd) {
  Probe probe(blkid_new_probe());
  if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0) return nullptr;
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(
      probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_MAGIC);
  blkid_probe_enable_partitions(probe.get(), 1);
  blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC);
  return probe;
}

std::string value_of(blkid_probe probe, const char* name) {
  const char* data = nullptr;
  if (blkid_probe_lookup_value(probe, name, &data, nullptr) != 0 || data == nullptr) return {};
  return data;
}

}  // namespace

Result<std::optional<Signature>> find_signature(int fd) {
  WithoutDirect buffered(fd);
  Probe probe = make_probe(fd);
  if (!probe) return Errno(EIO);
  int rc = blkid_do_probe(probe.get());
  if (rc < 0) return Errno(EIO);
  if (rc > 0) return std::optional<Signature>();
  Signature signature;
  signature.type = value_of(probe.get(), "TYPE");
  if (signature.type.empty()) signature.type = value_of(probe.get(), "PTTYPE");
  signature.label = value_of(probe.get(), "LABEL");
  signature.uuid = value_of(probe.get(), "UUID");
  return std::optional<Signature>(std::move(signature));
}

Status wipe_signatures(int fd) {
  WithoutDirect buffered(fd);
  Probe probe = make_probe(fd);
  if (!probe) return Errno(EIO);
  for (int i = 0; i < kWipesMax; ++i) {
    int rc = blkid_do_probe(probe.get());
    if (rc > 0) return {};
    if (rc < 0 || blkid_do_wipe(probe.get(), 0) != 0) return Errno(EIO);
  }
  return Errno(EIO);
}

std::string describe(const Signature& signature) {
  std::string text = signature.type.empty() ? "a signature" : signature.type;
  std::string extra;
  if (!signature.label.empty()) extra += fmt::format("label \"{}\"", signature.label);
  if (!signature.uuid.empty()) {
    extra += fmt::format("{}UUID {}", extra.empty() ? "" : ", ", signature.uuid);
  }
  return extra.empty() ? text : fmt::format("{} ({})", text, extra);
}

}  // namespace scalefs::tools
