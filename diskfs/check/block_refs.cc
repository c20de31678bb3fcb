#include "diskfs/check/block_refs.h"

#include <fmt/core.h>

#include <algorithm>

#include "diskfs/space_map.h"

namespace scalefs::diskfs {

std::string run_text(uint64_t first, uint64_t count) {
  return count == 1 ? fmt::format("block {}", first)
                    : fmt::format("blocks {} to {}", first, first + count - 1);
}

namespace {

// Joins neighbouring blocks of one kind into one finding.
class Runs {
 public:
  Runs(Findings& findings, Code code, const char* text)
      : findings_(findings), code_(code), text_(text) {}
  ~Runs() { end(); }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;
  void add(uint64_t block) {
    if (count_ > 0 && block == first_ + count_) {
      ++count_;
      return;
    }
    end();
    first_ = block;
    count_ = 1;
  }

 private:
  void end() {
    if (count_ > 0) findings_.add(code_, fmt::format("{} {}", run_text(first_, count_), text_));
    count_ = 0;
  }
  Findings& findings_;
  Code code_;
  const char* text_;
  uint64_t first_ = 0;
  uint64_t count_ = 0;
};

}  // namespace

BlockRefs::BlockRefs(const Geometry& geometry)
    : geometry_(geometry), words_((geometry.block_count + 63) / 64) {}

bool BlockRefs::reference(BlockRun run, std::vector<uint64_t>* twice) {
  if (!geometry_.is_data_run(run.first.v, run.count)) return false;
  for (uint64_t block = run.first.v; block < run.first.v + run.count; ++block) {
    const uint64_t bit = uint64_t{1} << (block % 64);
    if ((words_[block / 64].fetch_or(bit, relaxed) & bit) != 0) twice->push_back(block);
  }
  return true;
}

void BlockRefs::compare(const SpaceMap& map, const std::vector<uint64_t>& unknown, bool complete,
                        Findings& findings) {
  Runs leaks(findings, Code::map_leak, "in use by the map, but nothing references it");
  Runs frees(findings, Code::map_free, "referenced, but free by the map");
  for (uint64_t block = geometry_.data_first; block < geometry_.data_end; ++block) {
    bool used = map.test(BlockNo(block));
    bool referenced = is_referenced(block);
    if (used == referenced) continue;
    uint64_t group = geometry_.group_of(block);
    if (std::find(unknown.begin(), unknown.end(), group) != unknown.end()) continue;
    if (referenced) {
      frees.add(block);
    } else if (complete) {
      leaks.add(block);
    }
  }
}

}  // namespace scalefs::diskfs
