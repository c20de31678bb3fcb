// FUSE over io_uring as Linux speaks it (linux/fuse.h, protocol 7.42), which is younger than the headers that we build
// against. An entry is memory of the daemon's, in which the kernel puts a request and takes the reply: a
// header and a payload, registered once with the connection's queue of one processor.
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

namespace scalefs::fuse::ring {

// INIT: the connection may use rings. Counts in flags2, which counts with FUSE_INIT_EXT.
inline constexpr uint64_t kInitOverRings = uint64_t{1} << 41;
inline constexpr uint32_t kInitExtended = uint32_t{1} << 30;

struct EntryHeader {
  std::byte in_out[128];     // fuse_in_header of the request, fuse_out_header of the reply
  std::byte operation[128];  // what stands between header and payload; its length follows from the other two
  uint64_t flags;
  uint64_t commit_id;  // the request's unique number; comes back with the reply
  uint32_t payload_bytes;
  uint32_t padding;
  uint64_t reserved;
};
static_assert(sizeof(EntryHeader) == 288);

// cmd_op of IORING_OP_URING_CMD.
inline constexpr uint32_t kRegister = 1;        // the entry is there: give it a request
inline constexpr uint32_t kCommitAndFetch = 2;  // it holds a reply: take it, and give it a request

// The command's own area in a submission queue entry of 128 bytes.
struct Command {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t queue;  // processor
  uint8_t padding[6];
};
static_assert(sizeof(Command) == 24);

}  // namespace scalefs::fuse::ring
