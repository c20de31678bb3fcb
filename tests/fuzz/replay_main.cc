// Stands in for libFuzzer in ordinary builds: runs every file of the folders and files named, each
// as it is and with seeded mutations, so that every build tries what the fuzzer once found.
// Options of libFuzzer are ignored. SCALEFS_FUZZ_MUTATIONS sets the mutations a file (100).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

Input read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(file), {});
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

void run_file(const std::filesystem::path& path, uint64_t mutations) {
  const Input input = read_file(path);
  std::printf("%s: %zu bytes, then %llu mutations\n", path.filename().c_str(), input.size(),
              static_cast<unsigned long long>(mutations));
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  for (uint64_t seed = 1; seed <= mutations; ++seed) {
    scalefs::Random random(seed);
    const Input changed = mutate(input, random);
    LLVMFuzzerTestOneInput(changed.data(), changed.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
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
