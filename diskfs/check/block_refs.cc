#include "diskfs/check/block_refs.h"

#include <fmt/core.h>

#include <algorithm>

#include "diskfs/space_map.h"

namespace scalefs::diskfs {

namespace {

std::string run_text(uint64_t first, uint64_t count) {
  return count == 1 ? fmt::format("block {}", first)
                    : fmt::format("blocks {} to {}", first, first + count - 1);
}

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

BlockRefs::BlockRefs(const Geometry& geometry, Findings& findings)
    : geometry_(geometry), findings_(findings), words_((geometry.block_count + 63) / 64) {}

void BlockRefs::reference(BlockRun run, const std::string& what) {
  if (!geometry_.is_data_run(run.first.v, run.count)) {
    findings_.add(Code::block_range, fmt::format("{} references {}, which cannot hold data", what,
                                                 run_text(run.first.v, run.count)));
    return;
  }
  bool found = false;
  for (uint64_t block = run.first.v; block < run.first.v + run.count; ++block) {
    uint64_t bit = uint64_t{1} << (block % 64);
    if ((words_[block / 64] & bit) != 0) {
      if (!found) {
        findings_.add(Code::block_double,
                      fmt::format("block {} is referenced again by {}", block, what));
      }
      found = true;
    } else {
      words_[block / 64] |= bit;
      ++count_;
    }
  }
}

void BlockRefs::compare(const SpaceMap& map, const std::vector<uint64_t>& unknown, bool complete) {
  Runs leaks(findings_, Code::map_leak, "in use by the map, but nothing references it");
  Runs frees(findings_, Code::map_free, "referenced, but free by the map");
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
