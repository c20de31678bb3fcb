// A damaged image under mount and walk (volume_walk.h): nothing crashes, hangs or goes on for ever, and
// what is refused is refused with a reason.
#include "tests/fuzz/support/image_target.h"
#include "tests/fuzz/support/volume_walk.h"

using namespace scalefs;
using namespace scalefs::fuzz;

const std::vector<PlaceKind> scalefs::fuzz::kKinds{
    PlaceKind::superblock, PlaceKind::table, PlaceKind::map, PlaceKind::node, PlaceKind::journal,
    PlaceKind::data};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  const auto device = image_of(data, size);
  use_image(*device, /*sound=*/false);
  return 0;
}
