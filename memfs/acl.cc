#include "memfs/acl.h"

namespace scalefs::memfs {

Result<Inherited> inherit(MemFs::Impl&, Mnode&, uint32_t mode, uint32_t umask) {
  return Inherited{mode & ~(umask & 0777), {}};
}

}  // namespace scalefs::memfs
