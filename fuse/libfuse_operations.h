// libfuse's table of low-level callbacks, each of which decodes its arguments and calls the FileSystem.
// The session's user data is the LibfuseTransport.
#pragma once

#include <fuse_lowlevel.h>

namespace scalefs::fuse {

const fuse_lowlevel_ops& libfuse_operations();

}  // namespace scalefs::fuse
