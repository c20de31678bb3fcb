// State of MemFS' data half: the list of dirty files, the order of eviction.
#pragma once

namespace scalefs::memfs {

class DataHalf {};

}  // namespace scalefs::memfs
