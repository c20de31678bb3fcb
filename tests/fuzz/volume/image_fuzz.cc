// A damaged image under mount and walk (volume_walk.h): nothing crashes, hangs or goes on for ever, and
// what is refused is refused with a reason.
#include "tests/fuzz/support/fuzzing.h"
#include "tests/fuzz/support/image_input.h"
#include "tests/fuzz/support/volume_walk.h"

using namespace scalefs;
using namespace scalefs::fuzz;

namespace {

const std::vector<PlaceKind> kKinds{PlaceKind::superblock, PlaceKind::table,   PlaceKind::map,
                                    PlaceKind::node,       PlaceKind::journal, PlaceKind::data};

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max,
                                          unsigned seed) {
  return mutate_input(data, size, size_max, seed, kKinds);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  const auto device = build_image(decode_input(bytes_of(data, size)), kKinds);
  use_image(*device, /*sound=*/false);
  return 0;
}
