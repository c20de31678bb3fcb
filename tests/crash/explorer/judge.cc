#include "tests/crash/explorer/judge.h"

#include <fmt/format.h>

#include <sstream>

#include "tests/support/volumes.h"

namespace scalefs::testing {
namespace {

// The recovered volume takes a name and data, and makes them durable.
std::string use(volume::Volume& volume) {
  auto& fs = volume.fs();
  auto made = fs.create(kRootMnode, "after the crash", 0100644, true, {});
  if (!made.ok()) return fmt::format("create after recovery: errno {}", made.code());
  std::string text(5000, 'u');
  auto written = fs.write(made->attr.mnode, 0, std::as_bytes(std::span(text.data(), text.size())));
  if (!written.ok()) return fmt::format("write after recovery: errno {}", written.code());
  if (auto synced = volume.sync(); !synced.ok()) {
    return fmt::format("sync after recovery: errno {}", synced.code());
  }
  fs.forget(made->attr.mnode, 1);
  auto ended = volume.unmount();
  return ended.ok() ? "" : fmt::format("unmount after recovery: errno {}", ended.code());
}

// A cut while copies of the superblock are written leaves those torn beside the older, whole ones (P7):
// fsck names them until the next checkpoint writes over them. It may find nothing else, and after
// use nothing at all.
bool torn_superblocks_only(const std::string& found) {
  std::istringstream lines(found);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("SB-DAMAGED: ")) return false;
  }
  return true;
}

}  // namespace

std::string judge(diskfs::MemoryDevice& image, const CrashOracle& oracle, uint64_t events,
                  bool thorough) {
  return judge(
      image, [&](volume::Volume& volume, std::string* seen) { return oracle.check(volume, events, seen); },
      thorough);
}

std::string judge(diskfs::MemoryDevice& image, const Comparison& compare, bool thorough) {
  std::string first;
  for (int round = 0; round < (thorough ? 2 : 1); round++) {
    std::string why;
    volume::VolumeOptions options;
    options.threads = false;
    options.cache_bytes = 4u << 20;
    auto volume = volume::Volume::mount(image, options, &why);
    if (!volume.ok()) return fmt::format("mount: errno {}: {}", volume.code(), why);
    const char* which = round == 0 ? "first" : "second";
    std::string seen;
    if (auto wrong = compare(**volume, &seen); !wrong.empty()) {
      return fmt::format("{} recovery: {}", which, wrong);
    }
    if (round == 0) {
      first = std::move(seen);
      (*volume)->shutdown();
      if (!thorough) return "";
      volume->reset();
      if (auto found = check_image(image); !found.empty() && !torn_superblocks_only(found)) {
        return "fsck: " + found;
      }
      continue;
    }
    if (seen != first) return "the second recovery shows something else than the first";
    if (auto wrong = use(**volume); !wrong.empty()) return wrong;
  }
  auto found = check_image(image);
  return found.empty() ? "" : "fsck after use: " + found;
}

}  // namespace scalefs::testing
