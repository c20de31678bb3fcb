// Makes the golden images (scripts/make-golden.sh), and checks that what they are made to hold is
// what tests/golden says they hold.
//   clean     unmounted in order
//   journal   stopped with batches in the journal that no checkpoint covers
//   groups    many small allocation groups, and a journal whose last batch goes on at its begin
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "diskfs/format.h"
#include "diskfs/memory_device.h"
#include "tests/support/image_programs.h"
#include "tests/support/sample_volume.h"

namespace scalefs::testing {
namespace {

struct Kind {
  const char* name;
  bool unmounted;
  int rewrites;
  uint64_t blocks;
  diskfs::GeometryChoice geometry;
  std::string label;
};

const Kind kKinds[] = {
    {"clean", true, 0, kVolumeBytesMin / kBlockBytes, {}, "clean"},
    {"journal", false, 0, kVolumeBytesMin / kBlockBytes, {}, "journal"},
    {"groups",
     false,
     10,
     20000,
     {.group_blocks = 64, .journal_blocks = 96, .tiny = true},
     "A label that uses all of the sixty-four bytes that it may be \xe2\x82\xac"}};

std::vector<std::string> make(diskfs::MemoryDevice& device, const Kind& kind) {
  diskfs::FormatOptions options;
  options.label = kind.label;
  options.uuid = diskfs::Uuid{0x90, 0x1d, 0xe2, 0x11, 0, 1, 0x40, 0, 0x80, static_cast<uint8_t>(kind.name[0])};
  options.hash_key = HashKey{0x0123456789abcdef, 0xfedcba9876543210};
  options.time_ns = 1'600'000'000'000'000'000;
  options.geometry = kind.geometry;
  std::string why;
  EXPECT_TRUE(diskfs::format(device, options, &why).ok()) << why;
  auto fs = diskfs::DiskFs::mount(device, {}, &why);
  EXPECT_TRUE(fs.ok()) << why;
  if (!fs.ok()) return {};
  SampleVolume sample(**fs);
  sample.fill();
  sample.rewrite(kind.rewrites);
  // The second one gives the journal's room back.
  EXPECT_TRUE((*fs)->checkpoint().ok());
  EXPECT_TRUE((*fs)->checkpoint().ok());
  sample.change();
  if (kind.unmounted) {
    EXPECT_TRUE((*fs)->unmount().ok());
  }
  return to_lines(sample.listing());
}

std::vector<std::string> read_lines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void write_out(diskfs::MemoryDevice& device, const std::vector<std::string>& lines,
               const std::string& stem) {
  const ImageFile image(device);
  const ProgramResult copied =
      run_program("cp --sparse=always '" + image.path() + "' '" + stem + ".img'");
  ASSERT_EQ(copied.status, 0) << copied.error;
  std::ofstream listing(stem + ".listing");
  for (const std::string& line : lines) listing << line << '\n';
  ASSERT_TRUE(listing.flush().good()) << stem;
}

TEST(Golden, Content) {
  const char* const folder = std::getenv("SCALEFS_GOLDEN_OUT");
  for (const Kind& kind : kKinds) {
    const std::string name = kind.name;
    diskfs::MemoryDevice device(kind.blocks);
    const std::vector<std::string> lines = make(device, kind);
    if (folder) {
      write_out(device, lines, std::string(folder) + "/" + name);
    } else {
      const std::string golden = SCALEFS_SOURCE_DIR "/tests/golden/" + name + ".listing";
      EXPECT_EQ(difference(lines, read_lines(golden)), "");
    }
  }
}

}  // namespace
}  // namespace scalefs::testing
