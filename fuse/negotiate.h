// What is agreed with the kernel at INIT, and why.
#pragma once

#include <cstdint>

struct fuse_conn_info;

namespace scalefs::fuse {

// Settings of libfuse's connection, from its init callback.
void negotiate(fuse_conn_info& connection);

// Flags of fuse_init_out that libfuse 3.14 cannot pass on, cut to what the kernel offered.
uint32_t negotiated_beyond_libfuse(uint32_t offered);

}  // namespace scalefs::fuse
