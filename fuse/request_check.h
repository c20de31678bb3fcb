// Whether a request is as long as its kind and its own fields say. libfuse 3.14 believes both, and so
// do the operations behind it: a name is read up to its NUL, a write takes as many bytes as it claims. The
// kernel sends nothing else; whoever holds the other end of the channel is not always the kernel.
#pragma once

#include "base/bytes.h"

namespace scalefs::fuse {

enum class RequestVerdict : uint8_t {
  good,
  malformed,  // to be answered EINVAL
  ignored,    // malformed or of no use to us, and of a kind that has no answer
};

// The oldest protocol whose structures are as checked here, 7.12 of Linux 2.6.31; INIT of an older one is
// malformed.
inline constexpr uint32_t kProtocolMinorMin = 12;
// `request`: what was read from the channel, a header at the least. Kinds that libfuse does not know are
// good: it answers ENOSYS.
RequestVerdict check_request(ConstBytes request);

}  // namespace scalefs::fuse
