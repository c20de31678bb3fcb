// libfuse's table of low-level callbacks, each of which decodes its arguments and calls the FileSystem: of the requests that
// fuse/direct_requests.h leaves to it.
// The session's user data is the LibfuseTransport.
#pragma once

#include <fuse_lowlevel.h>

namespace scalefs::fuse {

const fuse_lowlevel_ops& libfuse_operations();

}  // namespace scalefs::fuse
