// Memory of pages: kBlockBytes each, aligned to a block, counted in MemoryClass::page. Freed ones stay in a
// short list of the thread, which is where the next is taken from.
#pragma once

#include <cstddef>
#include <memory>

#include "base/units.h"

namespace scalefs::memfs {

// Uninitialised. Throws std::bad_alloc.
std::byte* allocate_page();
void free_page(std::byte* page);
// Frees when no reader under an EpochGuard can see it.
void retire_page(std::byte* page);

struct FreePage {
  void operator()(std::byte* page) const { free_page(page); }
};
using PagePtr = std::unique_ptr<std::byte, FreePage>;
inline PagePtr make_page() { return PagePtr(allocate_page()); }

}  // namespace scalefs::memfs
