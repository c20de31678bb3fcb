#include "diskfs/check/block_refs.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>

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
  for (uint64_t at = geometry_.data_first / 64 * 64; at < geometry_.data_end; at += 64) {
    const uint64_t referenced = words_[at / 64].load(relaxed);
    uint64_t different = map.test_64(BlockNo(at)) ^ referenced;
    for (; different != 0; different &= different - 1) {
      const uint64_t bit = static_cast<uint64_t>(std::countr_zero(different));
      const uint64_t block = at + bit;
      if (!geometry_.is_data(block)) continue;
      const uint64_t group = geometry_.group_of(block);
      if (std::find(unknown.begin(), unknown.end(), group) != unknown.end()) continue;
      if ((referenced >> bit & 1) != 0) {
        frees.add(block);
      } else if (complete) {
        leaks.add(block);
      }
    }
  }
}

}  // namespace scalefs::diskfs
