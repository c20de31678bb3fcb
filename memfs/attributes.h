// Changing attributes: what setattr and access ACLs share.
#pragma once

#include "memfs/impl.h"

namespace scalefs::memfs {

// Publishes mode, owner and flags where `op` says them; inside a ModeWrite.
void publish_mode(Mnode& mnode, const SetAttrOp& op);

}  // namespace scalefs::memfs
