// Stands in for libFuzzer in ordinary builds: runs every file of the folders and files named, each
// as it is and with seeded mutations (the target's own, where it has such), so that every build tries
// what the fuzzer once found. Options of libFuzzer are ignored. SCALEFS_FUZZ_MUTATIONS sets the
// mutations a file (100). A crash names the file and the mutation's seed (0: the file as it is).
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "tests/fuzz/support/fuzzing.h"

extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                                                size_t size_max, unsigned seed);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Input = std::vector<uint8_t>;

Input read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(file), {});
}

char where[512];  // which input is running

void say_where() { (void)!::write(STDERR_FILENO, where, strnlen(where, sizeof where)); }

void on_signal(int number) {
  say_where();
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void run(const std::string& name, uint64_t seed, const Input& input) {
  std::snprintf(where, sizeof where, "crashed on %s, mutation seed %llu\n", name.c_str(),
                static_cast<unsigned long long>(seed));
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

// A few flipped bits, replaced bytes, a cut or a doubled stretch.
Input mutate(Input input, scalefs::Random& random) {
  const uint64_t changes = random.between(1, 4);
  for (uint64_t i = 0; i < changes && !input.empty(); ++i) {
    const size_t at = random.below(input.size());
    switch (random.below(8)) {
      case 0: input.resize(at); break;
      case 1: {
        const size_t size = std::min<size_t>(random.between(1, 64), input.size() - at);
        const Input part(input.begin() + static_cast<ptrdiff_t>(at),
                         input.begin() + static_cast<ptrdiff_t>(at + size));
        input.insert(input.begin() + static_cast<ptrdiff_t>(at), part.begin(), part.end());
        break;
      }
      case 2: input[at] = 0xff; break;
      case 3: input[at] = static_cast<uint8_t>(random.next()); break;
      default: input[at] ^= static_cast<uint8_t>(1u << random.below(8));
    }
  }
  return input;
}

constexpr size_t kInputBytesMax = 4096;  // of those that targets change themselves

Input mutate_as_the_target_does(Input input, scalefs::Random& random) {
  size_t size = std::min(input.size(), kInputBytesMax);
  input.resize(kInputBytesMax);
  for (uint64_t changes = random.between(1, 4); changes > 0; --changes) {
    size = LLVMFuzzerCustomMutator(input.data(), size, kInputBytesMax,
                                   static_cast<unsigned>(random.next()));
  }
  input.resize(size);
  return input;
}

void run_file(const std::filesystem::path& path, uint64_t mutations) {
  const Input input = read_file(path);
  std::printf("%s: %zu bytes, then %llu mutations\n", path.filename().c_str(), input.size(),
              static_cast<unsigned long long>(mutations));
  std::fflush(stdout);
  run(path.filename(), 0, input);
  for (uint64_t seed = 1; seed <= mutations; ++seed) {
    scalefs::Random random(seed);
    run(path.filename(), seed,
        LLVMFuzzerCustomMutator != nullptr ? mutate_as_the_target_does(input, random)
                                           : mutate(input, random));
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max) {
  // Seeded by what it changes, so that a run can be repeated.
  scalefs::Random random(scalefs::crc32c(data, size));
  const Input changed = mutate(Input(data, data + size), random);
  const size_t kept = std::min(changed.size(), size_max);
  std::copy_n(changed.begin(), kept, data);
  return kept;
}

int main(int argc, char** argv) {
  ::signal(SIGABRT, on_signal);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(say_where);
  } else {
    ::signal(SIGSEGV, on_signal);
  }
  const char* setting = std::getenv("SCALEFS_FUZZ_MUTATIONS");
  const uint64_t mutations = setting != nullptr ? std::strtoull(setting, nullptr, 10) : 100;
  size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] == '-') continue;
    std::vector<std::filesystem::path> paths;
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
        paths.push_back(entry.path());
    } else {
      paths.emplace_back(argv[i]);
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) run_file(path, mutations);
    files += paths.size();
  }
  std::printf("%zu inputs\n", files);
  return files == 0 ? 1 : 0;  // an empty corpus proves nothing
}
