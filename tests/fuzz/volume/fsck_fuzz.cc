// fsck over a damaged image: check, repair, check again. What was repaired is clean, what was not says
// why, and a volume that the checker calls clean mounts, and everything in it but data can be used.
#include <fmt/format.h>

#include "diskfs/check/repair.h"
#include "diskfs/check/scrub.h"
#include "diskfs/stand_in.h"
#include "tests/fuzz/support/image_target.h"
#include "tests/fuzz/support/volume_walk.h"

using namespace scalefs;
using namespace scalefs::fuzz;

const std::vector<PlaceKind> scalefs::fuzz::kKinds{
    PlaceKind::superblock, PlaceKind::table, PlaceKind::map, PlaceKind::node, PlaceKind::journal,
    PlaceKind::data};

namespace {

std::string texts_of(const diskfs::Findings& findings) {
  std::string text;
  for (const diskfs::Finding& finding : findings.list()) {
    text += fmt::format("{}: {}\n", diskfs::code_name(finding.code), finding.text);
  }
  return text;
}

Result<diskfs::CheckReport> check(diskfs::BlockDevice& device) {
  std::string why;
  auto report = diskfs::check_volume(device, &why);
  require(report.ok() || !why.empty(), "a check is refused without a reason");
  return report;
}

// The checker found nothing wrong: then nothing is.
void use_sound(diskfs::BlockDevice& device) {
  std::string why;
  const auto sb = diskfs::read_newest_superblock(device, &why);
  require(sb.ok(), "what was checked has no superblock: " + why);
  if (diskfs::is_metadata_image(*sb)) return;  // is not mounted, sound or not
  const auto replayed = diskfs::replay_volume(device, &why);
  require(replayed.ok(), "what was checked does not replay: " + why);
  const auto scrubbed = diskfs::scrub_volume(device, {}, &why);
  require(scrubbed.ok(), "what was checked cannot be scrubbed: " + why);
  diskfs::OverlayDevice used(device);
  use_image(used, /*sound=*/true);
  const auto after = check(used);
  require(after.ok(), "a volume cannot be checked after use");
  require(after->findings.clean(), "use has damaged a sound volume:\n" + texts_of(after->findings));
}

void repair_it(diskfs::BlockDevice& device, const diskfs::CheckReport& before) {
  std::string why;
  const auto repaired = diskfs::repair_volume(device, {}, &why);
  if (!repaired.ok()) {
    require(!why.empty(), "a repair is refused without a reason");
    return;
  }
  require(!repaired->declined, "nobody declined");
  if (!repaired->repaired) {
    require(!repaired->left.clean(), "not repaired, and nothing is left");
    return;
  }
  const auto after = check(device);
  require(after.ok() && after->findings.clean(),
          fmt::format("not clean after the repair of\n{}which did\n{}left:\n{}",
                      texts_of(before.findings), texts_of(repaired->log.done),
                      after.ok() ? texts_of(after->findings) : "no volume"));
  use_sound(device);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  silence_log();
  const auto device = image_of(data, size);
  const auto report = check(*device);
  if (!report.ok()) return 0;
  if (canary_wanted() && report->findings.count(diskfs::Code::item_decode) != 0) canary_found();
  if (report->findings.clean()) {
    use_sound(*device);
  } else {
    repair_it(*device, *report);
  }
  return 0;
}
