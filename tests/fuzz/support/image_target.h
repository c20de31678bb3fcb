// What the targets that damage images are made of: included by the one source of such a target, which says what it damages.
#pragma once

#include "tests/fuzz/support/fuzzing.h"
#include "tests/fuzz/support/image_input.h"

namespace scalefs::fuzz {

// The places that inputs of the target change. The target defines it.
extern const std::vector<PlaceKind> kKinds;

// The image that an input stands for.
inline std::unique_ptr<diskfs::OverlayDevice> image_of(const uint8_t* data, size_t size) {
  return build_image(decode_input(bytes_of(data, size)), kKinds);
}

}  // namespace scalefs::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed) {
  return scalefs::fuzz::mutate_input(data, size, size_max, seed, scalefs::fuzz::kKinds);
}
