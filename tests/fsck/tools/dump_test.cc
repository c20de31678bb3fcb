// scalefs-dump on images with something of everything, against what was put there.
#include "tools/dump.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/aligned_buffer.h"
#include "diskfs/diskfs.h"
#include "diskfs/file_device.h"
#include "diskfs/superblock_scan.h"
#include "tests/support/captured.h"
#include "tests/support/image_file.h"
#include "tests/support/random_volume.h"
#include "tests/support/sample_volume.h"
#include "tools/dump_batch.h"
#include "tools/record_printer.h"

namespace scalefs::tools {
namespace {

using nlohmann::json;
using What = DumpOptions::What;
using scalefs::testing::ListedObject;
using scalefs::testing::Listing;

class DumpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.path = image_.path();
    options_.lock_wait_ms = 0;
    options_.json = true;
  }

  // A volume with a checkpoint, and changes that stand in the journal alone.
  Listing make_volume() {
    auto image = image_.device();
    diskfs::format_small(*image, 1024);
    std::string why;
    auto fs = diskfs::DiskFs::mount(*image, {}, &why);
    EXPECT_TRUE(fs.ok()) << why;
    scalefs::testing::SampleVolume sample(**fs);
    sample.fill();
    EXPECT_TRUE((*fs)->checkpoint().ok());
    sample.change();
    return sample.listing();
  }
  int run(What what, const std::string& target = {}) {
    options_.what = what;
    options_.target = target;
    return captured([&](FILE* out, FILE* err) { return run_dump(options_, out, err); }, &out_, &err_);
  }
  // What was printed, an object a line.
  std::vector<json> rows() {
    std::vector<json> result;
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) result.push_back(json::parse(line));
    return result;
  }

  const scalefs::testing::ImageFile image_{4096};
  std::string out_, err_;
  DumpOptions options_;
};

TEST_F(DumpTest, ShowsEveryObjectAsItIs) {
  const Listing listing = make_volume();
  ASSERT_GT(listing.size(), 10u);
  options_.verbose = true;
  for (const auto& [path, object] : listing) {
    SCOPED_TRACE(path);
    ASSERT_EQ(run(What::inode, path), kDumpDone) << err_;
    const auto shown = rows();
    const json& inode = shown.at(0);
    EXPECT_EQ(inode["mnode"], object.mnode);
    EXPECT_EQ(inode["mode"], fmt::format("{:o}", object.mode));
    EXPECT_EQ(inode["uid"], object.uid);
    EXPECT_EQ(inode["gid"], object.gid);
    EXPECT_EQ(inode["links"], object.nlink);
    EXPECT_EQ(inode["mtime"], time_text(object.mtime_ns));
    EXPECT_EQ(inode["ctime"], time_text(object.ctime_ns));
    EXPECT_EQ(inode["orphan"], false);
    if (!S_ISDIR(object.mode)) {
      EXPECT_EQ(inode["size"], object.data.size());
    }
    uint64_t pages = 0;
    std::map<std::string, std::string> xattrs;
    for (size_t i = 1; i < shown.size(); ++i) {
      if (shown[i].contains("count")) pages += shown[i]["count"].get<uint64_t>();
      if (!shown[i].contains("xattr")) continue;
      std::string value;
      const std::string hex = shown[i]["value"];
      for (size_t at = 0; at < hex.size(); at += 2)
        value += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
      EXPECT_EQ(shown[i]["bytes"], value.size());
      xattrs[shown[i]["xattr"]] = value;
    }
    EXPECT_EQ(inode["pages"], pages);
    std::map<std::string, std::string> expected;
    for (const auto& [name, value] : object.xattrs) expected[printable(name)] = value;
    EXPECT_EQ(xattrs, expected);
  }
}

TEST_F(DumpTest, ListsEveryDirectory) {
  const Listing listing = make_volume();
  for (const auto& [path, object] : listing) {
    if (!S_ISDIR(object.mode)) continue;
    SCOPED_TRACE(path);
    std::map<std::string, uint64_t> expected;
    const std::string prefix = path == "/" ? "/" : path + "/";
    for (const auto& [other, child] : listing) {
      if (other.size() <= prefix.size() || !other.starts_with(prefix)) continue;
      const std::string name = other.substr(prefix.size());
      if (name.find('/') == std::string::npos) expected[printable(name)] = child.mnode;
    }
    ASSERT_EQ(run(What::dir, path), kDumpDone) << err_;
    std::map<std::string, uint64_t> shown;
    for (const json& row : rows()) shown[row["name"]] = row["mnode"];
    EXPECT_EQ(shown, expected);
  }
}

TEST_F(DumpTest, ShowsTheJournalWithItsOperations) {
  (void)make_volume();
  ASSERT_EQ(run(What::super), kDumpDone) << err_;
  const json sb = rows().at(0);
  EXPECT_EQ(sb["blocks"], 4096u);
  EXPECT_EQ(sb["clean"], false);
  EXPECT_EQ(sb["copies"].size(), 10u);
  options_.verbose = true;
  ASSERT_EQ(run(What::journal), kDumpDone) << err_;
  uint64_t next = sb["covered_sequence"].get<uint64_t>() + 1;
  uint64_t operations = 0, shown = 0;
  for (const json& row : rows()) {
    if (row.contains("operation")) {
      EXPECT_EQ(row["batch"], next - 1);
      ++shown;
      continue;
    }
    EXPECT_EQ(row["sequence"], next++);
    operations += row["operations"].get<uint64_t>();
  }
  EXPECT_GT(shown, 10u);
  EXPECT_EQ(shown, operations);
}

TEST_F(DumpTest, LeavesTheJournalOutWhereAsked) {
  const Listing listing = make_volume();
  options_.checkpoint_only = true;
  uint64_t missing = 0;
  for (const auto& [path, object] : listing) missing += run(What::inode, path) == kDumpNoSuch;
  EXPECT_GT(missing, 0u) << "changes of the journal alone are not in the checkpoint";
}

TEST_F(DumpTest, ShowsTheTreeUpToWhatIsDamaged) {
  (void)make_volume();
  options_.verbose = true;
  ASSERT_EQ(run(What::tree), kDumpDone) << err_;
  uint64_t nodes = 0, inodes = 0, entries = 0;
  for (const json& row : rows()) {
    if (row.contains("node")) {
      ++nodes;
      if (row["level"] == 0) entries += row["entries"].get<uint64_t>();
    } else {
      inodes += row["item"] == "inode";
      --entries;
    }
  }
  EXPECT_GT(nodes, 0u);
  EXPECT_EQ(entries, 0u) << "as many items as the nodes say";
  ASSERT_EQ(run(What::super), kDumpDone);
  EXPECT_GT(inodes, 10u);

  // The root of the durable checkpoint.
  options_.checkpoint_only = true;
  const uint64_t root = rows().at(0)["root"]["block"];
  {
    auto image = image_.device();
    AlignedBuffer block(kBlockBytes);
    ASSERT_TRUE(image->read(BlockNo(root), block.span()).ok());
    block.data()[2000] ^= std::byte{1};
    ASSERT_TRUE(image->write(BlockNo(root), block.span()).ok());
  }
  EXPECT_EQ(run(What::tree), kDumpDamaged);
  EXPECT_EQ(rows().at(0)["damaged"], "wrong checksum") << out_;
  EXPECT_EQ(run(What::inode, "1"), kDumpDamaged);
  EXPECT_NE(err_.find("inode 1"), std::string::npos) << err_;
}

TEST_F(DumpTest, SaysWhatIsWrong) {
  EXPECT_EQ(run(What::super), kDumpOperational) << "an empty file";
  EXPECT_NE(err_.find(options_.path), std::string::npos) << err_;
  (void)make_volume();
  EXPECT_EQ(run(What::inode, "/no/such"), kDumpNoSuch);
  EXPECT_NE(err_.find("inode 1 has no name 'no'"), std::string::npos) << err_;
  EXPECT_EQ(run(What::inode, "99999"), kDumpNoSuch);
  EXPECT_EQ(run(What::dir, "x"), kDumpUsage);
  EXPECT_EQ(out_, "");
  options_.path += ".none";
  EXPECT_EQ(run(What::tree), kDumpOperational);
}

TEST_F(DumpTest, WritesNothing) {
  (void)make_volume();
  ASSERT_EQ(chmod(options_.path.c_str(), 0444), 0);
  const auto written = std::filesystem::last_write_time(options_.path);
  for (const What what : {What::super, What::journal, What::tree})
    EXPECT_EQ(run(what), kDumpDone) << err_;
  EXPECT_EQ(run(What::dir, "/"), kDumpDone);
  EXPECT_EQ(std::filesystem::last_write_time(options_.path), written);
}

TEST(DumpText, TimesAndNames) {
  EXPECT_EQ(time_text(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(time_text(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(time_text(1'700'000'000'000'000'005), "2023-11-14T22:13:20.000000005Z");
  EXPECT_EQ(printable("a\\b\n\xff"), "a\\x5cb\\x0a\\xff");
}

}  // namespace
}  // namespace scalefs::tools
