// Inputs of the targets that damage an image: what is written over which bytes of a base image. The
// first byte is a sum of InputFlag; then, again and again,
//
//   u16  place    index into the places of the image, modulo their number
//   u16  offset   in that block, modulo its size
//   u8   length   bytes that follow and go there; 0: a u16 follows, the place whose whole content goes there
//
// Any bytes are an input: what is missing at the end is left out.
#pragma once

#include <memory>
#include <vector>

#include "diskfs/overlay_device.h"
#include "tests/fuzz/support/base_image.h"

namespace scalefs::fuzz {

enum InputFlag : uint8_t {
  kSeal = 1,        // checksums and addresses are set right (image_seal.h)
  kKeepChain = 2,   // but not what batches say of the batch before
  kKeepCounts = 4,  // and not the counts of free blocks
  kUnmounted = 8,   // the base image is the one that was unmounted in order
};

struct ImageEdit {
  uint16_t place = 0;
  uint16_t offset = 0;
  bool copies = false;  // the whole of place `from`
  uint16_t from = 0;
  std::vector<uint8_t> bytes;
};

struct ImageInput {
  static constexpr size_t kEditsMax = 64;
  uint8_t flags = kSeal;
  std::vector<ImageEdit> edits;
};

ImageInput decode_input(ConstBytes bytes);
std::vector<uint8_t> encode_input(const ImageInput& input);

// The base image with what the input does to it, if it does so to a place of one of `kinds`.
std::unique_ptr<diskfs::OverlayDevice> build_image(const ImageInput& input,
                                                   const std::vector<PlaceKind>& kinds);

// The body of LLVMFuzzerCustomMutator of such a target.
size_t mutate_input(uint8_t* data, size_t size, size_t size_max, unsigned seed,
                    const std::vector<PlaceKind>& kinds);

}  // namespace scalefs::fuzz
