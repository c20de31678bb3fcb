#include "tests/commute/simulation/caches.h"

namespace scalefs::simulation {

bool Caches::misses(uintptr_t line, int core, bool writes) {
  auto& holders = holders_[line];
  const auto at = static_cast<size_t>(core);
  const bool held = holders[at];
  const bool others = holders.count() > (held ? 1u : 0u);
  if (writes) holders.reset();
  holders.set(at);
  return others && (writes || !held);
}

void Caches::call(int core, const std::vector<record::Access>& accesses, bool counted) {
  for (const record::Access& access : accesses) {
    const uintptr_t last = (access.address + access.size - 1) / record::kLineBytes;
    for (uintptr_t line = access.address / record::kLineBytes; line <= last; ++line) {
      if (!misses(line, core, access.writes()) || !counted) continue;
      ++misses_;
      Line& missed = missed_[line];
      ++missed.misses;
      missed.example = access;
    }
  }
}

}  // namespace scalefs::simulation
