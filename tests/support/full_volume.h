// A full volume of 1 MiB with something of everything that the format has, some batches behind its
// checkpoint, as a crash left it; what users see of it after each of the batches; and which of its
// bytes mean something.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/support/content.h"

namespace scalefs::testing {

struct FullVolume {
  static constexpr uint64_t kBlocks = 256;

  std::vector<std::byte> bytes;
  // Behind the checkpoint and so many batches of the journal; the last one is what a mount shows.
  std::vector<ContentNode> states;

  // Of each byte:
  std::vector<bool> in_use;        // means something
  // In use, and damage of it has to be found: all but the last batch and its data, which damaged look like
  // a batch that a power cut interrupted, and data that the batches replace.
  std::vector<bool> found_always;
  std::vector<bool> last_batch;    // it, or data that only it names
  std::vector<bool> header;        // of superblock copies, group tables, maps and nodes
};

// The same every time. Failures of its calls are failures of the running test.
FullVolume make_full_volume();

}  // namespace scalefs::testing
