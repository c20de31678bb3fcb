// A byte counter an object class (bounded memory, I10). Counters are per core, so counting
// shares no line; the sum is what statistics and the eviction policy read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace scalefs {

enum class MemoryClass : uint8_t {
  mnode,
  directory,
  page,
  page_tree,
  name,
  xattr,
  oplog,
  delta_cache,
  tree_node,
  space_map,
  journal_buffer,
  committed_view,
  count
};
const char* memory_class_name(MemoryClass c);

// Adds `delta` bytes to the class on the calling thread's core.
void memory_count(MemoryClass c, int64_t delta);
// Sum over all cores; exact when nothing changes meanwhile.
int64_t memory_bytes(MemoryClass c);
int64_t memory_bytes_total();

}  // namespace scalefs
