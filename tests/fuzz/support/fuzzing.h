// What fuzz targets share: how they fail, and what libFuzzer gives them. An ordinary build gets the
// same from tests/fuzz/replay_main.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

extern "C" {
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// Changes `size` bytes in place, at most `size_max` afterwards; returns how many.
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max);
}

namespace scalefs::fuzz {

// A property that no input may break: prints `what` and aborts.
void require(bool holds, std::string_view what);

inline ConstBytes bytes_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// Damage that is met is told to the operator, and there is none.
void silence_log();

// SCALEFS_FUZZ_CANARY: targets fail on a harmless change that only an input with right checksums can make.
// A fuzzer that does not find it tests nothing behind them (tests/fuzz/test_canaries.sh).
bool canary_wanted();
// Fails, by that name.
[[noreturn]] void canary_found();
// SCALEFS_FUZZ_UNSEALED: no checksum is set right, whatever the input says.
bool sealing_wanted();

}  // namespace scalefs::fuzz
