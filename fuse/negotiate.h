// What is agreed with the kernel at INIT, and why.
#pragma once

#include <cstdint>

struct fuse_conn_info;

namespace scalefs::fuse {

// Settings of libfuse's connection, from its init callback. `strict_open`: OPEN requests are served.
// `writeback_cache`: the kernel may keep what is written.
void negotiate(fuse_conn_info& connection, bool strict_open, bool writeback_cache);

// A request carries so much data at the most, each way.
inline constexpr uint32_t kTransferBytesMax = 1u << 20;

// Flags of INIT (flags, and flags2 above bit 31) that libfuse 3.14 cannot pass on, cut to what the kernel
// offered. `rings`: those of io_uring are there.
uint64_t negotiated_beyond_libfuse(uint64_t offered, bool rings);

}  // namespace scalefs::fuse
