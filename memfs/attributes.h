// Changing attributes: what setattr and access ACLs share.
#pragma once

#include "memfs/impl.h"

namespace scalefs::memfs {

// Publishes what `op` says and raises the ctime; under the object's change_lock, between stamp and append.
void publish_attributes(Mnode& mnode, const SetAttrOp& op, int64_t ctime_ns, Stamp stamp);

}  // namespace scalefs::memfs
