// The kernel's side of the FUSE channel, in process: sends requests through libfuse's decoder to a fresh
// volume and looks at every reply as the kernel would before it believes it. It keeps the one promise of
// the kernel that no daemon can check: not to forget what it was not given.
#pragma once

#include <linux/fuse.h>

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "diskfs/overlay_device.h"
#include "fuse/libfuse_transport.h"
#include "fuse/operations.h"

namespace scalefs::fuzz {

class FakeKernel {
 public:
  struct Settings {
    bool disk = false;  // a volume with something on it; else an empty one in memory
    bool sync_names = false;
    bool init = true;  // INIT has been agreed on
  };
  explicit FakeKernel(const Settings& settings);
  ~FakeKernel();
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  void send(uint32_t opcode, uint64_t node, std::vector<uint8_t> body);
  // Ends the volume; every request must have been answered then.
  void finish();

  // The root, and what replies have named.
  uint64_t node(size_t index) const { return nodes_[index % nodes_.size()]; }

 private:
  struct Pending {
    uint32_t opcode = 0;
    std::vector<uint8_t> body;
  };
  void clamp_forgets(uint32_t opcode, uint64_t node, std::vector<uint8_t>& body);
  uint64_t take_lookups(uint64_t node, uint64_t wanted);
  size_t read_written(uint64_t offset, std::span<std::byte> to) const;
  void collect();
  void reply(const fuse_out_header& header, ConstBytes payload);
  void give(uint64_t node);
  void check_payload(const Pending& request, ConstBytes payload);
  void check_listing(bool plus, ConstBytes payload);

  const bool init_;
  int channel_ = -1;  // replies are appended to it
  uint64_t read_ = 0;
  uint64_t last_unique_ = 0;
  std::map<uint64_t, Pending> pending_;  // by unique
  std::map<uint64_t, uint64_t> lookups_;
  std::vector<uint64_t> nodes_{FUSE_ROOT_ID};

  std::unique_ptr<diskfs::OverlayDevice> device_;
  std::unique_ptr<volume::Volume> volume_;
  std::unique_ptr<fuse::Operations> operations_;
  std::unique_ptr<fuse::LibfuseTransport> transport_;
};

// Bytes of the structure at the start of a request's body, and how many names follow.
struct RequestShape {
  size_t fixed_bytes = 0;
  int names = 0;
};
RequestShape shape_of(uint32_t opcode);

}  // namespace scalefs::fuzz
